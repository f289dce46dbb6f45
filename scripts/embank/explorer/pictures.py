"""Thumbnails for the page: found in the store's cache or made from its sources, and encoded anew in either case."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from embank.explorer.collection import Collection

if TYPE_CHECKING:
    import pandas as pd

    from store.thumbnail_cache import Thumbnail

_LARGE = 640  # pixels of the longer side
_AT_ONCE = 200  # new ones that are put into the cache together
_MOST_MADE = 2000  # that are made for the colours of all images: more would keep the page waiting


class Pictures:
    """The thumbnails of a collection; new ones are put into the store's cache now and then."""

    def __init__(self, collection: Collection) -> None:
        from embedder.thumbnails import EDGE, ThumbnailMaker
        from store.thumbnail_cache import ThumbnailCache

        self._images = collection.images
        self._cache = ThumbnailCache.of(collection.store.path, EDGE)
        self._found = self._cache.find(set(self._images["hash"]))
        self._new: dict[str, Thumbnail] = {}
        self._maker = ThumbnailMaker(collection.store)
        self._large = ThumbnailMaker(collection.store, _LARGE)
        self._lock = Lock()
        self._opening = Lock()

    def jpeg(self, row: int) -> bytes | None:
        """The thumbnail of an image; None if its file is gone or changed."""
        one = self._images.iloc[row]
        return self._jpeg(one["source"], one["key"], one["hash"])

    def large(self, row: int) -> bytes | None:
        """The image at a size to look at, made anew each time; None as above."""
        one = self._images.iloc[row]
        with self._opening:
            self._large.open([one["source"]])
        made = self._large.make(one["source"], one["key"], one["hash"])
        return None if made is None else made.jpeg

    def all(self, images: pd.DataFrame) -> list[bytes | None] | None:
        """Those of all images; None if too many would have to be made."""
        missing = sum(hash_ not in self._found for hash_ in images["hash"])
        if missing > _MOST_MADE:
            return None
        return [self._jpeg(*one) for one in zip(images["source"], images["key"], images["hash"], strict=True)]

    def flush(self) -> None:
        """Puts what was made into the store's cache."""
        with self._lock:
            new, self._new = self._new, {}
        self._cache.add(new)

    def _jpeg(self, source: str, key: str, hash_: str) -> bytes | None:
        if hash_ not in self._found:
            with self._opening:  # an archive is listed once, whoever asks for it
                self._maker.open([source])
            made = self._maker.make(source, key, hash_)
            if made is None:
                return None
            with self._lock:
                self._found[hash_] = self._new[hash_] = made
                full = len(self._new) >= _AT_ONCE
            if full:
                self.flush()
        return self._found[hash_].jpeg
