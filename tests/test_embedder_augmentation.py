"""Augmentation: what people write for it, that a view is the same everywhere, and that it does what it says."""

from __future__ import annotations

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from embedder.augmentation import Augmentation, augmented_views
from embedder.contact_sheet import _EDGE, _GAP, _TOP, contact_sheet
from embedder.errors import EmbedderError, ImageError, RecipeError
from embedder.geometry import Geometry
from embedder.images import decode

Pixels = NDArray[np.uint8]
ISSUE = "flip,rotation=40,shift=0.2,shear=0.2,zoom=0.2"


def picture(size: int = 64) -> Pixels:
    """Smooth, and different everywhere."""
    small = np.random.default_rng(5).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC))


def png(pixels: Pixels) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        (ISSUE, ISSUE),
        (" zoom = 0.20, rotation=40.0 ,flip", "flip,rotation=40,zoom=0.2"),
        ("contrast=.5,vflip,shift=0,", "vflip,contrast=0.5"),
        ("brightness=1e-3", "brightness=0.001"),
        ("shift=0.2,nearest", "nearest,shift=0.2"),
    ],
)
def test_one_augmentation_has_one_spec(text: str, spec: str) -> None:
    augmentation = Augmentation.parse(text)
    assert augmentation.spec == spec
    assert Augmentation.parse(spec) == augmentation
    assert hash(augmentation) == hash(Augmentation.parse(spec))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rotate=40", r"augmentation 'rotate' does not exist: expected flip, .*Did you mean rotation\?"),
        ("warp", "'warp' does not exist"),
        ("rotation", "rotation needs a number, 0 to 180, the degrees"),
        ("rotation=lots", "rotation needs a number"),
        ("rotation=190", "rotation=190 is out of range: expected 0 to 180"),
        ("shift=-0.1", "shift=-0.1 is out of range"),
        ("shear=20", "shear=20 is out of range: expected 0 to 0.5"),
        ("zoom=nan", "zoom=nan is out of range"),
        ("brightness=inf", "brightness=inf is out of range"),
        ("flip=0.5", "flip takes no value"),
        ("flip,zoom=0.1,flip", "'flip' is given twice"),
        ("", "changes nothing"),
        ("zoom=0", "changes nothing"),
        ("nearest", "changes nothing"),
    ],
)
def test_what_is_no_augmentation_is_said(text: str, told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        Augmentation.parse(text)


AMOUNTS = ("rotation", "shift", "shear", "zoom", "brightness", "contrast")


@given(
    st.dictionaries(st.sampled_from(AMOUNTS), st.floats(0, 0.5), min_size=1),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_specs_are_read_back_exactly(
    amounts: dict[str, float], flip: bool, vflip: bool, nearest: bool
) -> None:
    if not any(amounts.values()) and not flip and not vflip:
        return
    augmentation = Augmentation(flip, vflip, nearest=nearest, **amounts)
    assert Augmentation.parse(augmentation.spec) == augmentation


def test_view_zero_is_the_picture_and_the_others_differ() -> None:
    augmentation = Augmentation.parse(ISSUE)
    data = png(picture(90))
    views = decode(data, {Geometry(64, "crop", augmentation, 5)}).squares.popitem()[1]
    [plain] = decode(data, {Geometry(64, "crop")}).squares.popitem()[1]
    assert views.shape == (5, 64, 64, 3)
    assert views.dtype == np.uint8
    assert np.array_equal(views[0], plain)
    assert len({view.tobytes() for view in views}) == 5


def test_a_view_is_the_same_in_every_order_and_thread() -> None:
    augmentation, square = Augmentation.parse(ISSUE + ",brightness=0.3,contrast=0.3,vflip"), picture()
    jobs = [(name, view) for name in ("a", "b", "c") for view in range(1, 9)]
    in_order = {job: augmentation.apply(square, *job) for job in jobs}
    with ThreadPoolExecutor(4) as pool:
        at_once = dict(
            zip(jobs[::-1], pool.map(lambda job: augmentation.apply(square, *job), jobs[::-1]), strict=True)
        )
    for job in jobs:
        assert np.array_equal(in_order[job], at_once[job])
    assert len({view.tobytes() for view in in_order.values()}) == len(jobs)
    few = augmented_views(square, augmentation, 3, "a")
    assert np.array_equal(few, augmented_views(square, augmentation, 9, "a")[:3])
    other = Augmentation.parse(ISSUE + ",vflip")
    assert not np.array_equal(other.apply(square, "a", 1), in_order["a", 1])


DIGEST = """
import sys
from hashlib import blake2b
import numpy as np
from embedder.augmentation import Augmentation, augmented_views
square = (np.arange(48 * 48 * 3, dtype=np.int64).reshape(48, 48, 3) ** 2 % 251).astype(np.uint8)
views = augmented_views(square, Augmentation.parse(sys.argv[1]), 9, "00ff")
print(blake2b(views.tobytes(), digest_size=8).hexdigest())
"""


def test_views_are_what_they_were_on_other_machines() -> None:
    """The digest was taken when views were first made: vectors that are banked hang on it."""
    done = subprocess.run(
        [sys.executable, "-c", DIGEST, ISSUE + ",vflip,brightness=0.3,contrast=0.3"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "4f9316e01029ce07"


def views_of(text: str, square: Pixels, count: int = 40) -> Pixels:
    return augmented_views(square, Augmentation.parse(text), 1 + count, "ff00")[1:]


def test_nearest_repeats_the_edge_where_the_picture_is_mirrored_without_it() -> None:
    square = np.zeros((32, 32, 3), np.uint8)
    square[:, :, 0] = np.arange(32, dtype=np.uint8) * 8  # darkest to the left
    mirrored, repeated = (
        Augmentation.parse(f"shift=0.5{fill}").apply(square, "a", 1)[16, :, 0] for fill in ("", ",nearest")
    )
    assert (np.diff(repeated.astype(int)) >= 0).all()
    assert len(np.unique(repeated)) < 32
    assert not np.array_equal(mirrored, repeated)
    assert not (np.diff(mirrored.astype(int)) >= 0).all()


@pytest.mark.parametrize(("text", "axis"), [("flip", 1), ("vflip", 0)])
def test_flips_mirror_about_half_of_the_views_exactly(text: str, axis: int) -> None:
    square = picture()
    mirrored = np.flip(square, axis)
    found = [np.array_equal(view, mirrored) for view in views_of(text, square)]
    assert 8 < sum(found) < 32
    assert all(
        np.array_equal(view, square)
        for view, flipped in zip(views_of(text, square), found, strict=True)
        if not flipped
    )


def spot(size: int = 101) -> Pixels:
    """Black with a soft white spot right of the middle."""
    y, x = np.mgrid[:size, :size] - size // 2
    return np.repeat((255 * np.exp(-((x - 20) ** 2 + y**2) / 30))[..., None], 3, 2).astype(np.uint8)


def centres(views: Pixels) -> NDArray[np.float64]:
    """(n, 2): where the spot of each view is, (x, y) from the middle."""
    light = views[..., 0].astype(float) * (views[..., 0] > 40)
    middle = views.shape[1] // 2
    y, x = np.mgrid[: views.shape[1], : views.shape[1]] - middle
    total = light.sum(axis=(1, 2))
    return np.stack([(light * x).sum(axis=(1, 2)) / total, (light * y).sum(axis=(1, 2)) / total], 1)


def test_rotation_turns_by_up_to_its_degrees_to_both_sides() -> None:
    found = centres(views_of("rotation=40", spot()))
    angles = np.degrees(np.arctan2(found[:, 1], found[:, 0]))
    assert np.hypot(*found.T) == pytest.approx(20, abs=0.7)
    assert -41 < angles.min() < -25
    assert 25 < angles.max() < 41


def test_shift_moves_each_way_by_up_to_its_share() -> None:
    moved = centres(views_of("shift=0.1", spot())) - [20, 0]
    assert np.abs(moved).max() < 10.8
    assert (moved.min(axis=0) < -6).all()
    assert (moved.max(axis=0) > 6).all()
    assert np.ptp(moved[:, 0] - moved[:, 1]) > 10  # each on its own


def test_zoom_makes_larger_and_smaller_about_the_middle() -> None:
    found = centres(views_of("zoom=0.3", spot()))
    assert np.abs(found[:, 1]).max() < 0.5
    assert 13.5 < found[:, 0].min() < 16
    assert 24 < found[:, 0].max() < 26.5


def test_shear_slants_and_leaves_the_middle_row() -> None:
    square = np.zeros((101, 101, 3), np.uint8)
    square[:, 48:53] = 255
    views = views_of("shear=0.2", square)
    columns = np.arange(101) - 50
    tops = np.array([(view[10, :, 0] * columns).sum() / view[10, :, 0].sum() for view in views.astype(float)])
    assert 5 < np.abs(tops).max() < 8.6  # 40 rows above the middle
    assert tops.min() < -3
    assert tops.max() > 3
    middles = np.array(
        [(view[50, :, 0] * columns).sum() / view[50, :, 0].sum() for view in views.astype(float)]
    )
    assert np.abs(middles).max() < 0.5


def test_what_comes_in_from_outside_is_the_picture_mirrored() -> None:
    square = np.full((60, 60, 3), 90, np.uint8)
    square[:, 30:] = 200
    for text in ("rotation=180", "shift=0.5", "zoom=0.5", "shear=0.5", ISSUE):
        for view in views_of(text, square, 12):
            assert view.min() >= 90, text
            assert view.max() <= 200, text


def test_brightness_and_contrast_change_levels_and_nothing_else() -> None:
    square = np.full((8, 8, 3), 100, np.uint8)
    levels = [int(view[0, 0, 0]) for view in views_of("brightness=0.5", square)]
    assert 50 <= min(levels) < 65
    assert 135 < max(levels) <= 150
    assert all((view == view[0, 0]).all() for view in views_of("brightness=0.5,contrast=0.9", square))
    square[:, 4:] = 200
    spreads = [int(np.ptp(view)) for view in views_of("contrast=0.5", square)]
    assert 50 <= min(spreads) < 70
    assert 130 < max(spreads) <= 150
    assert all(abs(view.mean() - 150) < 1 for view in views_of("contrast=0.5", square))


@given(st.integers(1, 40), st.integers(1, 2**40))
def test_the_strongest_augmentation_of_any_size_holds(size: int, view: int) -> None:
    strongest = Augmentation(True, True, 180, 0.5, 0.5, 0.5, 1, 1)
    square = picture(40)[:size, :size]
    assert strongest.apply(square, "0", view).shape == square.shape


def test_a_contact_sheet_shows_plain_pictures_beside_their_views(tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    images = [png(picture(80)), b"no image", png(picture(80)[::-1].copy())]
    assert contact_sheet(images, Augmentation(flip=True), 64, path, views=4) == 2
    with Image.open(path) as sheet:
        assert sheet.format == "PNG"
        pixels = np.asarray(sheet)
    assert len(pixels) > 2 * 160
    plain = np.asarray(
        Image.fromarray(picture(80)).resize((64, 64), Image.Resampling.BILINEAR).resize((160, 160), 3)
    )
    first, second = (
        pixels[_TOP : _TOP + _EDGE, left : left + _EDGE].astype(int) for left in (_GAP, 2 * _GAP + _EDGE)
    )
    assert np.abs(first - plain).mean() < 1
    assert min(np.abs(second - either).mean() for either in (plain, plain[:, ::-1])) < 1


def test_a_contact_sheet_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    flip = Augmentation(flip=True)
    with pytest.raises(ImageError, match="no picture for the contact sheet"):
        contact_sheet([b"", b"no image"], flip, 32, tmp_path / "sheet.png")
    with pytest.raises(EmbedderError, match=r"sheet\.png cannot be written: No such file or directory"):
        contact_sheet([png(picture())], flip, 32, tmp_path / "absent" / "sheet.png")
