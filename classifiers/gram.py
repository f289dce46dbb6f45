"""Means and inner products of rows that are read in blocks; those of a part of them by subtraction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
_BLOCK = 1024


@dataclass(frozen=True)
class Gram:
    """The mean (d,) of some rows and X'X (d, d) of the centred rows, in float64."""

    rows: int
    mean: Float
    inner: Float

    @classmethod
    def of(cls, X: Any) -> Gram:  # noqa: ANN401 (an array, or what reads like one)
        """Of all rows of X (n, d)."""
        root = np.ones(len(X))
        mean = weighted_mean(X, root)
        return cls(len(X), mean, inner_product(X, mean, root))

    def without(self, left_out: Any) -> Gram:  # noqa: ANN401 (an array, or what reads like one)
        """That of the other rows, given the rows that are left out (m, d), at most half of them.

        So a fold costs as much as its few rows. Both sides are centred on the mean of all, so that nothing
        large is subtracted from nothing large but the variances themselves.
        """
        rest = self.rows - len(left_out)
        inner = self.inner - inner_product(left_out, self.mean, np.ones(len(left_out)))
        shift = (self.mean - weighted_mean(left_out, np.ones(len(left_out)))) * (len(left_out) / rest)
        inner -= rest * np.outer(shift, shift)
        return Gram(rest, self.mean + shift, inner)

    def less(self, other: Gram) -> Gram:
        """That of these rows without some of them, at most half, whose Gram matrix is known."""
        rest = self.rows - other.rows
        apart = other.mean - self.mean
        shift = apart * (-other.rows / rest)
        inner = self.inner - other.inner - other.rows * np.outer(apart, apart)
        inner -= rest * np.outer(shift, shift)
        return Gram(rest, self.mean + shift, inner)


def weighted_mean(X: Any, root: Float) -> Float:  # noqa: ANN401 (an array, or what reads like one)
    """The mean (d,) of rows whose weights are the squares of `root` (n,)."""
    total = np.zeros(X.shape[1])
    for start in range(0, len(X), _BLOCK):
        block = X[start : start + _BLOCK]
        total += root[start : start + _BLOCK] ** 2 @ block
    return total / (root @ root)


def inner_product(X: Any, mean: Float, root: Float) -> Float:  # noqa: ANN401 (an array, or what reads like one)
    """X'X (d, d) of centred rows multiplied by `root` (n,)."""
    from scipy.linalg.blas import dsyrk  # costs a third of a second to import

    product = np.zeros((X.shape[1], X.shape[1]), order="F")
    plain = bool((root == 1).all())
    for start in range(0, len(X), _BLOCK):
        block = np.subtract(X[start : start + _BLOCK], mean, dtype=np.float64)
        if not plain:
            block *= root[start : start + _BLOCK, None]
        product = dsyrk(1.0, block.T, beta=1.0, c=product, overwrite_c=1)  # in place, its upper triangle
    return np.asarray(np.triu(product) + np.triu(product, 1).T)
