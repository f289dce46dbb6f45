"""One eigendecomposition of a set of vectors, from which ridge regression of any labels follows.

With centred rows X (n, d), X'X = V diag(s) V'. For a strength a and targets Y the solution of
min |Y - XW|² + a|W|² is W = V diag(1 / (s + a)) V'X'Y, and the error that a row would have had if it had been
left out is its residual divided by 1 - h, with h the diagonal of the hat matrix (Golub, Heath, Wahba 1979;
Rifkin & Lippert 2007, "Notes on regularized least squares", MIT-CSAIL-TR-2007-025). Nothing but the last
product depends on the labels. With fewer rows than dimensions the same is done with XX' (n, n).

Rows are read in blocks, each as often as there is a pass, so that they may lie in a file (`VectorRows`).
Matrices and their decomposition are in float64; products with targets, of which there are many, are in the
precision of the vectors, a block at a time, and summed in float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from classifiers.gram import Gram, inner_product, weighted_mean
from classifiers.signs import Signs
from classifiers.skinny import shared_scores, shared_sums, weighted_sums
from classifiers.threads import few_threads, for_shares

Float = NDArray[np.float64]
_BLOCK = 1024
_SCAN_BLOCK = 512  # its targets stay in the processor's cache
_SMALLEST_GAP = 1e-12
_SMALL = 1024
_FAR = 4.0  # times the squared length of a deviation


class VectorRows(Protocol):
    """What rows of vectors can be: an array (n, d), float32 or float64, or something that reads such rows."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, rows: Any, /) -> NDArray[Any]: ...  # noqa: ANN401 (as arrays are)


