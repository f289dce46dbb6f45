"""The vectors of a space that a comparison works on: in memory, or read from the store where they are too many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.banked_rows import fit_ridges_on_rows, learn_codes
from classifiers.by_parts import PartedRidges, Runner, ThreadRunner
from classifiers.errors import HeadError
from classifiers.factor_cache import FactorCache, KeptFactors
from classifiers.fitting import fit_on_views
from classifiers.gram import Gram
from classifiers.presets import Estimator
from classifiers.ridge import RidgeHead
from classifiers.space_rows import SpaceRows
from classifiers.splits import Rows
from classifiers.targets import Targets
from store import FeatureStore
from store.columns import Hashes, hashes_from_hex


def banked(store: FeatureStore, space: str, images: pd.DataFrame) -> NDArray[np.bool_]:
    """Which images have a vector in a space: (n,)."""
    if not len(images):
        return np.zeros(0, bool)
    found: NDArray[np.bool_] = store.space(space).find(hashes_from_hex(images["hash"])) >= 0
    return found


class Vectors(Protocol):
    """The vectors of some images of a `space`, found by the row numbers of all images."""

    @property
    def space(self) -> str: ...

    def __getitem__(self, rows: Rows, /) -> NDArray[np.float32]:
        """(m, d), of the images themselves."""

    def kept(self, rows: Rows) -> KeptFactors:
        """Where the factorization of these images is kept."""

    def fit(self, heads: Sequence[Estimator], rows: Rows, codes: Sequence[Targets]) -> list[str]:
        """Fits heads of one kind on these images, each with its codes; returns what they warned of."""


class Bank:
    """Vectors in memory, one array a view."""

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

    def __getitem__(self, rows: Rows) -> NDArray[np.float32]:
        return self._views[0][self._place[rows]]

    def kept(self, rows: Rows) -> KeptFactors:
        """Where the factorization of these images is kept; that of a fold is made from the Gram matrix of all."""
        rest = np.ones(len(self._hashes), bool)
        rest[self._place[rows]] = False
        fold = self._folds and rest.sum() < len(rows)
        gram = (lambda: self._gram_without(rest)) if fold else None
        return self._factors.rows(self.space, self._hashes[self._place[rows]], gram)

    def fit(self, heads: Sequence[Estimator], rows: Rows, codes: Sequence[Targets]) -> list[str]:
        """On all views of the images."""
        views = [vectors[self._place[rows]] for vectors in self._views]
        return fit_on_views(heads, views, codes, self.kept(rows))

    def _gram_without(self, rest: NDArray[np.bool_]) -> Gram:
        return self._gram.without(self._views[0][rest]) if rest.any() else self._gram

    @cached_property
    def _gram(self) -> Gram:
        return Gram.of(np.asarray(self._views[0]))


class StreamedBank:
    """Vectors that are read from the store, by parts; ridge heads alone can be fitted on them.

    rows: the images that are used at all. folds: whether what is fitted is most of these, several times over.
    """

    def __init__(
        self,
        store: FeatureStore,
        space: str,
        images: pd.DataFrame,
        rows: Rows,
        folds: bool = False,
        runner: Runner | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self._space = store.space(space)
        self.space = self._space.id
        self._hashes = hashes_from_hex(images["hash"])
        self._places = self._space.find(self._hashes)
        self._factors = FactorCache.of(store)
        self._rows, self._folds, self._runner, self._tell = rows, folds, runner, tell

    def __getitem__(self, rows: Rows) -> NDArray[np.float32]:
        return SpaceRows(self._space, self._places[rows])[:]

    def kept(self, rows: Rows) -> KeptFactors:
        """That of these rows in the order in which they lie; of a fold it is made from the Gram matrix of all."""
        ordered = self._ordered(rows)
        rest = np.setdiff1d(self._rows, rows, assume_unique=True)
        gram = (lambda: self._gram_without(rest)) if self._folds and len(rest) < len(rows) else None
        return self._factors.rows(self.space, self._hashes[ordered], gram)

    def fit(self, heads: Sequence[Estimator], rows: Rows, codes: Sequence[Targets]) -> list[str]:
        """On the images themselves. Raises HeadError for any but ridge heads."""
        ridges = [head for head in heads if type(head) is RidgeHead]
        if len(ridges) < len(heads):
            raise HeadError(
                f"the vectors of {self.space} do not fit in memory, and only ridge heads are trained without: take "
                "ridge, or fewer images (where: in the scheme, or --train-sizes)"
            )
        order = np.argsort(self._places[rows], kind="stable")
        X = SpaceRows(self._space, self._places[rows[order]])
        learned = [learn_codes(head, one[order], X) for head, one in zip(ridges, codes, strict=True)]
        fit_ridges_on_rows(
            ridges, X, learned, None, self.kept(rows), self._runner, self._tell, with_codes=False
        )
        return []

    def _ordered(self, rows: Rows) -> Rows:
        return np.asarray(rows[np.argsort(self._places[rows], kind="stable")])

    def _gram_without(self, rest: Rows) -> Gram:
        return self._gram.less(self._gram_of(rest)) if len(rest) else self._gram

    @cached_property
    def _gram(self) -> Gram:
        return self._gram_of(self._rows)

    def _gram_of(self, rows: Rows) -> Gram:
        X = SpaceRows(self._space, self._places[self._ordered(rows)])
        return PartedRidges(X, self._runner or ThreadRunner(), self._tell).gram()
