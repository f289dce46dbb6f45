"""Small pictures of banked images, to look at."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
from PIL import Image, ImageOps

from embedder.errors import ImageError
from embedder.images import decode_rgb
from embedder.machine import usable_processors
from embedder.sources import reader_at
from store import FeatureStore


def thumbnails(store: FeatureStore, images: pd.DataFrame, edge: int = 176) -> list[bytes | None]:
    """A JPEG of at most `edge` pixels for each row of `images`; None where its file is gone or changed."""
    locations = {name: listing.location for name, listing in store.sources.items()}
    readers = {source: reader_at(locations[source]) for source in images["source"].unique()}
    with ThreadPoolExecutor(usable_processors()) as pool:
        return list(
            pool.map(
                lambda source, key: _thumbnail(readers[source], key, edge), images["source"], images["key"]
            )
        )


def _thumbnail(read: Callable[[str], bytes], key: str, edge: int) -> bytes | None:
    try:
        image = decode_rgb(read(key), at_least=edge)
    except ImageError:
        return None
    small = ImageOps.contain(image, (edge, edge), Image.Resampling.BILINEAR)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=78)
    return out.getvalue()