@dataclass(frozen=True)
class Factorization:
    """What `factorize` made of (n, d) vectors. `scale` is the mean eigenvalue, trace / d, or 1 if that is 0."""

    X: VectorRows
    mean: Float  # (d,) the weighted mean of the rows; zeros without an intercept
    root: Float  # (n,) square roots of the weights
    intercept: bool
    values: Float  # (r,) eigenvalues
    basis: Float  # (d, r) eigenvectors of X'X, or (n, r) of XX' if `wide`
    wide: bool
    scale: float
    known_gaps: dict[float, Float] = field(default_factory=dict, repr=False)  # by strength, (n,) each
    known_narrow: dict[str, NDArray[Any]] = field(default_factory=dict, repr=False)  # the basis, by precision

    def means(self, targets: Signs) -> Float:
        """The weighted means of targets, (t,); zeros without an intercept."""
        total = np.zeros(targets.width)
        if self.intercept:
            for rows in self._slices():
                total += self.root[rows] ** 2 @ targets.block(rows)
            total /= self.root @ self.root
        return total

    def project(self, targets: Signs, means: Float) -> Float:
        """Centred targets in the eigenbasis: (r, t)."""
        if self.wide:
            Yc = np.concatenate([self._centred(targets, means, rows) for rows in self._slices()])
            return np.asarray(self.basis.T @ Yc)

        def product(starts: range) -> Float:
            total = np.zeros((targets.width, self.X.shape[1]))
            for rows in row_blocks(starts, len(self.X)):
                Yc = targets.block(rows) - means
                if not self.plain:
                    Yc *= self.root[rows, None] ** 2
                total += weighted_sums(Yc.T.astype(self.X.dtype), self.near(rows))
            return total

        with few_threads(True):
            sums = np.sum(for_shares(product, len(self.X), _SCAN_BLOCK), axis=0)
            return shared_sums(sums, self.basis).T

    def learn_gaps(self, strengths: Float) -> None:
        """Has `gaps` of these strengths from now on. They depend on no labels, and take longest of all."""
        new = [one for one in strengths.tolist() if one not in self.known_gaps]
        if not new:
            return
        found = np.empty((len(new), len(self.X)))

        def fill(starts: range) -> None:
            for rows in row_blocks(starts, len(self.X)):
                found[:, rows] = self._gaps_of(rows, np.array(new)).T

        with few_threads(True):
            for_shares(fill, len(self.X), _BLOCK)
        self.known_gaps.update(zip(new, found, strict=True))

    def gaps(self, strengths: Float, rows: Any) -> Float:  # noqa: ANN401 (as arrays are)
        """1 - h of some rows at each strength, (m, a); if `wide`, 1 - h divided by the strength.

        There the residual too is divided by the strength, so that neither suffers from cancellation.
        """
        return np.stack([self.known_gaps[one][rows] for one in strengths.tolist()], axis=1)

    def coefficients(self, P: Float, means: Float, strengths: Float) -> tuple[Float, Float]:
        """Coefficients (t, d) and intercepts (t,), target j at strength strengths[j]."""
        solution = self.in_dimensions(P / (self.values[:, None] + strengths[None, :]))
        return solution.T, means - self.mean @ solution

    def in_dimensions(self, W: Float) -> Float:
        """Weights (r, t) of the eigenbasis's columns as weights (d, t) of centred dimensions.

        If `wide` the columns of the basis are rows' ones, so that weights are those of X' basis.
        """
        with few_threads(True):
            solution = shared_scores(W.T, self.basis).T
        if not self.wide:
            return solution
        weights = np.zeros((self.X.shape[1], solution.shape[1]))
        for rows in self._slices():
            weights += self._rows(rows, np.float64).T @ solution[rows]
        return weights

    def rotated(self) -> NDArray[Any]:
        """Centred rows in the eigenbasis, (n, r) in their dtype; not weighted.

        If `wide` they are the eigenvectors themselves times the deviations. Of few such rows they are in float64:
        what float32 would round away moves the optimum of a loss on them by more than a millionth.
        """
        if self.wide:
            few = len(self.X) <= _SMALL
            return np.asarray((self.basis * self._deviations).astype(np.float64 if few else self.X.dtype))
        turned = np.empty((len(self.X), len(self.values)), self.X.dtype)
        mean, basis = self.mean.astype(self.X.dtype), self.narrow()

        def fill(starts: range) -> None:
            for rows in row_blocks(starts, len(self.X)):
                np.matmul(self.X[rows] - mean, basis, out=turned[rows])

        with few_threads(True):
            for_shares(fill, len(self.X), _BLOCK)
        return turned

    def unrotated(self, W: Float) -> tuple[Float, Float]:
        """Weights (t, r + 1) of the columns of `rotated`, intercepts last, as coefficients (t, d) and intercepts."""
        inner = W[:, :-1].T
        if self.wide:
            deviations = self._deviations[:, None]
            inner = np.divide(inner, deviations, out=np.zeros_like(inner), where=deviations > 0)
        coefficients = self.in_dimensions(inner)
        return coefficients.T, W[:, -1] - self.mean @ coefficients

    @cached_property
    def _deviations(self) -> Float:
        """The square roots of eigenvalues, 0 for directions that are only noise: (r,)."""
        floor = len(self.values) * np.finfo(float).eps * self.values.max(initial=0.0)
        deviations: Float = np.sqrt(np.where(self.values > floor, self.values, 0.0))
        return deviations

    def _slices(self) -> Iterator[slice]:
        return row_blocks(range(0, len(self.X), _BLOCK), len(self.X))

    def _rows(self, rows: Any, dtype: Any = None) -> NDArray[Any]:  # noqa: ANN401 (as arrays are)
        """Weighted centred rows, in their own precision or in `dtype`."""
        some = self.X[rows]
        dtype = dtype or some.dtype
        block: NDArray[Any] = np.subtract(some, self.mean.astype(dtype, copy=False), dtype=dtype)
        if not self.plain:
            block *= self.root[rows, None]
        return block

    def narrow(self) -> NDArray[Any]:
        """The basis in the precision of the vectors."""
        name = self.X.dtype.str
        if name not in self.known_narrow:
            self.known_narrow[name] = self.basis.astype(self.X.dtype, copy=False)
        return self.known_narrow[name]

    @property
    def _basis(self) -> NDArray[Any]:
        """The basis in the precision in which the hat matrix's diagonal is far enough from 1 on the whole."""
        rows, dim = self.X.shape
        return self.narrow() if rows >= 4 * dim else self.basis

    @cached_property
    def plain(self) -> bool:
        """Whether all rows weigh 1."""
        return bool((self.root == 1).all())

    @cached_property
    def far(self) -> bool:
        """Whether the mean is long beside the deviations from it.

        If not it may be taken from products with the rows, rather than from each row, and float32 loses nothing.
        """
        trace = float(self.values.sum())
        return float(self.mean @ self.mean) * float(self.root @ self.root) > _FAR * trace

    def near(self, rows: Any) -> NDArray[Any]:  # noqa: ANN401 (as arrays are)
        """Rows as they are; centred ones if the mean is far."""
        some = self.X[rows]
        return some - self.mean.astype(some.dtype) if self.far else some

    def _centred(self, targets: Signs, means: Float, rows: Any) -> Float:  # noqa: ANN401 (as arrays are)
        return (targets.block(rows) - means) * self.root[rows, None]

    def _gaps_of(self, rows: slice, strengths: Float) -> Float:
        inverse = 1.0 / (self.values[:, None] + strengths[None, :])
        if self.wide:
            sums = self.basis[rows] ** 2 @ inverse
            return np.asarray(np.maximum(sums, _SMALLEST_GAP / strengths[None, :]))
        scores = self._rows(rows, self._basis.dtype) @ self._basis
        np.square(scores, out=scores)
        sums = scores @ inverse.astype(scores.dtype)
        offset = self.root[rows] ** 2 / (self.root @ self.root) if self.intercept else np.zeros(len(sums))
        return np.asarray(np.maximum(1.0 - offset[:, None] - sums, _SMALLEST_GAP))


