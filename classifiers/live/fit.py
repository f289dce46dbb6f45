"""A ridge by exact leave-one-out on the images of a space, for one scheme after another."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.errors import HeadError
from classifiers.factor_cache import FactorCache
from classifiers.gram import Gram
from classifiers.live.columns import ColumnCache, columns_of
from classifiers.live.result import LiveResult, softmax
from classifiers.ridge import DEFAULT_GRID, rows_that_tell, temperature_rows
from classifiers.signs import SignColumns
from classifiers.temperature import fit_temperature
from store import FeatureStore
from store.columns import hashes_from_hex

_SETS_KEPT = 3  # of labelled images, each with its factorization: the scheme, and what undoing leads to


class LiveFit:
    """The vectors of some images of a space in memory, and what is known of them for any labels.

    No two of the images have the same bytes: a copy that stays would tell of the one that is left out. Raises
    UnknownImageError for an image that is not banked in the space.
    """

    def __init__(self, store: FeatureStore, space: str, images: pd.DataFrame) -> None:
        self.space = store.space(space).id
        self.vectors: NDArray[np.float32] = np.asarray(store.vectors(self.space, images))
        self._hashes = hashes_from_hex(images["hash"])
        self._factors = FactorCache.of(store)
        self._sets: OrderedDict[bytes, ColumnCache] = OrderedDict()

    def solve(self, codes: NDArray[np.intp], classes: int) -> LiveResult:
        """What the labels `codes` (n,), 0 to classes - 1 or -1 for none, are worth.

        Quick for labels of the images that had labels before, as each changed class costs by itself; other images
        need a factorization first. Raises HeadError unless two classes have images.
        """
        started = time.perf_counter()
        codes = np.asarray(codes, np.intp)
        labelled = codes >= 0
        found = _Solved(self._set_of(labelled), codes[labelled], classes)
        scores = np.empty((len(codes), classes), np.float32)
        scores[labelled] = found.left_out()
        if not labelled.all():
            scores[~labelled] = found.predict(self.vectors[~labelled])
        shares, predicted = softmax(scores), scores.argmax(axis=1)
        confidence = shares[np.arange(len(codes)), predicted]
        took = 1000 * (time.perf_counter() - started)
        return LiveResult(codes, predicted, scores, confidence, found.strength, took)

    def _set_of(self, labelled: NDArray[np.bool_]) -> ColumnCache:
        name = np.packbits(labelled).tobytes()
        if name not in self._sets:
            few_left_out = 0 < (~labelled).sum() < labelled.sum()
            gram = partial(self._gram_without, ~labelled) if few_left_out else None
            kept = self._factors.rows(self.space, self._hashes[labelled], gram)
            X = self.vectors if labelled.all() else self.vectors[labelled]
            if len(X) < 2:
                raise HeadError(
                    "fewer than two images have a label: label some of two classes to see figures."
                )
            factor = kept.factorization(X)
            known = len(factor.known_gaps)
            factor.learn_gaps(DEFAULT_GRID * factor.scale)
            if labelled.all():  # others come and go with every click
                kept.keep(factor, known)
            self._sets[name] = ColumnCache(factor)
        self._sets.move_to_end(name)
        while len(self._sets) > _SETS_KEPT:
            self._sets.popitem(last=False)
        return self._sets[name]

    def _gram_without(self, left_out: NDArray[np.bool_]) -> Gram:
        return self._gram.without(self.vectors[left_out])

    @cached_property
    def _gram(self) -> Gram:
        return Gram.of(self.vectors)


class _Solved:
    """The ridge of one label vector (m,) of the rows of a factorization; classes without images are never predicted."""

    def __init__(self, cache: ColumnCache, codes: NDArray[np.intp], classes: int) -> None:
        self._cache, self._classes = cache, classes
        self._present, own = np.unique(codes, return_inverse=True)
        if len(self._present) < 2:
            raise HeadError(
                "all labelled images are of one class: a scheme needs two classes with images to be judged."
            )
        self._codes = np.asarray(own, np.intp)
        self._columns: Sequence[SignColumns] = columns_of(self._codes, len(self._present))
        self.strength = self._best_strength()
        scores = cache.left_out(self._columns, self.strength)
        rows = temperature_rows(len(codes), scores.shape[1])
        self._scores, self._factor = scores, fit_temperature(scores[rows], self._codes[rows])

    def left_out(self) -> NDArray[np.float32]:
        """Scaled scores (m, k) that each row would have if it were left out."""
        return self._spread(self._scores)

    def predict(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scaled scores (·, k) of other rows."""
        cache = self._cache
        P, means = cache.projections(self._columns), cache.means(self._columns)
        strengths = np.full(len(self._columns), self.strength)
        coefficients, intercepts = cache.factor.coefficients(P, means, strengths)
        return self._spread(vectors @ coefficients.T.astype(np.float32) + intercepts)

    def _best_strength(self) -> float:
        """As RidgeHead chooses it."""
        strengths = DEFAULT_GRID * self._cache.factor.scale
        told = rows_that_tell(self._codes)
        if told is not None and not told.any():
            return float(strengths[len(strengths) // 2])
        errors = self._cache.errors(self._columns, strengths, told).mean(axis=1)
        return float(strengths[errors.argmin()])

    def _spread(self, scores: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Scores of the columns (m, t) as scaled ones of all classes."""
        found = np.full((len(scores), self._classes), -np.inf, np.float32)
        if scores.shape[1] == 1:
            scores = np.concatenate([-scores / 2, scores / 2], axis=1)
        found[:, self._present] = scores * self._factor
        return found
