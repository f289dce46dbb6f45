"""The vectors of a space that a comparison works on, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.factor_cache import FactorCache, KeptFactors
from classifiers.gram import Gram
from classifiers.splits import Rows
from store import FeatureStore
from store.columns import Hashes, hashes_from_hex


def banked(store: FeatureStore, space: str, images: pd.DataFrame) -> NDArray[np.bool_]:
    """Which images have a vector in a space: (n,)."""
    if not len(images):
        return np.zeros(0, bool)
    found: NDArray[np.bool_] = store.space(space).find(hashes_from_hex(images["hash"])) >= 0
    return found


class Bank:
    """The vectors of some images of a space, found by the row numbers of all images; one array a view."""

    def __init__(
        self,
        space: str,
        views: Sequence[NDArray[np.float32]],
        rows: Rows,
        images: int,
        hashes: Hashes,
        factors: FactorCache,
        folds: bool,
    ) -> None:
        self.space = space
        self._views = views
        self._place = np.full(images, -1, np.intp)
        self._place[rows] = np.arange(len(rows))
        self._hashes, self._factors, self._folds = hashes, factors, folds

    def kept(self, rows: Rows) -> KeptFactors:
        """Where the factorization of these images is kept; that of a fold is made from the Gram matrix of all."""
        rest = np.ones(len(self._hashes), bool)
        rest[self._place[rows]] = False
        fold = self._folds and rest.sum() < len(rows)
        gram = (lambda: self._gram.without(self._views[0][rest])) if fold else None
        return self._factors.rows(self.space, self._hashes[self._place[rows]], gram)

    @cached_property
    def _gram(self) -> Gram:
        return Gram.of(np.asarray(self._views[0]))

    def __getitem__(self, rows: Rows) -> NDArray[np.float32]:
        return self._views[0][self._place[rows]]

    def views(self, rows: Rows) -> list[NDArray[np.float32]]:
        """All views of these images, the images themselves first."""
        return [vectors[self._place[rows]] for vectors in self._views]
