"""Small pictures of banked images, to look at, and their mean colours."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageOps

from embedder.errors import ImageError
from embedder.images import decode_rgb
from embedder.machine import usable_processors
from embedder.sources import reader_at
from store import FeatureStore
from store.commit import checksum
from store.thumbnail_cache import PACK_BYTES, Thumbnail, ThumbnailCache

Progress: TypeAlias = Callable[[int, int], None]
EDGE = 160  # pixels of the longer side
_QUALITY = 78
_AT_ONCE = 1024  # between two reports of progress


def thumbnails(
    store: FeatureStore, images: pd.DataFrame, edge: int = EDGE, progress: Progress | None = None
) -> list[bytes | None]:
    """A JPEG of at most `edge` pixels for each row of `images`; None where its file is gone or changed.

    They are kept in the store's cache. Images of a data set and of an archive at a URL are read with all others
    of it, once. progress: told how many of the images are done, of how many.
    """
    found = _thumbnails(store, images, edge, progress)
    return [found[hash_].jpeg if hash_ in found else None for hash_ in images["hash"]]


def colours(
    store: FeatureStore, images: pd.DataFrame, progress: Progress | None = None
) -> NDArray[np.float64]:
    """The mean red, green and blue of each row of `images`, (n, 3) from 0 to 255; NaN as `thumbnails` has None."""
    found = _thumbnails(store, images, EDGE, progress)
    unknown = (np.nan, np.nan, np.nan)
    rows = [found[hash_].colour if hash_ in found else unknown for hash_ in images["hash"]]
    return np.array(rows, np.float64).reshape(len(rows), 3)


def make_thumbnail(image: Image.Image, edge: int = EDGE) -> Thumbnail:
    """The thumbnail of an RGB picture."""
    small = ImageOps.contain(image, (edge, edge), Image.Resampling.BILINEAR)
    small.info = {}  # comments of the file, which may be as long as its pictures
    out = io.BytesIO()
    small.save(out, "JPEG", quality=_QUALITY)
    mean = np.asarray(small.resize((1, 1), Image.Resampling.BOX))  # seven times as quick as numpy's mean
    red, green, blue = mean.ravel().tolist()
    return Thumbnail(out.getvalue(), (red, green, blue))


class ThumbnailMaker:
    """Makes thumbnails of single images of a store, from its sources."""

    def __init__(self, store: FeatureStore, edge: int = EDGE) -> None:
        self._store, self._edge = store, edge
        self._readers: dict[str, Callable[[str], bytes] | None] = {}

    def open(self, sources: Iterable[str]) -> None:
        """Opens sources by their names, once each."""
        for name in sources:
            if name not in self._readers:
                listing = self._store.sources.get(name)
                self._readers[name] = None if listing is None else reader_at(listing.location, whole=True)

    def make(self, source: str, key: str, hash_: str) -> Thumbnail | None:
        """The thumbnail of an image of an opened source; None if its file is gone or changed."""
        read = self._readers.get(source)
        if read is None:
            return None
        try:
            data = read(key)
            if checksum(data) != hash_:
                return None
            image = decode_rgb(data, at_least=self._edge)
        except ImageError:
            return None
        return make_thumbnail(image, self._edge)


def _thumbnails(
    store: FeatureStore, images: pd.DataFrame, edge: int, progress: Progress | None
) -> dict[str, Thumbnail]:
    """By hash; what is made is kept a pack at a time, so that an interrupted call is not all lost."""
    cache = ThumbnailCache.of(store.path, edge)
    found = cache.find(set(images["hash"]))
    missing = images[~images["hash"].isin(found.keys())]
    maker = ThumbnailMaker(store, edge)
    maker.open(missing["source"].unique())
    made: dict[str, Thumbnail] = {}
    try:
        with ThreadPoolExecutor(usable_processors()) as pool:
            for start in range(0, len(missing), _AT_ONCE):
                some = missing.iloc[start : start + _AT_ONCE]
                results = pool.map(maker.make, some["source"], some["key"], some["hash"])
                made |= {hash_: result for hash_, result in zip(some["hash"], results, strict=True) if result}
                if sum(len(thumbnail.jpeg) for thumbnail in made.values()) > PACK_BYTES:
                    cache.add(made)
                    found |= made
                    made = {}
                if progress:
                    progress(len(images) - len(missing) + start + len(some), len(images))
    finally:
        cache.add(made)
    return found | made