def factorize(
    X: VectorRows, weights: Float | None = None, fit_intercept: bool = True, gram: Gram | None = None
) -> Factorization:
    """Factorizes (n, d) vectors, float32 or float64, with positive weights (n,) of the rows (all 1 if None).

    gram: that of these rows without weights, if it is known. Costs n·d·min(n, d) multiplications and an
    eigendecomposition of the smaller side.
    """
    rows, dim = X.shape
    root = np.ones(rows) if weights is None else np.sqrt(weights)
    wide = rows <= dim
    if not wide:
        if gram is None or weights is not None or not fit_intercept:
            mean = weighted_mean(X, root) if fit_intercept else np.zeros(dim)
            gram = Gram(rows, mean, inner_product(X, mean, root))
        return factorize_gram(X, gram, root, fit_intercept)
    mean = weighted_mean(X, root) if fit_intercept else np.zeros(dim)
    constant = root / np.sqrt(root @ root) if fit_intercept else None
    return _of_square(X, mean, root, fit_intercept, _outer(X, mean, root), constant)


def factorize_gram(X: VectorRows, gram: Gram, root: Float | None, fit_intercept: bool) -> Factorization:
    """The factorization of more rows than dimensions, whose Gram matrix is known.

    gram: of the rows multiplied by the square roots of their weights, `root` (n,), None if all weigh 1.
    """
    roots = np.broadcast_to(np.float64(1), (len(X),)) if root is None else root
    return _of_square(X, gram.mean, roots, fit_intercept, gram.inner.copy(), None)


def _of_square(
    X: VectorRows, mean: Float, root: Float, intercept: bool, square: Float, constant: Float | None
) -> Factorization:
    rows, dim = X.shape
    trace = float(np.trace(square))
    values, basis = _decomposed(square, constant)
    scale = trace / dim if trace > 0 else 1.0
    return Factorization(X, mean, root, intercept, np.maximum(values, 0.0), basis, rows <= dim, scale)


def _decomposed(square: Float, constant: Float | None) -> tuple[Float, Float]:
    from scipy.linalg import eigh  # costs a third of a second to import

    if constant is not None:
        # The constant direction has eigenvalue 0 like others may; lifted to the top it can be left out exactly.
        square += (2.0 * np.linalg.norm(square) + 1.0) * np.outer(constant, constant)
    with few_threads(True):
        values, basis = eigh(square, driver="evd", overwrite_a=True, check_finite=False)
    return (values, basis) if constant is None else (values[:-1], basis[:, :-1])


def _outer(X: VectorRows, mean: Float, root: Float) -> Float:
    """XX' (n, n) of weighted centred rows."""
    whole = (X[:] - mean) * root[:, None]
    product: Float = whole @ whole.T
    return product


def row_blocks(starts: range, rows: int) -> Iterator[slice]:
    """The rows that begin at the given starts, each up to the next."""
    return (slice(start, min(start + starts.step, rows)) for start in starts)
