"""One eigendecomposition of a set of vectors, from which ridge regression of any labels follows.

With centred rows X (n, d), X'X = V diag(s) V'. For a strength a and targets Y the solution of
min |Y - XW|² + a|W|² is W = V diag(1 / (s + a)) V'X'Y, and the error that a row would have had if it had been
left out is its residual divided by 1 - h, with h the diagonal of the hat matrix (Golub, Heath, Wahba 1979;
Rifkin & Lippert 2007, "Notes on regularized least squares", MIT-CSAIL-TR-2007-025). Nothing but the last
product depends on the labels. With fewer rows than dimensions the same is done with XX' (n, n).

All of it is in float64, in blocks of rows, so that float32 vectors are never copied whole; only the scan over
strengths multiplies in the precision of the vectors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.threads import few_threads

Float = NDArray[np.float64]
_BLOCK = 1024
_SMALLEST_GAP = 1e-12
_SMALL = 1024


@dataclass(frozen=True)
class Factorization:
    """What `factorize` made of (n, d) vectors. `scale` is the mean eigenvalue, trace / d, or 1 if that is 0."""

    X: NDArray[Any]
    mean: Float  # (d,) the weighted mean of the rows; zeros without an intercept
    root: Float  # (n,) square roots of the weights
    offset: Float  # (n,) what the intercept adds to the hat matrix's diagonal
    values: Float  # (r,) eigenvalues
    basis: Float  # (d, r) eigenvectors of X'X, or (n, r) of XX' if `wide`
    wide: bool
    scale: float

    def centre(self, Y: Float) -> tuple[Float, Float]:
        """Targets (n, t) to weighted centred targets (n, t) and their means (t,)."""
        means = self.root**2 @ Y / (self.root @ self.root) if self.offset.any() else np.zeros(Y.shape[1])
        return (Y - means) * self.root[:, None], means

    def project(self, Yc: Float) -> Float:
        """Centred targets (n, t) in the eigenbasis: (r, t)."""
        if self.wide:
            return self.basis.T @ Yc
        product = np.zeros((self.X.shape[1], Yc.shape[1]))
        for start, block in self._blocks():
            product += block.T @ Yc[start : start + len(block)]
        return self.basis.T @ product

    def squared_errors(self, Yc: Float, P: Float, strengths: Float) -> Float:
        """Mean squared leave-one-out error of each target at each strength: (a, t).

        In the weighted problem each squared error counts by its row's weight, as in scikit-learn.
        """
        total = np.zeros((len(strengths), Yc.shape[1]))
        dtype = np.float32 if self.X.dtype == np.float32 else np.float64
        scaled = [(P / (self.values + a)[:, None]).astype(dtype) for a in strengths]
        for start, scores in self._scores(np.arange(len(self.X))):
            rows = slice(start, start + len(scores))
            gaps = self._gaps(scores, self.offset[rows], strengths)
            inverse = (1.0 / gaps**2).astype(dtype)
            narrow, targets = scores.astype(dtype), Yc[rows].astype(dtype)
            for index in range(len(strengths)):
                residual = narrow @ scaled[index]
                if not self.wide:
                    np.subtract(targets, residual, out=residual)
                np.square(residual, out=residual)
                total[index] += inverse[:, index] @ residual
        return total / len(self.X)

    def left_out(self, Yc: Float, P: Float, means: Float, strengths: Float, rows: NDArray[np.intp]) -> Float:
        """Leave-one-out predictions (len(rows), t) of the given rows, target j at strength strengths[j]."""
        distinct, which = np.unique(strengths, return_inverse=True)
        scaled = P / (self.values[:, None] + strengths[None, :])
        errors = np.empty((len(rows), Yc.shape[1]))
        for start, scores in self._scores(rows):
            here = rows[start : start + len(scores)]
            residual = scores @ scaled
            if not self.wide:
                residual = Yc[here] - residual
            gaps = self._gaps(scores, self.offset[here], distinct)
            errors[start : start + len(scores)] = residual / gaps[:, which]
        return (Yc[rows] - errors) / self.root[rows, None] + means

    def coefficients(self, P: Float, means: Float, strengths: Float) -> tuple[Float, Float]:
        """Coefficients (t, d) and intercepts (t,), target j at strength strengths[j]."""
        solution = self.basis @ (P / (self.values[:, None] + strengths[None, :]))
        if self.wide:
            weights = np.zeros((self.X.shape[1], solution.shape[1]))
            for start, block in self._blocks():
                weights += block.T @ solution[start : start + len(block)]
            solution = weights
        return solution.T, means - self.mean @ solution

    def _blocks(self) -> Iterator[tuple[int, Float]]:
        """Blocks of weighted centred rows, float64."""
        return _blocks(self.X, self.mean, self.root)

    def _scores(self, rows: NDArray[np.intp]) -> Iterator[tuple[int, Float]]:
        """Rows in the eigenbasis, in blocks: X V, or the rows of XX's eigenvectors if `wide`."""
        for start in range(0, len(rows), _BLOCK):
            some = rows[start : start + _BLOCK]
            if self.wide:
                yield start, self.basis[some]
            else:
                yield start, (self.X[some] - self.mean) * self.root[some, None] @ self.basis

    def _gaps(self, scores: Float, offset: Float, strengths: Float) -> Float:
        """1 - h of each row at each strength, (n, a); if `wide`, 1 - h divided by the strength.

        There the residual too is divided by the strength, so that neither suffers from cancellation.
        """
        inverse = 1.0 / (self.values[:, None] + strengths[None, :])
        sums = scores**2 @ inverse
        if self.wide:
            smallest = _SMALLEST_GAP / strengths[None, :]
            return np.maximum(sums, smallest)
        return np.maximum(1.0 - offset[:, None] - sums, _SMALLEST_GAP)


