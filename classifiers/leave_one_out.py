"""What ridges would say of each row had it been left out, exactly, from one factorization (see `Factorization`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.factorization import Factorization, Float, row_blocks
from classifiers.signs import Signs
from classifiers.skinny import products, shared_scores
from classifiers.threads import few_threads, for_shares

_SCAN_BLOCK = 512  # its residuals at all strengths stay in the processor's cache
_COLUMNS_AT_ONCE = 2048
_LEFT_OUT_BLOCK = 8192
_FEW_ROWS = 1024
_SCORES_AT_ONCE = 1 << 23


def squared_errors(
    factor: Factorization,
    targets: Signs,
    means: Float,
    P: Float,
    strengths: Float,
    counted: NDArray[np.bool_] | None = None,
) -> Float:
    """Mean squared leave-one-out error of each target at each strength: (a, t).

    In the weighted problem each squared error counts by its row's weight, as in scikit-learn. counted: the rows (n,)
    that count at all, if not all.
    """
    factor.learn_gaps(strengths)
    total = np.zeros((len(strengths), targets.width))
    most = max(1, _COLUMNS_AT_ONCE // len(strengths))
    with few_threads(True):
        for columns, group in targets.groups(most):
            kept, of_kept, others = group.independent(factor.intercept)
            where = columns.start + of_kept
            solutions = [P[:, where] / (factor.values + a)[:, None] for a in strengths]
            design = Design.of(factor, np.concatenate(solutions, axis=1))
            scan = partial(_scan, factor, kept, others, means[where], design, strengths, counted)
            errors = np.sum(for_shares(scan, len(factor.X), _SCAN_BLOCK), axis=0)
            total[:, where] = errors[:, : len(where)]
            total[:, np.setdiff1d(np.arange(columns.start, columns.stop), where)] = errors[:, len(where) :]
    return total / (len(factor.X) if counted is None else max(1, counted.sum()))


def left_out(
    factor: Factorization,
    targets: Signs,
    means: Float,
    P: Float,
    strengths: Float,
    rows: NDArray[np.intp],
) -> Iterator[Float]:
    """Leave-one-out predictions of the given rows, target j at strength strengths[j], in blocks (m, t)."""
    distinct, which = np.unique(strengths, return_inverse=True)
    factor.learn_gaps(distinct)
    with few_threads(True):
        design = Design.of(factor, P / (factor.values[:, None] + strengths[None, :]))

    def predicted(some: NDArray[np.intp], starts: range) -> Float:
        blocks = []
        for at in row_blocks(starts, len(some)):
            chosen = _as_slice(some[at])
            errors = design.residuals(targets, means, chosen, 1)[:, 0].astype(np.float64)
            errors /= factor.gaps(distinct, chosen)[:, which]
            if factor.wide:
                errors /= factor.root[chosen, None]
            blocks.append(targets.block(chosen) - errors)
        return np.concatenate(blocks)

    size = max(_FEW_ROWS, min(_LEFT_OUT_BLOCK, _SCORES_AT_ONCE // max(1, targets.width)))
    for start in range(0, len(rows), size):
        some = rows[start : start + size]
        with few_threads(True):
            shares = for_shares(partial(predicted, some), len(some), _FEW_ROWS)
        yield np.concatenate(shares)


def _as_slice(rows: NDArray[np.intp]) -> NDArray[np.intp] | slice:
    """Rows that follow one another as a slice, whose vectors need no copy."""
    first, last = int(rows[0]), int(rows[-1])
    return slice(first, last + 1) if (np.diff(rows) == 1).all() else rows


def _scan(
    factor: Factorization,
    targets: Signs,
    others: Float,
    means: Float,
    design: Design,
    strengths: Float,
    counted: NDArray[np.bool_] | None,
    starts: range,
) -> Float:
    """The sums over blocks of rows of squared leave-one-out errors, of targets and then of sums of them: (a, t + h).

    others: (t, h), the targets that are in each sum.
    """
    several, dtype = len(strengths), factor.X.dtype
    totals = [np.zeros((several, several * width)) for width in others.shape]
    for rows in row_blocks(starts, len(factor.X)):
        residual = design.residuals(targets, means, rows, several)
        summed = residual.reshape(-1, targets.width) @ others.astype(dtype)
        inverse = 1.0 / factor.gaps(strengths, rows) ** 2
        if not factor.wide and not factor.plain:
            inverse *= factor.root[rows, None] ** 2
        if counted is not None:
            inverse *= counted[rows, None]
        for number, errors in enumerate((residual, summed)):
            np.square(errors, out=errors)
            totals[number] += inverse.T.astype(dtype) @ errors.reshape(len(inverse), -1)
    own = np.arange(several)
    return np.concatenate([total.reshape(several, several, -1)[own, own] for total in totals], axis=1)


@dataclass(frozen=True)
class Design:
    """Weights (d, t) of rows as `Factorization.near` gives them, and what to take from the products (t,).

    Of a wide factorization weights (r, t) of the rows of its basis.
    """

    factor: Factorization
    weights: NDArray[Any]
    shift: NDArray[Any]

    @classmethod
    def of(cls, factor: Factorization, solutions: Float) -> Design:
        """Of solutions (r, t) in the eigenbasis."""
        dtype = factor.X.dtype
        if factor.wide:
            return cls(factor, solutions.astype(dtype), np.zeros(solutions.shape[1], dtype))
        weights = np.ascontiguousarray(shared_scores(solutions.T.astype(dtype), factor.narrow()).T)
        mean = np.zeros_like(factor.mean) if factor.far else factor.mean
        return cls(factor, weights, (mean @ weights).astype(dtype))

    def fitted(self, rows: Any) -> NDArray[Any]:  # noqa: ANN401 (as arrays are)
        """What the solutions say of some rows, without the intercept: (n, t); if wide, that over the eigenvalues."""
        if self.factor.wide:
            return np.asarray(self.factor.narrow()[rows] @ self.weights)
        fitted = products(self.factor.near(rows), self.weights)
        fitted -= self.shift
        return fitted

    def residuals(
        self,
        targets: Signs,
        means: Float,
        rows: Any,  # noqa: ANN401 (as arrays are)
        several: int,
    ) -> NDArray[Any]:
        """Errors (n, a, t) at so many strengths, not weighted; if wide weighted, and divided by the strength."""
        fitted = self.fitted(rows)
        fitted = fitted.reshape(len(fitted), several, targets.width)
        if self.factor.wide:
            return fitted
        Yc = targets.block(rows, fitted.dtype.type)
        Yc -= means.astype(fitted.dtype)
        return np.asarray(np.subtract(Yc[:, None], fitted, out=fitted))
