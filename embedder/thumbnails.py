"""Small pictures of banked images, to look at."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
from PIL import Image, ImageOps

from embedder.errors import ImageError
from embedder.images import decode_rgb
from embedder.machine import usable_processors
from embedder.sources import Entry, path_of, read_entry
from store import FeatureStore


def thumbnails(store: FeatureStore, images: pd.DataFrame, edge: int = 176) -> list[bytes | None]:
    """A JPEG of at most `edge` pixels for each row of `images`; None where its file is gone or changed."""
    locations = {name: listing.location for name, listing in store.sources.items()}
    pairs = zip(images["source"], images["key"], strict=True)
    paths = [path_of(locations[source], key) for source, key in pairs]
    with ThreadPoolExecutor(usable_processors()) as pool:
        return list(pool.map(lambda path: _thumbnail(path, edge), paths))


def _thumbnail(path: str, edge: int) -> bytes | None:
    try:
        image = decode_rgb(read_entry(Entry(path, path, -1, -1)), at_least=edge)
    except ImageError:
        return None
    small = ImageOps.contain(image, (edge, edge), Image.Resampling.BILINEAR)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=78)
    return out.getvalue()
