"""Ridges of other rows than a factorization's: of some of its rows and of new ones, at one strength.

A row that comes adds its outer product to X'X, a row that goes takes it away. Predictions then change (Woodbury 1950)
by what a row has in common with the changed ones, k(x, y) = 1/n + x'(X'X + strength)^-1 y of centred rows, times
the inverse of a matrix as small as the changed rows are few; leverages change in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.factorization import Factorization, Float, row_blocks
from classifiers.leave_one_out import Design
from classifiers.live.columns import ColumnCache
from classifiers.signs import SignColumns, Signs
from classifiers.skinny import products, shared_products
from classifiers.threads import few_threads, for_shares

_DIRECTIONS = 32
_SMALLEST_SHARE = 0.1  # of a gap that is left, where its change is only estimated
_BLOCK = 512


@dataclass(frozen=True)
class Ridges:
    """Ridges of t columns at a strength: scores of rows if left out, coefficients (d, t) and intercepts (t,).

    kept: scores (n, t) of the factorization's rows, which mean nothing for those that are gone; came: (a, t).
    """

    strength: float
    kept: Float
    came: Float
    coefficients: Float
    intercepts: Float


def changed_rows(
    cache: ColumnCache,
    columns: Sequence[SignColumns],
    strength: float,
    gone: NDArray[np.intp],
    came: NDArray[np.float32],
    targets: Float,
) -> Ridges:
    """Ridges without the rows of the factorization that are `gone` (numbers) and with those that `came` (a, d).

    columns: of the factorization's rows, whatever they say of those that are gone. targets (a, t): ±1 of those that
    came. Exact up to 32 rows that came and 32 that are gone; of more, what leverages change by is estimated along 32
    random directions (Hutchinson 1990), within about a quarter of itself. Raises LinAlgError where rounding is too
    much.
    """
    factor = cache.factor
    coefficients, intercepts = cache.ridges(columns, strength)
    kernel = _Kernel.of(cache, strength, gone, came)
    small = _Small.of(kernel.own, len(came))
    gaps = factor.gaps(np.array([strength]), slice(None))[:, 0] * (strength if factor.wide else 1.0)
    scores = cache.left_out(columns, strength)
    signs = Signs(tuple(columns))
    lost = gaps[gone, None] * (signs.block(gone) - scores[gone])
    moved = small.solve(np.concatenate([targets - came @ coefficients - intercepts, lost]))
    along, kinds = small.directions()
    common = kernel.products(np.concatenate([moved, along], axis=1))
    kept = np.empty_like(scores)

    def fill(starts: range) -> None:
        for rows in row_blocks(starts, len(kept)):
            change, turned = np.split(common(rows), [moved.shape[1]], axis=1)
            bent = np.maximum(gaps[rows] + turned**2 @ kinds, _SMALLEST_SHARE * gaps[rows])
            own = signs.block(rows)
            kept[rows] = own - (gaps[rows, None] * (own - scores[rows]) - change) / bent[:, None]

    with few_threads(True):
        for_shares(fill, len(kept), _BLOCK)
    turn = kernel.coefficients(moved)
    return Ridges(
        strength,
        kept,
        targets - moved[: len(came)] / small.diagonal()[:, None] if len(came) else scores[:0],
        coefficients + turn,
        intercepts + moved.sum(axis=0) / len(factor.X) - factor.mean @ turn,
    )


@dataclass(frozen=True)
class _Kernel:
    """What changed rows (u, d), centred, have in common with others.

    turned: these rows in the eigenbasis, (u, r), divided by the `roots` of eigenvalue and strength; of all rows, if
    they are known, not divided.
    """

    factor: Factorization
    strength: float
    rows: NDArray[Any]
    turned: NDArray[Any]
    roots: Float
    all_turned: NDArray[Any] | None

    @classmethod
    def of(
        cls, cache: ColumnCache, strength: float, gone: NDArray[np.intp], came: NDArray[np.float32]
    ) -> _Kernel:
        """Of rows of the factorization and of new ones, the new ones first."""
        factor = cache.factor
        dtype = np.dtype(np.float64) if factor.wide else factor.X.dtype
        rows = np.subtract(np.concatenate([came, factor.X[gone]]), factor.mean.astype(dtype), dtype=dtype)
        roots = np.sqrt(factor.values + strength)
        with few_threads(True):
            if factor.wide:
                turned = rows @ (factor.X[:] - factor.mean).T @ factor.basis
            elif cache.turned is None:
                turned = shared_products(rows, factor.narrow())
            else:
                new = shared_products(rows[: len(came)], factor.narrow())
                turned = np.concatenate([new, cache.turned[gone]])
        return cls(factor, strength, rows, turned / roots.astype(turned.dtype), roots, cache.turned)

    @cached_property
    def own(self) -> Float:
        """k of every two of the rows: (u, u)."""
        with few_threads(True):
            common = shared_products(self.turned, self.turned.T).astype(np.float64)
        if self.factor.wide:
            common = (self.rows @ self.rows.T - common) / self.strength
        return common + 1 / len(self.factor.X)

    def products(self, weights: Float) -> Callable[[slice], NDArray[Any]]:
        """k of some rows of the factorization with these, times weights (u, m): (·, m)."""
        shift = weights.sum(axis=0) / len(self.factor.X)
        solutions, turned = self._solutions(weights), self.all_turned
        if turned is not None:
            narrow = np.ascontiguousarray(solutions, turned.dtype)
            return lambda rows: products(turned[rows], narrow) + shift
        with few_threads(True):
            design = Design.of(self.factor, solutions)
        return lambda rows: design.fitted(rows) + shift

    def coefficients(self, weights: Float) -> Float:
        """(X'X + strength)^-1 times the rows times weights (u, t): (d, t)."""
        solutions = self._solutions(weights)
        if self.factor.wide:
            return np.asarray((self.rows.T @ weights - self.factor.in_dimensions(solutions)) / self.strength)
        with few_threads(True):
            return Design.of(self.factor, solutions).weights.astype(np.float64)

    def _solutions(self, weights: Float) -> Float:
        """The rows times weights (u, m) as solutions in the eigenbasis: (r, m)."""
        found: Float = self.turned.T @ weights.astype(self.turned.dtype)
        return found / self.roots[:, None]


@dataclass(frozen=True)
class _Small:
    """The matrix k + D of changed rows, D 1 for those that came and -1 for those that are gone, as L D L'."""

    lower: Float
    came: int

    @classmethod
    def of(cls, own: Float, came: int) -> _Small:
        """Of k of every two rows, (u, u)."""
        lower = np.zeros_like(own)
        lower[:came, :came] = np.linalg.cholesky(own[:came, :came] + np.eye(came))
        lower[came:, :came] = _solved(lower[:came, :came], own[:came, came:]).T
        rest = np.eye(len(own) - came) - own[came:, came:] + lower[came:, :came] @ lower[came:, :came].T
        lower[came:, came:] = np.linalg.cholesky(rest)
        return cls(lower, came)

    def solve(self, off: Float) -> Float:
        """Its inverse times (u, t)."""
        return _solved(self.lower, self._kinds[:, None] * _solved(self.lower, off), trans="T")

    def diagonal(self) -> Float:
        """That of its inverse, of the rows that came: (a,)."""
        turned = _solved(self.lower, np.eye(len(self.lower), self.came))
        return self._kinds @ turned**2

    def directions(self) -> tuple[Float, Float]:
        """Directions (u, m) and their signs (m,): its inverse is, on average, the sum of their signed squares."""
        rest = len(self.lower) - self.came
        came, gone = _random_signs(self.came), _random_signs(rest)
        both = np.zeros((len(self.lower), came.shape[1] + gone.shape[1]))
        both[: self.came, : came.shape[1]], both[self.came :, came.shape[1] :] = came, gone
        return _solved(self.lower, both, trans="T"), np.repeat([1.0, -1.0], [came.shape[1], gone.shape[1]])

    @property
    def _kinds(self) -> Float:
        return np.where(np.arange(len(self.lower)) < self.came, 1.0, -1.0)


def _solved(lower: Float, right: Float, trans: str = "N") -> Float:
    from scipy.linalg import solve_triangular  # costs a third of a second to import

    return np.asarray(solve_triangular(lower, right, lower=True, trans=trans, check_finite=False))


def _random_signs(count: int) -> Float:
    """(count, m) whose outer product is the identity on average; the identity itself if it is small."""
    if count <= _DIRECTIONS:
        return np.eye(count)
    signs = np.random.default_rng(0).integers(0, 2, (count, _DIRECTIONS)) * 2.0 - 1.0
    return np.asarray(signs / np.sqrt(_DIRECTIONS))
