"""A ridge by exact leave-one-out on the images of a space, for one scheme after another."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.factor_cache import FactorCache
from classifiers.factorization import Factorization, Float
from classifiers.gram import Gram
from classifiers.live.changed_rows import Ridges, changed_rows
from classifiers.live.columns import ColumnCache
from classifiers.live.labels import LiveLabels
from classifiers.live.result import LiveResult, softmax
from classifiers.ridge import DEFAULT_GRID, temperature_rows
from classifiers.signs import SignColumns, Signs
from classifiers.skinny import shared_scores
from classifiers.temperature import fit_temperature
from classifiers.threads import few_threads
from store import FeatureStore
from store.columns import hashes_from_hex

_SETS_KEPT = 3  # of labelled images, each with its factorization: the scheme, and what undoing leads to
_AT_ONCE = 1 << 30  # multiplications that take no longer than a tenth of a second
_TURNED = 256 << 20  # bytes of all vectors: of more, those of each set are not kept in its eigenbasis too
_EIGEN = 10  # times the third power of its side are those of an eigendecomposition


class LiveFit:
    """The vectors of some images of a space in memory, and what is known of them for any labels.

    No two of the images have the same bytes: a copy that stays would tell of the one that is left out. Threads may
    solve side by side. Raises UnknownImageError for an image that is not banked in the space.
    """

    def __init__(self, store: FeatureStore, space: str, images: pd.DataFrame) -> None:
        self.space = store.space(space).id
        self.vectors: NDArray[np.float32] = np.asarray(store.vectors(self.space, images))
        self._dim = int(self.vectors.shape[1])
        self._hashes = hashes_from_hex(images["hash"])
        self._factors = FactorCache.of(store)
        self._sets: OrderedDict[bytes, _Known] = OrderedDict()
        self._lock = Lock()

    def solve(self, codes: NDArray[np.intp], classes: int) -> LiveResult:
        """What the labels `codes` (n,), 0 to classes - 1 or -1 for none, are worth.

        Quick for labels of the images that had labels before, as each changed class costs by itself; other images
        need a factorization first: seconds. Raises HeadError unless two classes have images.
        """
        started = time.perf_counter()
        labels = LiveLabels.of(codes, classes)
        known = self._known(labels.labelled)
        return self._settled(known, labels, labels.columns(known.labelled), started)

    def at_once(self, codes: NDArray[np.intp], classes: int) -> LiveResult:
        """As `solve`, but where that takes longer than about a tenth of a second it is not `settled`.

        Then it is of the strength of what was solved before, by the factorization of images that had labels before,
        without those that have none now and with those that have one.
        """
        started = time.perf_counter()
        labels = LiveLabels.of(codes, classes)
        known = self._nearest(labels.labelled)
        if known is None or self._fresh(labels) <= _AT_ONCE:
            return self.solve(codes, classes)
        columns = labels.columns(known.labelled)
        if (known.labelled == labels.labelled).all():
            if self._scan(labels, known.new_columns(columns, labels)) <= _AT_ONCE:
                return self._settled(known, labels, columns, started)
            return self._result(labels, known.labelled, known.ridges(columns), started, settled=False)
        came = np.flatnonzero(labels.labelled & ~known.labelled)
        gone = np.flatnonzero(~labels.labelled[known.labelled])
        targets = Signs(tuple(labels.columns(came))).block(slice(None))
        try:
            found = changed_rows(known.cache, columns, known.strength, gone, self.vectors[came], targets)
        except np.linalg.LinAlgError:  # strengths so small that leaving out hangs on rounding
            return self.solve(codes, classes)
        return self._result(labels, known.labelled, found, started, settled=False)

    def _settled(
        self, known: _Known, labels: LiveLabels, columns: Sequence[SignColumns], started: float
    ) -> LiveResult:
        known.strength = known.best_strength(columns, labels)
        return self._result(labels, known.labelled, known.ridges(columns), started, settled=True)

    def _result(
        self, labels: LiveLabels, base: NDArray[np.bool_], found: Ridges, started: float, *, settled: bool
    ) -> LiveResult:
        """That of ridges of the images `base` (n,), in whose scores are those left out."""
        labelled = labels.labelled
        scores = np.empty((len(labelled), found.kept.shape[1]))
        scores[base] = found.kept
        scores[labelled & ~base] = found.came
        if not labelled.all():
            scores[~labelled] = self._predicted(~labelled, found)
        judged = np.flatnonzero(labelled)
        rows = judged[temperature_rows(len(judged), scores.shape[1])]
        spread = labels.spread(scores, fit_temperature(scores[rows], labels.own[rows]))
        shares, predicted = softmax(spread), spread.argmax(axis=1)
        confidence = shares[np.arange(len(spread)), predicted]
        took = 1000 * (time.perf_counter() - started)
        return LiveResult(labels.codes, predicted, spread, confidence, found.strength, took, settled)

    def _predicted(self, rows: NDArray[np.bool_], found: Ridges) -> NDArray[Any]:
        """Scores (m, t) of some images; of many by way of all, since to pick their vectors takes longer."""
        many = 2 * rows.sum() > len(rows)
        with few_threads(True):
            weights = np.asarray(found.coefficients.T, np.float32)
            scores = shared_scores(weights, self.vectors if many else self.vectors[rows]).T
        return np.asarray(scores[rows] if many else scores) + found.intercepts

    def _nearest(self, labelled: NDArray[np.bool_]) -> _Known | None:
        """The known images with the fewest changes to these, None if they are too many."""
        with self._lock:
            solved = [
                (int((one.labelled != labelled).sum()), name)
                for name, one in self._sets.items()
                if one.strength
            ]
            changes, name = min(solved, default=(0, b""))
            if not solved or 2 * changes > labelled.sum():
                return None
            self._sets.move_to_end(name)
            return self._sets[name]

    def _known(self, labelled: NDArray[np.bool_]) -> _Known:
        """What is known of these images, from now on if not before."""
        name = np.packbits(labelled).tobytes()
        with self._lock:
            known = self._sets.get(name)
        if known is None:
            factor = self._factorized(labelled)
            turned = None if factor.wide or self.vectors.nbytes > _TURNED else factor.rotated()
            known = _Known(labelled, ColumnCache(factor, turned))
        with self._lock:
            self._sets[name] = known
            self._sets.move_to_end(name)
            while len(self._sets) > _SETS_KEPT:
                self._sets.popitem(last=False)
        return known

    def _factorized(self, labelled: NDArray[np.bool_]) -> Factorization:
        few_left_out = 0 < (~labelled).sum() < labelled.sum()
        gram = partial(self._gram_without, ~labelled) if few_left_out else None
        kept = self._factors.rows(self.space, self._hashes[labelled], gram)
        factor = kept.factorization(self.vectors if labelled.all() else self.vectors[labelled])
        known = len(factor.known_gaps)
        factor.learn_gaps(DEFAULT_GRID * factor.scale)
        if labelled.all():  # others come and go with every click
            kept.keep(factor, known)
        return factor

    def _gram_without(self, left_out: NDArray[np.bool_]) -> Gram:
        return self._gram.without(self.vectors[left_out])

    @cached_property
    def _gram(self) -> Gram:
        return Gram.of(self.vectors)

    def _scan(self, labels: LiveLabels, columns: int) -> int:
        """Multiplications to choose a strength for so many columns."""
        return len(DEFAULT_GRID) * columns * labels.count * min(labels.count, self._dim)

    def _fresh(self, labels: LiveLabels) -> int:
        """Multiplications to solve labels from nothing."""
        side = min(labels.count, self._dim)
        return labels.count * self._dim * side + _EIGEN * side**3 + self._scan(labels, len(labels.present))


@dataclass
class _Known:
    """Images that had labels (n,), what is known of them, and the strength that was last best, 0 for none."""

    labelled: NDArray[np.bool_]
    cache: ColumnCache
    strength: float = 0.0

    def ridges(self, columns: Sequence[SignColumns]) -> Ridges:
        """Those of these images, at the strength that was last best."""
        strength = self.strength  # another thread may set it
        scores = self.cache.left_out(columns, strength)
        return Ridges(strength, scores, scores[:0], *self.cache.ridges(columns, strength))

    def best_strength(self, columns: Sequence[SignColumns], labels: LiveLabels) -> float:
        """As RidgeHead chooses it."""
        told = labels.told
        if told is not None and not told.any():
            return float(self._strengths[len(self._strengths) // 2])
        errors = self.cache.errors(columns, self._strengths, told).mean(axis=1)
        return float(self._strengths[errors.argmin()])

    def new_columns(self, columns: Sequence[SignColumns], labels: LiveLabels) -> int:
        """How many columns must be scanned for the best strength."""
        return self.cache.unknown_errors(columns, self._strengths, labels.told)

    @property
    def _strengths(self) -> Float:
        return DEFAULT_GRID * self.cache.factor.scale
