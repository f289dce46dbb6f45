"""What all sheets of photos have: their colours, captions that fit, and photos made small."""

from __future__ import annotations

import io
from typing import TypeAlias

from PIL import Image, ImageFont

Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont
INK, PAPER, GONE = (40, 40, 40), (255, 255, 255), (225, 225, 225)
# Pillow's own font lacks these, and most of all other scripts.
_WRITTEN = str.maketrans({"–": "-", "≥": ">=", "…": "...", "×": "x"})


def fitted(text: str, font: Font, width: int, keep_end: bool = False) -> str:
    """As much of a text as fits. keep_end: leave its start out, as names of files differ at their ends."""
    text = text.translate(_WRITTEN)
    if font.getlength(text) <= width:
        return text
    while text:
        text = text[1:] if keep_end else text[:-1]
        short = f"...{text}" if keep_end else f"{text}..."
        if font.getlength(short) <= width:
            return short
    return "..."


def small_picture(jpeg: bytes | None, edge: int) -> Image.Image:
    """A photo of at most `edge` pixels, or a grey square where its file is gone."""
    if jpeg is None:
        return Image.new("RGB", (edge, edge), GONE)
    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as photo:
        picture = photo.convert("RGB")
    picture.thumbnail((edge, edge))
    return picture
