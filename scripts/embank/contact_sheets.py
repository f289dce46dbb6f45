"""Contact sheets of classes: a row of thumbnails for each class of each scheme."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont
    from PIL.ImageFont import ImageFont as BitmapFont

EDGE = 96  # pixels of a picture on the sheet
_GAP, _CAPTION, _TITLE = 6, 200, 34
# Pillow's own font lacks these, and most of all other scripts: the page has whatever the browser has.
_WRITTEN = str.maketrans({"–": "-", "≥": ">=", "…": "..."})
_STYLE = (
    ":root{color-scheme:light dark;font:15px system-ui,sans-serif}body{margin:1.5rem}"
    "th{text-align:left;font-weight:normal;padding-right:1rem;max-width:14rem;overflow-wrap:anywhere}"
    "small{display:block;opacity:.65}td{white-space:nowrap}img,i{margin:2px;vertical-align:middle}"
    f"img{{max-width:{EDGE}px;max-height:{EDGE}px}}i{{opacity:.65}}"
)
_INK, _FAINT, _PAPER, _GONE = (40, 40, 40), (110, 110, 110), (255, 255, 255), (225, 225, 225)


@dataclass(frozen=True)
class SheetRow:
    """A class on the sheet. pictures: image files' bytes, None for one that is gone."""

    name: str
    remark: str
    pictures: Sequence[bytes | None]


Sections: TypeAlias = Sequence[tuple[str, Sequence[SheetRow]]]


def contact_sheet(sections: Sections, kind: str = "JPEG") -> bytes:
    """The bytes of a picture with a title for each section and below it a line a class."""
    columns = max((len(row.pictures) for _, rows in sections for row in rows), default=0)
    lines = sum(len(rows) for _, rows in sections)
    size = (_CAPTION + columns * (EDGE + _GAP) + _GAP, _TITLE * len(sections) + lines * (EDGE + _GAP) + _GAP)
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    fonts = (ImageFont.load_default(18), ImageFont.load_default(14), ImageFont.load_default(12))
    top = _GAP
    for title, rows in sections:
        draw.text((_GAP, top), title.translate(_WRITTEN), _INK, fonts[0])
        top += _TITLE
        for row in rows:
            draw.text((_GAP, top + EDGE // 3), _fitted(row.name, fonts[1]), _INK, fonts[1])
            draw.text((_GAP, top + EDGE // 3 + 20), row.remark, _FAINT, fonts[2])
            for column, data in enumerate(row.pictures):
                _paste(sheet, data, (_CAPTION + column * (EDGE + _GAP), top))
            top += EDGE + _GAP
    out = io.BytesIO()
    sheet.save(out, kind, quality=85)
    return out.getvalue()


def contact_page(title: str, sections: Sections) -> bytes:
    """The same as `contact_sheet`, as a page of HTML that needs nothing else."""
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style><h1>{html.escape(title)}</h1>'
    ]
    for name, rows in sections:
        parts.append(f"<h2>{html.escape(name)}</h2><table>")
        for row in rows:
            alt = html.escape(row.name)
            pictures = "".join(_image(data, alt) for data in row.pictures)
            parts.append(
                f'<tr><th scope="row">{alt}<small>{html.escape(row.remark)}</small></th><td>{pictures}</td></tr>'
            )
        parts.append("</table>")
    return "\n".join(parts).encode()


def _image(data: bytes | None, alt: str) -> str:
    if data is None:
        return "<i>gone</i>"
    return f'<img src="data:image/jpeg;base64,{base64.b64encode(data).decode()}" alt="{alt}">'


def _paste(sheet: Image.Image, data: bytes | None, corner: tuple[int, int]) -> None:
    left, top = corner
    if data is None:
        sheet.paste(_GONE, (left, top, left + EDGE, top + EDGE))
        return
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as picture:
        picture.thumbnail((EDGE, EDGE))
        sheet.paste(picture, (left + (EDGE - picture.width) // 2, top + (EDGE - picture.height) // 2))


def _fitted(text: str, font: FreeTypeFont | BitmapFont) -> str:
    """As much of a text as the caption's column holds."""
    text = text.translate(_WRITTEN)
    if font.getlength(text) <= _CAPTION - 2 * _GAP:
        return text
    while font.getlength(f"{text}...") > _CAPTION - 2 * _GAP:
        text = text[:-1]
    return f"{text}..."
