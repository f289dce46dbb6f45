"""Contact sheets: pictures side by side, such as augmented views before a night is spent on embedding them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from embedder.augmentation import Augmentation
from embedder.errors import EmbedderError, ImageError, RecipeError
from embedder.geometry import Geometry
from embedder.images import decode, decode_rgb
from embedder.recipe import Recipe
from embedder.sources import open_source, read_entry, sample_entries

Pixels = NDArray[np.uint8]
Font: TypeAlias = ImageFont.ImageFont | ImageFont.FreeTypeFont
_IMAGES, _VIEWS = 6, 7
_EDGE = 160  # of a picture on the sheet
_GAP = 8
_TOP = 46  # for the caption and the heads of the columns
_INK, _PAPER, _GONE = (40, 40, 40), (255, 255, 255), (225, 225, 225)
_ACROSS = 6  # pictures of a plain sheet, at least
_CAPTION = 20


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
    _save(_sheet(rows, augmentation.spec), path, "PNG")
    return len(rows)


def write_picture_sheet(pictures: Sequence[tuple[bytes | None, str]], path: Path) -> None:
    """Writes a JPEG of small JPEGs (None: the file is gone) with their captions below, row by row.

    Raises EmbedderError if the file cannot be written.
    """
    step, across = _EDGE + _GAP, max(_ACROSS, math.isqrt(len(pictures)))
    size = (_GAP + across * step, _GAP + -(-len(pictures) // across) * (step + _CAPTION))
    sheet = Image.new("RGB", size, _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for number, (data, caption) in enumerate(pictures):
        x = _GAP + number % across * step
        y = _GAP + number // across * (step + _CAPTION)
        picture = Image.new("RGB", (_EDGE, _EDGE), _GONE) if data is None else decode_rgb(data, _EDGE)
        picture.thumbnail((_EDGE, _EDGE))
        sheet.paste(picture, (x + (_EDGE - picture.width) // 2, y + (_EDGE - picture.height) // 2))
        draw.text((x, y + _EDGE + 2), _shortened(caption, font), _INK, font)
    _save(sheet, path, "JPEG")


def _shortened(text: str, font: Font) -> str:
    """The end of a text that is too long for a picture's width: file names differ there."""
    if font.getlength(text) <= _EDGE:
        return text
    head, _, tail = text.partition(" ")
    while tail and font.getlength(f"{head} …{tail}") > _EDGE:
        tail = tail[1:]
    return f"{head} …{tail}"


def _save(sheet: Image.Image, path: Path, kind: str) -> None:
    try:
        sheet.save(path, kind)
    except OSError as error:
        raise EmbedderError(
            f"the contact sheet {path} cannot be written: {error.strerror or error}."
        ) from error


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
