"""Products of many rows with few columns of scores, which BLAS does slowly unless it is given few rows at a time.

OpenBLAS was seen to take 26 ms for the two products of (10000, 2049) with 5 columns, and 11 ms for them in blocks
of 64 rows, which its kernels for small matrices do without copying: products of up to a million multiplications.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.threads import for_shares

_FEW = 12
_ROWS = 64
_SMALL_PRODUCT = 1_000_000
_SHARE = 64


def scores_of(weights: NDArray[Any], rows: NDArray[Any]) -> NDArray[Any]:
    """weights @ rows.T: (m, r) and (n, r) to (m, n)."""
    if len(weights) > _FEW:
        return np.asarray(weights @ rows.T)
    size = _few_rows(weights.shape)
    stacks, width = len(rows) // size, rows.shape[1]
    whole = stacks * size
    # Stacked, for one call: several would take turns with those of other threads.
    stacked = np.matmul(rows[:whole].reshape(stacks, size, width), weights.T)
    scores = np.concatenate([stacked.reshape(whole, len(weights)), rows[whole:] @ weights.T])
    return np.ascontiguousarray(scores.T)


def products(rows: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """rows @ weights: (n, r) and (r, m) to (n, m), contiguous."""
    if weights.shape[1] > _FEW:
        return np.asarray(rows @ weights)
    return np.ascontiguousarray(scores_of(weights.T, rows).T)


def weighted_sums(weights: NDArray[Any], rows: NDArray[Any]) -> NDArray[Any]:
    """weights @ rows: (m, n) and (n, r) to (m, r)."""
    if len(weights) > _FEW:
        return np.asarray(weights @ rows)
    few, width = len(weights), rows.shape[1]
    size = _few_rows((few, width))
    stacks = len(rows) // size
    whole = stacks * size
    turned = np.ascontiguousarray(weights[:, :whole].reshape(few, stacks, size).swapaxes(0, 1))
    stacked = np.matmul(turned, rows[:whole].reshape(stacks, size, width))
    return np.asarray(stacked.sum(axis=0) + weights[:, whole:] @ rows[whole:])


def shared_scores(weights: NDArray[Any], rows: NDArray[Any]) -> NDArray[Any]:
    """`scores_of`, the rows shared among the processors. BLAS should be kept to one thread meanwhile."""
    return np.concatenate(
        for_shares(lambda share: scores_of(weights, rows[share.start : share.stop]), len(rows), _SHARE),
        axis=1,
    )


def shared_products(rows: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """`products`, the rows shared among the processors. BLAS should be kept to one thread meanwhile."""
    return np.concatenate(
        for_shares(lambda share: products(rows[share.start : share.stop], weights), len(rows), _SHARE)
    )


def shared_sums(weights: NDArray[Any], rows: NDArray[Any]) -> NDArray[Any]:
    """`weighted_sums`, the rows shared among the processors. BLAS should be kept to one thread meanwhile."""

    def sums(share: range) -> NDArray[Any]:
        some = slice(share.start, share.stop)
        return weighted_sums(weights[:, some], rows[some])

    return np.asarray(np.sum(for_shares(sums, len(rows), _SHARE), axis=0))


def _few_rows(shape: tuple[int, ...]) -> int:
    """How many rows at a time leave a product with weights (m, r) small; as a multiple of 8."""
    return max(8, min(_ROWS, _SMALL_PRODUCT // max(1, shape[0] * shape[1])) // 8 * 8)
