"""What the upper part is trained on: activations from the bank, or photos that are decoded anew each epoch."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from embedder.errors import FinetuneError, ImageError
from embedder.finetuning.banking import is_banked
from embedder.finetuning.training import Feed
from embedder.finetuning.tunable import Tunable
from embedder.geometry import Geometry
from embedder.images import decode
from embedder.keras_engine import preprocess
from embedder.machine import usable_processors
from embedder.recipe import FrozenRecipe
from embedder.sources import reader_at
from store import FeatureStore

Rows = NDArray[np.intp]


def open_feed(
    store: FeatureStore, tunable: Tunable, images: pd.DataFrame, seed: int
) -> tuple[Feed, NDArray[np.bool_]]:
    """What gives inputs of `tunable`, and for which images (n,). Raises FinetuneError if none is banked."""
    if tunable.cut is None:
        return PhotoFeed(store, tunable.frozen, images), np.ones(len(images), bool)
    if tunable.space not in store.spaces:
        raise FinetuneError("no image could be embedded: there is nothing to train on.")
    return BankedFeed(store, tunable.space, images, seed), is_banked(store, tunable.space, images)


class BankedFeed:
    """Feature maps of a space, (m, *shape). An epoch shows one view of each image, drawn by seed and epoch."""

    def __init__(self, store: FeatureStore, space: str, images: pd.DataFrame, seed: int) -> None:
        self._store, self._space, self._images, self._seed = store, store.space(space), images, seed

    def __call__(self, rows: Rows, epoch: int | None) -> NDArray[np.float32]:
        """See `training.Feed`."""
        found = np.empty((len(rows), self._space.dim), np.float32)
        views = self._views(epoch)[rows]
        for view in np.unique(views).tolist():
            here = np.flatnonzero(views == view)
            found[here] = self._store.vectors(self._space.id, self._images.iloc[rows[here]], view=view)
        return found.reshape(len(rows), *self._space.shape)

    def _views(self, epoch: int | None) -> NDArray[np.intp]:
        if epoch is None or self._space.views == 1:
            return np.zeros(len(self._images), np.intp)
        return np.random.default_rng((self._seed, epoch, 1)).integers(0, self._space.views, len(self._images))


class PhotoFeed:
    """Preprocessed photos (m, size, size, 3), read and decoded anew each time.

    Of an augmenting recipe an epoch shows a view that no other epoch has shown.
    """

    def __init__(self, store: FeatureStore, recipe: FrozenRecipe, images: pd.DataFrame) -> None:
        self._recipe, self._images = recipe, images
        self._plain, self._augmentation = recipe.geometry.without_views, recipe.geometry.augmentation
        locations = {name: listing.location for name, listing in store.sources.items()}
        self._readers: dict[str, Callable[[str], bytes]] = {
            source: reader_at(locations[source], whole=True) for source in images["source"].unique()
        }
        self._pool = ThreadPoolExecutor(usable_processors(), thread_name_prefix="decode")

    def __call__(self, rows: Rows, epoch: int | None) -> NDArray[np.float32]:
        """See `training.Feed`. Raises FinetuneError for a photo that cannot be read."""
        squares = list(self._pool.map(lambda row: self._square(row, epoch), rows.tolist()))
        return preprocess(np.stack(squares), self._recipe)

    def _square(self, row: int, epoch: int | None) -> NDArray[np.uint8]:
        image = self._images.iloc[row]
        try:
            square = _decoded(self._readers[image["source"]](image["key"]), self._plain)
        except ImageError as error:
            raise FinetuneError(
                f"{image['key']} of {image['source']} {error}, and training on photos reads each of them every epoch. "
                "Bring it back, or embed the source again, so that it is left out."
            ) from error
        if epoch is None or self._augmentation is None:
            return square
        return self._augmentation.apply(square, image["hash"], epoch)


def _decoded(data: bytes, geometry: Geometry) -> NDArray[np.uint8]:
    square: NDArray[np.uint8] = decode(data, {geometry}).squares[geometry][0]
    return square
