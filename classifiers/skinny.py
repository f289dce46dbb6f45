"""Products of many rows with few columns of scores, which BLAS does slowly unless it is given few rows at a time.

OpenBLAS was seen to take 26 ms for the two products of (10000, 2049) with 5 columns, and 11 ms for them in blocks
of 64 rows, which its kernels for small matrices do without copying.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_FEW = 16
_ROWS = 64


def scores_of(weights: NDArray[Any], rows: NDArray[Any]) -> NDArray[Any]:
    """weights @ rows.T: (m, r) and (n, r) to (m, n)."""
    if len(weights) > _FEW:
        return np.asarray(weights @ rows.T)
    scores = np.empty((len(weights), len(rows)), np.result_type(weights, rows))
    for start in range(0, len(rows), _ROWS):
        scores[:, start : start + _ROWS] = weights @ rows[start : start + _ROWS].T
    return scores


def weighted_sums(weights: NDArray[Any], rows: NDArray[Any]) -> NDArray[Any]:
    """weights @ rows: (m, n) and (n, r) to (m, r)."""
    if len(weights) > _FEW:
        return np.asarray(weights @ rows)
    sums = np.zeros((len(weights), rows.shape[1]), np.result_type(weights, rows))
    for start in range(0, len(rows), _ROWS):
        sums += weights[:, start : start + _ROWS] @ rows[start : start + _ROWS]
    return sums
