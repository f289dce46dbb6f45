"""Contact sheets: augmented views beside their pictures, to look at before a night is spent on embedding them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from embedder.augmentation import Augmentation
from embedder.errors import EmbedderError, ImageError, RecipeError
from embedder.geometry import Geometry
from embedder.images import decode
from embedder.recipe import Recipe
from embedder.sources import open_source, read_entry, sample_entries

Pixels = NDArray[np.uint8]
_IMAGES, _VIEWS = 6, 7
_EDGE = 160  # of a picture on the sheet
_GAP = 8
_TOP = 46  # for the caption and the heads of the columns
_INK, _PAPER = (40, 40, 40), (255, 255, 255)


def write_contact_sheet(source: str | Path, recipe: Recipe, path: Path, seed: int = 0) -> int:
    """The contact sheet of an augmenting recipe, for a few images of a source drawn by `seed`.

    Returns the number of images on it. Raises RecipeError for a recipe without views, SourceError, and what
    `contact_sheet` does.
    """
    geometry = recipe.geometry
    if geometry.augmentation is None:
        raise RecipeError("a contact sheet shows augmented views: say which with --augment flip,rotation=40.")
    entries = sample_entries(open_source(source).entries, _IMAGES, seed)
    images = []
    for entry in entries:
        with suppress(ImageError):
            images.append(read_entry(entry))
    views = min(geometry.views, 1 + _VIEWS)
    return contact_sheet(images, geometry.augmentation, geometry.size, path, fit=geometry.fit, views=views)


def contact_sheet(
    images: Sequence[bytes],
    augmentation: Augmentation,
    size: int,
    path: Path,
    *,
    fit: str = "squash",
    views: int = 5,
) -> int:
    """Writes a PNG with a row an image: the plain view, then the augmented ones, `views` in all.

    images: the bytes of image files; those that cannot be decoded are left out. size: of the pictures as the
    backbone gets them. Returns the number of rows. Raises ImageError if there is none, EmbedderError if the
    file cannot be written.
    """
    geometry = Geometry(size, fit, augmentation, views)
    rows: list[Pixels] = []
    for data in images:
        with suppress(ImageError):
            rows.append(decode(data, {geometry}).squares[geometry])
    if not rows:
        raise ImageError("there is no picture for the contact sheet: none of the images can be decoded.")
    try:
        _sheet(rows, augmentation.spec).save(path, "PNG")
    except OSError as error:
        raise EmbedderError(
            f"the contact sheet {path} cannot be written: {error.strerror or error}."
        ) from error
    return len(rows)


def _sheet(rows: Sequence[Pixels], caption: str) -> Image.Image:
    step = _EDGE + _GAP
    columns = len(rows[0])
    font = ImageFont.load_default(14)
    width = max(columns * step, round(font.getlength(caption)) + _GAP)
    sheet = Image.new("RGB", (_GAP + width, _TOP + len(rows) * step), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, 6), caption, _INK, font)
    for column in range(columns):
        head = f"view {column}" if column else "view 0: plain"
        draw.text((_GAP + column * step, _TOP - 18), head, _INK, ImageFont.load_default(12))
    for row, squares in enumerate(rows):
        for column, square in enumerate(squares):
            picture = Image.fromarray(square).resize((_EDGE, _EDGE), Image.Resampling.BICUBIC)
            sheet.paste(picture, (_GAP + column * step, _TOP + row * step))
    return sheet
