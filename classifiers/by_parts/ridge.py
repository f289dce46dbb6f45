"""Ridge heads in two passes over the rows, whatever their number, the schemes, the strengths and the workers.

The first pass sums the Gram matrix and the products with all targets (`sums`); its eigenvectors are then found here;
the second turns each row into them once, from which follow the errors of leaving it out at all strengths, and what it
would be called (`left_out`). Each task holds one block of rows and a matrix or two of dimensions²; what grows with
the rows are their codes, of a byte or two, and those that were predicted, which wait in a temporary file.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.by_parts.left_out import (
    Counted,
    LeftOut,
    Scanned,
    Solved,
    left_out_scores,
    scan,
)
from classifiers.by_parts.runners import Runner
from classifiers.by_parts.shares import Share, shares_of
from classifiers.by_parts.sums import Float, Labelled, Sums, SumsAround, sums
from classifiers.factor_cache import KeptFactors
from classifiers.factorization import Factorization, factorize_gram
from classifiers.gram import Gram
from classifiers.ridge import (
    RidgeHead,
    choose_strength,
    evenly_spread,
    strengths_of,
    temperature_of,
    temperature_rows,
    told_rows,
)
from classifiers.signs import Signs
from classifiers.space_rows import SpaceRows
from classifiers.targets import agreeing

Tell = Callable[[str], None]
CHOSEN_BY = 1 << 18
_PROBED = 1024  # rows whose mean is near enough to that of all


@dataclass(frozen=True)
class PartedRidges:
    """Fits ridges on rows of a space, ascending in its parts, of which there are more than dimensions.

    tell: is told now and then how far a pass is.
    """

    X: SpaceRows
    runner: Runner
    tell: Tell | None = None

    def fit(
        self,
        heads: Sequence[RidgeHead],
        codes: Sequence[NDArray[Any]],
        weights: Float | None = None,
        kept: KeptFactors | None = None,
        with_codes: bool = True,
    ) -> list[LeftOut]:
        """Fits heads, which know their classes, to their codes (n,) or (n, t) of all rows; weights (n,) above 0.

        All heads have the same `alphas` and `fit_intercept`. kept: where the factorization is kept. Without
        `with_codes` nothing is said of rows that are left out (`predicted` is empty, `accuracy` NaN), and strengths
        are chosen by leaving out `CHOSEN_BY` rows at most, evenly spread. Raises HeadError.
        """
        targets = Signs.of(codes, [len(head.classes_) for head in heads])
        root = None if weights is None else np.sqrt(weights)
        rows = Labelled.each(shares_of(self.X.space, self.X.rows), targets, root)
        factor, total = self._first_pass(rows, bool(heads[0].fit_intercept), kept if root is None else None)
        told = [told_rows(head, part.codes) for head, part in zip(heads, targets.parts, strict=True)]
        solved = _solved(factor, total, heads, with_codes, self._precision)
        predicted = Predicted.of(solved, targets, len(self.X)) if with_codes else None
        if with_codes or len(self.X) <= CHOSEN_BY:
            errors = self._second_pass(solved, rows, told, predicted)
        else:
            some = evenly_spread(len(self.X), CHOSEN_BY)
            rows = self._some(some, targets, root)
            told = [None if mask is None else mask[some] for mask in told]
            errors = self._second_pass(solved, rows, told, None)
        count = rows[-1].share.rows.stop
        best = [
            choose_strength(head, solved.strengths, errors[:, columns] / _count(mask, count), mask)
            for head, mask, columns in zip(heads, told, targets.slices(), strict=True)
        ]
        self._learn(heads, factor, solved, targets, root)
        return [
            _left_out(head, part.codes, predicted.at(number, best[number]) if predicted else None)
            for number, (head, part) in enumerate(zip(heads, targets.parts, strict=True))
        ]

    def gram(self) -> Gram:
        """The Gram matrix of the rows, in one pass."""
        rows = Labelled.each(shares_of(self.X.space, self.X.rows), Signs(()), None)
        return self._total(rows, self._probe(), True).gram(len(self.X), True)

    def _first_pass(
        self, rows: Sequence[Labelled], intercept: bool, kept: KeptFactors | None
    ) -> tuple[Factorization, Sums]:
        """The factorization, a kept one if there is one, and the sums with targets."""
        known = kept.known(self.X, intercept) if kept else None
        gram = kept.gram() if kept and kept.gram and intercept and known is None else None
        around = self._probe() if intercept else np.zeros(self.X.shape[1])
        total = self._total(rows, around, known is None and gram is None)
        if known is not None:
            return known, total
        factor = factorize_gram(self.X, gram or total.gram(len(self.X), intercept), _root(rows), intercept)
        if kept:
            kept.keep(factor, 0)
        return factor, total

    def _total(self, rows: Sequence[Labelled], around: Float, gram: bool) -> Sums:
        each = sums(self.runner, SumsAround(around, gram, self._precision), rows)
        what = "Gram matrix" if gram else "products with labels"
        found = self._watched([one.share for one in rows], each, what)
        total: Sums = next(found)
        if total.inner is not None and not total.inner.flags.writeable:  # it lies in Ray's object store
            total = replace(total, inner=total.inner.copy())
        for one in found:
            total = total.add(one)
        return total

    def _second_pass(
        self,
        solved: Solved,
        rows: Sequence[Labelled],
        told: Sequence[NDArray[np.bool_] | None],
        predicted: Predicted | None,
    ) -> Float:
        """Sums of squared errors (a, t) of leaving out each row; what heads say of it goes to `predicted`."""
        tasks = [
            Counted(one, tuple(None if mask is None else mask[one.share.rows] for mask in told))
            for one in rows
        ]
        shares = [one.share for one in rows]
        errors = np.zeros((len(solved.strengths), len(solved.means)))
        done = self._watched(shares, scan(self.runner, solved, tasks), "leaving out each row")
        for share, scanned in zip(shares, done, strict=True):
            errors += scanned.errors
            if predicted:
                predicted.put(share.rows, scanned)
        return errors

    def _learn(
        self,
        heads: Sequence[RidgeHead],
        factor: Factorization,
        solved: Solved,
        targets: Signs,
        root: Float | None,
    ) -> None:
        """Sets the coefficients and temperatures of heads that know their strengths."""
        strengths = targets.repeated([head.alpha_ for head in heads])
        coefficients, intercepts = factor.coefficients(solved.projected, solved.means, strengths)
        some = temperature_rows(len(self.X), targets.width)
        labelled = self._some(some, targets, root)
        scores = np.concatenate([left_out_scores(solved, one, strengths) for one in labelled])
        for head, part, columns in zip(heads, targets.parts, targets.slices(), strict=True):
            head.coef_ = coefficients[columns].astype(np.float32)
            head.intercept_ = intercepts[columns].astype(np.float32)
            head.temperature_ = temperature_of(head, scores[:, columns], part.codes[some])
            head.space_, head.recipe_ = self.X.space.id, self.X.space.recipe

    def _some(self, rows: NDArray[np.intp], targets: Signs, root: Float | None) -> list[Labelled]:
        """Shares of some of the rows."""
        chosen = Signs(tuple(replace(part, codes=part.codes[rows]) for part in targets.parts))
        return Labelled.each(
            shares_of(self.X.space, self.X.rows[rows]), chosen, None if root is None else root[rows]
        )

    @property
    def _precision(self) -> str:
        """Of products: that of the vectors where the hat matrix's diagonal is far enough from 1 on the whole."""
        return "f4" if len(self.X) >= 4 * self.X.shape[1] else "f8"

    def _probe(self) -> Float:
        """The mean of a few rows: sums around it lose nothing to a mean that is far from 0."""
        return np.asarray(self.X[:: -(-len(self.X) // _PROBED)].mean(axis=0, dtype=np.float64))

    def _watched(self, shares: Sequence[Share], made: Iterable[Any], what: str) -> Iterator[Any]:
        """What is made of each share, while `tell` is told how far it is."""
        start = time.monotonic()
        for share, one in zip(shares, made, strict=True):
            yield one
            if self.tell:
                done, rows = share.rows.stop, shares[-1].rows.stop
                left = (time.monotonic() - start) * (rows - done) / done
                self.tell(f"{what}: {done:,} of {rows:,} rows, {_duration(left)} of this pass left")


class Predicted:
    """What each head says of each row at each strength, were it left out; in temporary files, which memory is not."""

    def __init__(self, shapes: Sequence[tuple[tuple[int, ...], np.dtype[Any]]]) -> None:
        self._arrays = [_in_a_file(*one) for one in shapes]

    @classmethod
    def of(cls, solved: Solved, targets: Signs, rows: int) -> Predicted:
        """With room for so many rows."""
        count = len(solved.strengths)
        return cls(
            [
                ((count, rows, *part.codes.shape[1:]), np.dtype(bool) if several else part.codes.dtype)
                for part, several in zip(targets.parts, solved.several, strict=True)
            ]
        )

    def put(self, rows: slice, scanned: Scanned) -> None:
        """Takes in those of a share."""
        for array, codes in zip(self._arrays, scanned.codes, strict=True):
            array[:, rows] = codes

    def at(self, head: int, strength: int) -> NDArray[Any]:
        """Those of a head at a strength: (n,) or (n, t)."""
        return np.array(self._arrays[head][strength])


def _in_a_file(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    with tempfile.TemporaryFile(prefix="embank-") as file:
        return np.memmap(file, dtype, "w+", shape=shape)  # the map keeps the file, which has no name any more


def _root(rows: Sequence[Labelled]) -> Float | None:
    roots = [one.root for one in rows if one.root is not None]
    return np.concatenate(roots) if roots else None


def _count(told: NDArray[np.bool_] | None, rows: int) -> int:
    return rows if told is None else max(1, int(told.sum()))


def _solved(
    factor: Factorization, total: Sums, heads: Sequence[RidgeHead], with_codes: bool, precision: str
) -> Solved:
    intercept = factor.intercept
    return Solved(
        mean=factor.mean,
        basis=factor.basis.astype(precision),
        values=factor.values,
        projected=factor.basis.T @ total.centred_cross(intercept).T,
        means=total.targets / total.weight if intercept else np.zeros_like(total.targets),
        weight=total.weight,
        intercept=intercept,
        strengths=strengths_of(heads[0], factor.scale),
        several=tuple(head.multilabel_ for head in heads),
        with_codes=with_codes,
    )


def _left_out(head: RidgeHead, codes: NDArray[Any], predicted: NDArray[Any] | None) -> LeftOut:
    if predicted is None:
        return LeftOut(head, np.empty((0, *codes.shape[1:]), codes.dtype), float("nan"))
    return LeftOut(head, predicted, float(agreeing(predicted, codes).mean()))


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