def factorize(X: NDArray[Any], weights: Float | None = None, fit_intercept: bool = True) -> Factorization:
    """Factorizes (n, d) vectors, float32 or float64, with positive weights (n,) of the rows (all 1 if None).

    Costs n·d·min(n, d) multiplications and an eigendecomposition of the smaller side.
    """
    from scipy.linalg import eigh  # costs a third of a second to import

    rows, dim = X.shape
    root = np.ones(rows) if weights is None else np.sqrt(weights)
    total = float(root @ root)
    mean = np.zeros(dim)
    if fit_intercept:
        for start, block in _blocks(X, mean, np.ones(rows)):
            mean = mean + root[start : start + len(block)] ** 2 @ block / total
    offset = root**2 / total if fit_intercept else np.zeros(rows)
    wide = rows <= dim
    gram = _outer(X, mean, root) if wide else _inner(X, mean, root)
    trace = float(np.trace(gram))
    constant = root / np.sqrt(total) if wide and fit_intercept else None
    if constant is not None:
        # The constant direction has eigenvalue 0 like others may; lifted to the top it can be left out exactly.
        gram += (2.0 * np.linalg.norm(gram) + 1.0) * np.outer(constant, constant)
    with few_threads(len(gram) <= _SMALL):
        values, basis = eigh(gram, driver="evd", overwrite_a=True, check_finite=False)
    if constant is not None:
        values, basis = values[:-1], basis[:, :-1]
    scale = trace / dim if trace > 0 else 1.0
    return Factorization(X, mean, root, offset, np.maximum(values, 0.0), basis, wide, scale)


def _blocks(X: NDArray[Any], mean: Float, root: Float) -> Iterator[tuple[int, Float]]:
    for start in range(0, len(X), _BLOCK):
        block = X[start : start + _BLOCK] - mean
        block *= root[start : start + _BLOCK, None]
        yield start, block


def _inner(X: NDArray[Any], mean: Float, root: Float) -> Float:
    """X'X (d, d) of weighted centred rows."""
    gram = np.zeros((X.shape[1], X.shape[1]))
    for _, block in _blocks(X, mean, root):
        gram += block.T @ block
    return gram


def _outer(X: NDArray[Any], mean: Float, root: Float) -> Float:
    """XX' (n, n) of weighted centred rows."""
    whole = (X - mean) * root[:, None]
    gram: Float = whole @ whole.T
    return gram
