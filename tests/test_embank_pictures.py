"""The demo's pictures: what is written, that it is repeatable, and that no label gives another away."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from embank.cutouts import PARTS
from embank.pictures import HUES, SHAPES, draw_pictures, plan

SCHEMES = ["shape", "colour", "texture", "count", "place"]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_pictures(tmp_path_factory.mktemp("pictures"), count=36, seed=3)


def test_the_table_names_every_picture_once(drawn: Path) -> None:
    table = pd.read_csv(drawn)
    on_disk = {path.relative_to(drawn.parent).as_posix() for path in drawn.parent.rglob("*.jpg")}
    assert drawn.name == "labels.csv"
    assert list(table.columns) == ["path", *SCHEMES]
    assert set(table["path"]) == on_disk
    assert len(table) == len(on_disk) == 36


def test_folders_are_split_and_shape(drawn: Path) -> None:
    table = pd.read_csv(drawn)
    folders = table["path"].str.split("/", expand=True)
    assert (folders[1] == table["shape"]).all()
    assert folders.groupby(1)[0].value_counts().unstack().to_numpy().tolist() == [[5, 1]] * len(SHAPES)


def test_pictures_are_whole_and_of_varied_sizes(drawn: Path) -> None:
    sizes = set()
    for path in drawn.parent.rglob("*.jpg"):
        with Image.open(path) as picture:
            picture.load()
            assert picture.mode == "RGB"
            assert 180 <= min(picture.size) <= max(picture.size) <= 288
            assert np.asarray(picture).std() > 5
            sizes.add(picture.size)
    assert len(sizes) > 20


def test_the_same_seed_draws_the_same_bytes(drawn: Path, tmp_path: Path) -> None:
    again = draw_pictures(tmp_path, count=36, seed=3)
    for path in [drawn, *drawn.parent.rglob("*.jpg")]:
        assert (tmp_path / path.relative_to(drawn.parent)).read_bytes() == path.read_bytes()
    other = draw_pictures(tmp_path / "other", count=36, seed=4)
    assert other.read_bytes() != again.read_bytes()


def test_schemes_are_even_and_independent() -> None:
    table = pd.DataFrame(plan(600, seed=0))
    for scheme in SCHEMES:
        counts = table[scheme].value_counts()
        assert counts.max() - counts.min() <= 1
    for one, other in itertools.combinations(SCHEMES, 2):
        seen = pd.crosstab(table[one], table[other]).to_numpy()
        expected = seen.sum(1, keepdims=True) * seen.sum(0, keepdims=True) / seen.sum()
        strength = ((seen - expected) ** 2 / expected).sum() / (600 * (min(seen.shape) - 1))
        assert strength**0.5 < 0.15, f"{one} and {other} go together (Cramér's V)"


def test_a_colour_family_shows_in_the_pixels(tmp_path: Path) -> None:
    """Red pictures hold more red than blue ones do: the label is about what was painted."""
    table = pd.read_csv(draw_pictures(tmp_path, count=60, seed=1))
    redness = {}
    for colour in HUES:
        pixels = [
            np.asarray(Image.open(tmp_path / path), float) for path in table.path[table.colour == colour]
        ]
        redness[colour] = np.mean([np.maximum(p[..., 0] - p[..., 2], 0).mean() for p in pixels])
    assert redness["red"] > redness["blue"]
    assert redness["yellow"] > redness["purple"]


def test_every_shape_fits_its_canvas() -> None:
    for shape in SHAPES:
        assert max(np.abs(points).max() for _, points in PARTS[shape]) < 1.3


def test_no_pictures_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="count is 0"):
        draw_pictures(tmp_path, count=0)
