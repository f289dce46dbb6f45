"""Grids of photos with what is known of them below: their names and sizes, or what a head says of them."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from PIL import Image, ImageDraw, ImageFont

from embank.drawing import INK, PAPER, fitted, small_picture

if TYPE_CHECKING:
    import pandas as pd

    from classifiers.evaluating import Evaluated
    from store import FeatureStore

MOST = 25  # pictures of a grid
KINDS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
_EDGE, _GAP, _LINE, _FRAME, _TITLE = 160, 12, 17, 3, 30
_RIGHT, _WRONG = (22, 120, 50), (190, 30, 30)


@dataclass(frozen=True)
class Cell:
    """A photo of a grid. picture: a JPEG, None where its file is gone. right: green or red; None is neither."""

    picture: bytes | None
    lines: tuple[str, ...]
    right: bool | None = None


def picture_kind(path: Path) -> str:
    """What Pillow calls the kind of a picture by its name. Raises BadParameter for another than PNG and JPEG."""
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise typer.BadParameter(f"{path} is no picture by its name: expected one ending in .png or .jpg.")
    return kind


def write_grid(cells: Sequence[Cell], path: Path, title: str = "", least_across: int = 1) -> None:
    """Writes a PNG or JPEG of the photos, about as many across as down, row by row. Raises StoreWriteError."""
    from store.commit import write_file

    kind, sheet = picture_kind(path), _draw(cells, title, least_across)
    out = io.BytesIO()
    sheet.save(out, kind)
    write_file(path, out.getvalue())


def drawn_rows(count: int, most: int = MOST, seed: int = 0) -> list[int]:
    """At most so many of the row numbers below `count`, ascending, drawn by `seed`."""
    import numpy as np

    some = np.random.default_rng(seed).choice(count, min(count, most), replace=False)
    return sorted(some.tolist())


def sample_cells(store: FeatureStore, images: pd.DataFrame) -> list[Cell]:
    """Photos with the name and the size of their files, rows in the order of `images`."""
    from embedder.thumbnails import thumbnails

    sizes = zip(images["width"], images["height"], strict=True)
    lines = [(key, f"{width} x {height}") for key, (width, height) in zip(images["key"], sizes, strict=True)]
    return [Cell(*cell) for cell in zip(thumbnails(store, images), lines, strict=True)]


def prediction_cells(store: FeatureStore, found: Evaluated, rows: list[int]) -> list[Cell]:
    """Photos with what a head says of them: green where it is right, red with the truth in brackets where not.

    rows: of `found.images`.
    """
    from classifiers.labels import class_names
    from embedder.thumbnails import thumbnails

    separator = found.scheme.separator
    said, true = (
        class_names(found.saved.classes, codes[rows], separator) for codes in (found.predicted, found.true)
    )
    pictures = thumbnails(store, found.images.iloc[rows])
    return [
        Cell(picture, (named or "(none)",) if right else (named or "(none)", f"({truth or 'none'})"), right)
        for picture, named, truth, right in zip(pictures, said, true, found.right[rows].tolist(), strict=True)
    ]


def write_prediction_grids(
    store: FeatureStore, found: Evaluated, where: Sequence[str], path: Path, seed: int = 0
) -> list[Path]:
    """Writes a grid of some images of each subset: the overall one to `path`, each other beside it, with the subset's
    name in its own. Returns where they are. Raises ExpressionError, StoreWriteError.
    """
    places = []
    for number, (subset, chosen) in enumerate(found.subsets(where).items()):
        all_rows = chosen.nonzero()[0]
        rows = all_rows[drawn_rows(len(all_rows), seed=seed)].tolist()
        name = "".join(one if one.isalnum() else "-" for one in subset)[:50]
        place = path if number == 0 else path.with_name(f"{path.stem}-{name}{path.suffix}")
        share = f"{found.right[chosen].mean():.1%}"
        title = f"{subset}: {share} of {len(all_rows)} right"
        write_grid(prediction_cells(store, found, rows), place, title)
        places.append(place)
    return places


def _draw(cells: Sequence[Cell], title: str, least_across: int) -> Image.Image:
    across = max(least_across, math.ceil(math.sqrt(len(cells))))
    down = -(-len(cells) // across)
    lines = max((len(cell.lines) for cell in cells), default=0)
    width, height = _EDGE + _GAP, _EDGE + lines * _LINE + _GAP + _FRAME
    top = _GAP + (_TITLE if title else 0)
    sheet = Image.new("RGB", (_GAP + across * width, top + down * height), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    large = ImageFont.load_default(18)
    draw.text((_GAP, _GAP), fitted(title, large, sheet.width - 2 * _GAP, keep_end=True), INK, large)
    for number, cell in enumerate(cells):
        corner = (_GAP + number % across * width, top + number // across * height)
        _paste(sheet, cell, corner)
        colour = {True: _RIGHT, False: _WRONG, None: INK}[cell.right]
        for line, text in enumerate(cell.lines):
            place = (corner[0], corner[1] + _EDGE + _FRAME + 2 + line * _LINE)
            draw.text(place, fitted(text, font, _EDGE, keep_end=True), colour, font)
    return sheet


def _paste(sheet: Image.Image, cell: Cell, corner: tuple[int, int]) -> None:
    picture = small_picture(cell.picture, _EDGE)
    left = corner[0] + (_EDGE - picture.width) // 2
    top = corner[1] + _EDGE - picture.height
    if cell.right is not None:
        box = (left - _FRAME, top - _FRAME, left + picture.width + _FRAME, top + picture.height + _FRAME)
        sheet.paste(_RIGHT if cell.right else _WRONG, box)
    sheet.paste(picture, (left, top))
