"""Bringing vectors to a scale that iterative solvers like."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def mean_and_scale(X: NDArray[Any], standardize: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Means (d,) and the divisor of centred vectors (n, d), both in the dtype of X.

    The divisor is one number (), the root mean variance, so that all dimensions keep their weight; with
    `standardize` each dimension's own deviation (d,). It is 1 where nothing varies.
    """
    mean = X.mean(axis=0, dtype=np.float64)
    variance = X.var(axis=0, dtype=np.float64)
    if not standardize:
        variance = variance.mean()
    scale = np.sqrt(variance)
    floor = 10 * np.finfo(X.dtype).eps * max(float(np.abs(mean).max()), float(np.finfo(X.dtype).tiny))
    return mean.astype(X.dtype), np.asarray(np.where(scale > floor, scale, 1.0)).astype(X.dtype)
