"""The pictures of a report. Each is embedded once, as a CSS class that any number of places name."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from contextlib import suppress

import pandas as pd

from classifiers.audits.traits import Pictures

_MOST_BYTES = 4 << 20  # of JPEGs; base64 makes them 5.6 MB
_TILE = 96  # pixels of a map's picture, shown as large as they are
_TILES = 10  # in a row of a sheet; sheets are decoded when one of their pictures is looked at
_QUALITY = 62


class Shown:
    """Which pictures of the images a report shows."""

    def __init__(self, images: pd.DataFrame) -> None:
        self._images = images
        self._keys = images["key"].astype(str)
        self._rows: dict[int, None] = {}

    def name(self, row: int) -> str:
        """The CSS class of the image in this row of the images."""
        self._rows[row] = None
        return f"p{row}"

    def cell(self, row: int, label: str) -> dict[str, str]:
        """A picture of an image, and its words: the key and a label."""
        key = self._keys.iloc[row]
        return {"style": self.name(row), "alt": f"{key}: {label}", "key": key}

    def load(self, pictures: Pictures, others: Sequence[int] = ()) -> dict[int, bytes]:
        """The JPEGs of all images named so far and of the `others`, by row; asks for each once."""
        rows = list(dict.fromkeys([*self._rows, *others]))
        found = pictures(self._images.iloc[rows]) if rows else []
        return {row: data for row, data in zip(rows, found, strict=True) if data}

    def styles(self, found: Mapping[int, bytes]) -> dict[str, str]:
        """CSS class to base64 of the JPEG of every image that was named; smaller ones where they were too much."""
        mine = {row: found[row] for row in self._rows if row in found}
        total = sum(map(len, mine.values()))
        if total > _MOST_BYTES:
            scale = (_MOST_BYTES / total) ** 0.5
            mine = {row: _smaller(data, scale) for row, data in mine.items()}
        return {f"p{row}": _text(data) for row, data in mine.items()}


def sheets(rows: Sequence[int], found: Mapping[int, bytes]) -> list[str]:
    """Sheets of 10 × 10 small pictures in the order of `rows`, as base64 of JPEGs; blank where there is none."""
    each = _TILES * _TILES
    if not any(row in found for row in rows):
        return []
    return [_sheet([found.get(row) for row in rows[i : i + each]]) for i in range(0, len(rows), each)]


def _sheet(jpegs: Sequence[bytes | None]) -> str:
    from PIL import Image, ImageOps

    tall = -(-len(jpegs) // _TILES)
    sheet = Image.new("RGB", (_TILES * _TILE, tall * _TILE), (128, 128, 128))
    for place, data in enumerate(jpegs):
        with suppress(OSError, ValueError):  # what is no picture stays blank
            if data:
                with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
                    tile = ImageOps.fit(image.convert("RGB"), (_TILE, _TILE), Image.Resampling.BILINEAR)
                sheet.paste(tile, (place % _TILES * _TILE, place // _TILES * _TILE))
    out = io.BytesIO()
    sheet.save(out, "JPEG", quality=_QUALITY)
    return _text(out.getvalue())


def _smaller(data: bytes, scale: float) -> bytes:
    """A JPEG of `scale` of the edges, as it is if it is none."""
    from PIL import Image

    with suppress(OSError, ValueError), Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        out = io.BytesIO()
        image.convert("RGB").resize(size, Image.Resampling.BILINEAR).save(out, "JPEG", quality=75)
        return out.getvalue()
    return data


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
