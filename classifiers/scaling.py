"""Bringing vectors to a scale that iterative solvers like."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_ROWS = 512


def mean_and_scale(X: NDArray[Any], standardize: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Means (d,) and the divisor of centred vectors (n, d), both in the dtype of X.

    The divisor is one number (), the root mean variance, so that all dimensions keep their weight; with
    `standardize` each dimension's own deviation (d,). It is 1 where nothing varies.
    """
    moments = Moments()
    moments.add(X)
    return moments.mean_and_scale(standardize)


class Moments:
    """Means and variances of vectors that are seen a block at a time (Chan, Golub and LeVeque 1983)."""

    def __init__(self) -> None:
        self._rows = 0

    def add(self, X: NDArray[Any]) -> None:
        """Takes in rows (m, d), a few at a time: their squares are in float64."""
        for start in range(0, len(X), _ROWS):
            self._add(X[start : start + _ROWS])

    def _add(self, X: NDArray[Any]) -> None:
        rows, mean = len(X), X.mean(axis=0, dtype=np.float64)
        squares = X.var(axis=0, dtype=np.float64) * rows
        if not self._rows:
            self._rows, self._mean, self._squares, self._dtype = rows, mean, squares, X.dtype
            return
        both, apart = self._rows + rows, mean - self._mean
        self._squares += squares + apart**2 * (self._rows * rows / both)
        self._mean += apart * (rows / both)
        self._rows = both

    def mean_and_scale(self, standardize: bool) -> tuple[NDArray[Any], NDArray[Any]]:
        """What the function of this name gives for all rows at once."""
        mean, variance = self._mean, self._squares / self._rows
        if not standardize:
            variance = variance.mean()
        scale = np.sqrt(variance)
        limits = np.finfo(self._dtype)
        floor = 10 * limits.eps * max(float(np.abs(mean).max()), float(limits.tiny))
        return mean.astype(self._dtype), np.asarray(np.where(scale > floor, scale, 1.0)).astype(self._dtype)
