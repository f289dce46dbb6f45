"""Grids of samples and predictions, and learning curves: what is drawn where."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from PIL import Image

from embank.grids import Cell, drawn_rows, picture_kind, write_grid
from embank.learning_curves import write_curves
from embedder.thumbnails import make_thumbnail

if TYPE_CHECKING:
    from tests.conftest import Embank, FakeEngines

GREEN, RED, INK = (22, 120, 50), (190, 30, 30), (40, 40, 40)
TRAINING, VALIDATION = (31, 119, 180), (214, 96, 20)


def pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def where(picture: NDArray[np.uint8], colour: tuple[int, int, int], near: int = 0) -> NDArray[np.intp]:
    """Rows and columns (2, n) of the pixels of a colour, or near it: thin lines fade into the paper."""
    distance = np.abs(picture.astype(int) - np.array(colour)).max(axis=2)
    return np.stack(np.nonzero(distance <= near))


def jpeg(size: tuple[int, int]) -> bytes:
    return make_thumbnail(Image.new("RGB", size, (120, 120, 255))).jpeg


def test_right_is_green_and_wrong_is_red_with_a_second_line(tmp_path: Path) -> None:
    path = tmp_path / "grid.png"
    cells = [
        Cell(jpeg((160, 80)), ("ants",), True),
        Cell(jpeg((80, 160)), ("ants", "(bees)"), False),
        Cell(None, ("gone",)),
        Cell(jpeg((40, 40)), ("…/a-very-long-name-of-a-photo-that-does-not-fit.jpg", "40 × 40")),
    ]
    write_grid(cells, path, "overall: 50 %")
    picture = pixels(path)
    height, width = picture.shape[:2]
    green, red = where(picture, GREEN), where(picture, RED)
    assert green[1].max() < width / 2 < red[1].min()  # side by side, in the upper row
    assert max(green[0].max(), red[0].max()) < height * 0.6
    assert red[0].max() > green[0].max() + 10  # its second line
    assert len(where(picture, (225, 225, 225))[0]) > 150 * 150  # of the photo that is gone
    assert len(where(picture, INK)[0]) > 100
    assert (picture[:, -8:] > 200).all()  # no text runs out of the sheet


def test_rows_are_drawn_by_seed_and_each_once() -> None:
    assert drawn_rows(3, 25) == [0, 1, 2]
    some = drawn_rows(1000, 25, seed=1)
    assert some == sorted(set(some))
    assert len(some) == 25
    assert some != drawn_rows(1000, 25, seed=2)


def test_another_kind_of_file_is_refused() -> None:
    assert picture_kind(Path("a.JPG")) == "JPEG"
    with pytest.raises(typer.BadParameter, match=r"a\.gif is no picture by its name"):
        picture_kind(Path("a.gif"))


def test_curves_fall_where_values_fall(tmp_path: Path) -> None:
    path = tmp_path / "curves.png"
    curves = {
        "loss": [1.0, 0.5, 0.1],
        "val_loss": [1.0, 0.9, 0.8],
        "accuracy": [0.5, 0.8, 0.9],
        "val_accuracy": [0.5, 0.6, 0.6],
    }
    write_curves(curves, path, "Cats and dogs", first=1)
    picture = pixels(path)
    middle = picture.shape[1] // 2
    for side, falls in ((picture[75:, :middle], True), (picture[75:, middle:], False)):
        rows, columns = where(side, TRAINING, near=60)
        left, right = rows[columns < np.median(columns)].mean(), rows[columns > np.median(columns)].mean()
        assert bool(right > left) is falls
        assert len(where(side, VALIDATION, near=60)[0]) > 30
    write_curves({"loss": [0.0], "accuracy": [1.0]}, path)
    assert not len(where(pixels(path), VALIDATION, near=60)[0])


def test_commands_draw_what_they_say(
    photos: Path, tmp_path: Path, embank: Embank, fake_engine: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embedder.engines.open_engine_for", _open(fake_engine))
    store, head = tmp_path / "photos.embank", tmp_path / "p.head"
    assert embank("embed", photos, store, "--backbone", "MobileNetV2", "--weights", "none").code == 0
    assert embank("info", store, "--samples", tmp_path / "s.png").code == 0
    assert len(where(pixels(tmp_path / "s.png"), INK)[0]) > 200
    assert embank("train", store, "--scheme", "folder", "--head", "ridge", "--out", head).code == 0
    ran = embank("train", store, "--scheme", "folder", "--head", "ridge", "--out", head, "--curves", "c.png")
    assert "not trained in epochs, so it has no learning curves" in ran.err
    options = ["--where", "small: width < 45", "--gallery", tmp_path / "e.png"]
    ran = embank("evaluate", store, head, "--scheme", "folder", *options)
    assert ran.code == 0, ran.err
    assert "e-small.png" in ran.err
    framed = [len(where(pixels(tmp_path / "e.png"), colour)[0]) for colour in (GREEN, RED)]
    assert sum(framed) > 500
    assert embank("predict", head, photos, "--gallery", tmp_path / "p.png").code == 0
    assert len(where(pixels(tmp_path / "p.png"), INK)[0]) > 200
    for arguments in (["info", store, "--samples"], ["evaluate", store, head, "--gallery"]):
        assert embank(*arguments, tmp_path / "x.bmp").code == 2
    assert embank("evaluate", store, head, head, "--gallery", tmp_path / "x.png").code == 2


def _open(engines: FakeEngines) -> Any:
    return lambda frozen, settings, *_: engines.open(settings)
