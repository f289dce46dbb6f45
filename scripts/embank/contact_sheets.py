"""Contact sheets of classes: a row of thumbnails for each class of each scheme."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageFont

from embank.drawing import INK, PAPER, fitted, small_picture

EDGE = 96  # pixels of a picture on the sheet
_GAP, _CAPTION, _TITLE = 6, 200, 34
_STYLE = (
    ":root{color-scheme:light dark;font:15px system-ui,sans-serif}body{margin:1.5rem}"
    "th{text-align:left;font-weight:normal;padding-right:1rem;max-width:14rem;overflow-wrap:anywhere}"
    "small{display:block;opacity:.65}td{white-space:nowrap}img,i{margin:2px;vertical-align:middle}"
    f"img{{max-width:{EDGE}px;max-height:{EDGE}px}}i{{opacity:.65}}"
)
_FAINT = (110, 110, 110)


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
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    fonts = (ImageFont.load_default(18), ImageFont.load_default(14), ImageFont.load_default(12))
    top = _GAP
    for title, rows in sections:
        draw.text((_GAP, top), fitted(title, fonts[0], sheet.width - 2 * _GAP), INK, fonts[0])
        top += _TITLE
        for row in rows:
            draw.text((_GAP, top + EDGE // 3), fitted(row.name, fonts[1], _CAPTION - 2 * _GAP), INK, fonts[1])
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
    picture, (left, top) = small_picture(data, EDGE), corner
    sheet.paste(picture, (left + (EDGE - picture.width) // 2, top + (EDGE - picture.height) // 2))
