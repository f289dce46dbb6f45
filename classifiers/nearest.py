"""The nearest vectors by cosine similarity: exact, and of as many rows as a disk holds.

Products in float32 choose a few candidates more than asked for, whose similarities are then computed in float64.
Where these prove that no other row can be among the nearest, which is nearly always, that is all; queries amid a
crowd of equal rows are searched once more in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.errors import SearchError
from classifiers.factorization import VectorRows
from classifiers.threads import few_threads, for_shares

Keys = NDArray[np.uint64]
_BLOCK = 1024  # rows; its similarities to as many queries stay in the processor's cache
_MORE = 16  # candidates beside those asked for
_SIGN = np.uint32(1 << 31)
_MOST_ROWS = (1 << 32) - 1
_NONE = np.uint64(0)


def nearest(
    X: VectorRows, queries: VectorRows, k: int, *, exclude_self: bool = False
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """The k rows of X (n, d) most similar to each of the queries (m, d) by cosine.

    Returns their row numbers (m, k), best first, and the similarities (m, k), from -1 to 1. Rows of the same
    float32 similarity stand in the order of X; zeros have similarity 0 to everything. X is read once, in blocks,
    so it may be rows of a store; queries are held in memory. exclude_self: query i is row i of X, which is left
    out. Raises SearchError if there are fewer than k rows, or values that are not finite.
    """
    _check(X, queries, k, exclude_self)
    own = np.arange(len(queries)) if exclude_self else None
    search = _Search(X, np.asarray(queries[:]), own)
    count = min(k + _MORE, search.rows)
    quick = search.best(count, np.float32)
    exact = _refined(search, quick)
    found = exact[:, :k].copy()
    doubtful = _doubtful(X.shape[1], quick, found)
    if len(doubtful) and count < search.rows:
        found[doubtful] = search.of(doubtful).best(k, np.float64)
    return _rows_of(found), _similarities_of(found)


@dataclass(frozen=True)
class _Search:
    """Queries (m, d), and the row of X that each of them is, if it is one."""

    X: VectorRows
    queries: NDArray[Any]
    own: NDArray[np.intp] | None

    @property
    def rows(self) -> int:
        """How many rows a query may find."""
        return len(self.X) - (self.own is not None)

    def of(self, some: NDArray[np.intp]) -> _Search:
        """The same search for some of the queries."""
        return _Search(self.X, self.queries[some], None if self.own is None else self.own[some])

    def best(self, count: int, dtype: type[np.floating[Any]]) -> Keys:
        """Keys of the best rows of each query by products in `dtype`: (m, count), best first."""
        with few_threads(True):
            shares = for_shares(partial(self._scan, count, self._units(dtype)), len(self.X), _BLOCK)
        return np.sort(_largest(np.concatenate(shares, axis=1), count), axis=1)[:, ::-1]

    def _units(self, dtype: type[np.floating[Any]]) -> NDArray[Any]:
        units = np.empty(self.queries.shape, dtype)
        for start in range(0, len(units), _BLOCK):
            some = slice(start, start + _BLOCK)
            units[some] = _units(self.queries[some], "the queries", start)
        return units

    def _scan(self, count: int, queries: NDArray[Any], starts: range) -> Keys:
        best = np.full((len(queries), count), _NONE)
        for start in starts:
            stop = min(start + starts.step, len(self.X))
            block, inverse = _block(self.X[start:stop], start, queries.dtype)
            for first in range(0, len(queries), _BLOCK):
                some = slice(first, first + _BLOCK)
                found = queries[some] @ block.T
                found *= inverse
                found = found.astype(np.float32, copy=False)
                if self.own is not None:
                    rows = self.own[some] - start
                    inside = np.flatnonzero((rows >= 0) & (rows < stop - start))
                    found[inside, rows[inside]] = -np.inf
                _merge(best[some], found, start)
        return best


def _refined(search: _Search, quick: Keys) -> Keys:
    """The same rows by their similarities in float64, best first."""
    rows = _rows_of(quick)
    step = max(1, _BLOCK // quick.shape[1])

    def similarities(starts: range) -> NDArray[np.float32]:
        found = np.empty((len(starts) * step, rows.shape[1]), np.float32)
        for number, start in enumerate(starts):
            some = rows[start : start + step]
            wanted, places = np.unique(some, return_inverse=True)
            units = _units(np.asarray(search.X[wanted]), "X")
            products = _units(search.queries[start : start + step], "the queries") @ units.T
            found[number * step :][: len(some)] = np.take_along_axis(
                products, places.reshape(some.shape), axis=1
            )
        return found

    with few_threads(True):
        exact = np.concatenate(for_shares(similarities, len(rows), step))[: len(rows)]
    return np.sort(_keys(exact, rows), axis=1)[:, ::-1]


def _doubtful(dim: int, quick: Keys, found: Keys) -> NDArray[np.intp]:
    """The queries for which a row that is no candidate may be one of the nearest all the same.

    The rounding of a product of unit vectors is bounded by 10 √d u with overwhelming probability (Higham & Mary
    2019, "A new approach to probabilistic rounding error analysis"); lengths add as much again.
    """
    slack = 20 * np.sqrt(dim) * np.finfo(np.float32).eps / 2
    least = _similarities_of(quick[:, -1]).astype(np.float64)
    return np.flatnonzero(_similarities_of(found[:, -1]) <= least + slack)


def _merge(best: Keys, found: NDArray[np.float32], start: int) -> None:
    """Takes the similarities (m, b) of rows from `start` on into the best ones, in place; rows come in order."""
    count = best.shape[1]
    hits = found > _similarities_of(best.min(axis=1))[:, None]
    numbers = np.count_nonzero(hits, axis=1)
    some = np.flatnonzero(numbers)
    if not len(some):
        return
    width = int(numbers.max())
    if 2 * width > found.shape[1]:
        keys = _keys(
            found[some], np.broadcast_to(np.arange(start, start + found.shape[1]), found[some].shape)
        )
    else:
        queries, columns = np.nonzero(hits)
        keys = np.full((len(some), width), _NONE)
        place = np.arange(len(queries)) - np.repeat(np.cumsum(numbers) - numbers, numbers)
        line = np.repeat(np.arange(len(some)), numbers[some])
        keys[line, place] = _keys(found[queries, columns], columns + start)
    best[some] = _largest(np.concatenate([best[some], keys], axis=1), count)


def _largest(keys: Keys, count: int) -> Keys:
    at = keys.shape[1] - count
    return keys if at == 0 else np.partition(keys, at, axis=1)[:, at:]


def _keys(similarities: NDArray[np.float32], rows: NDArray[np.intp]) -> Keys:
    """Whole numbers that are the larger, the larger the similarity, and of equal ones the smaller the row."""
    bits = (np.clip(similarities, -1, 1) + np.float32(0)).view(np.uint32)  # + 0: -0 is 0
    bits = np.where(similarities == -np.inf, np.uint32(0), np.where(bits & _SIGN, ~bits, bits | _SIGN))
    return bits.astype(np.uint64) << np.uint64(32) | (_MOST_ROWS - rows).astype(np.uint64)


def _rows_of(keys: Keys) -> NDArray[np.intp]:
    return (_MOST_ROWS - (keys & np.uint64(_MOST_ROWS))).astype(np.intp)


def _similarities_of(keys: Keys) -> NDArray[np.float32]:
    """-inf of a key that stands for no row."""
    bits = (keys >> np.uint64(32)).astype(np.uint32)
    values = np.where(bits & _SIGN, bits & ~_SIGN, ~bits).view(np.float32)
    return np.where(bits == 0, np.float32(-np.inf), values)


def _units(vectors: NDArray[Any], what: str, start: int = 0) -> NDArray[np.float64]:
    """Vectors of unit length in float64; zeros stay zeros."""
    units = _scaled(vectors.astype(np.float64), what, start)
    units *= _inverse(np.einsum("nd,nd->n", units, units))[:, None]
    return units


def _scaled(vectors: NDArray[np.float64], what: str, start: int) -> NDArray[np.float64]:
    """Vectors divided by their largest value, so that their squares are in range. Raises SearchError."""
    largest = np.abs(vectors).max(axis=1, keepdims=True, initial=0)
    bad = np.flatnonzero(~np.isfinite(largest))
    if len(bad):
        raise SearchError(f"row {start + bad[0]} of {what} has NaN or infinity: leave it out.")
    vectors /= np.where(largest > 0, largest, 1)
    return vectors


def _block(rows: NDArray[Any], start: int, dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Rows in `dtype`, and 1 over the length of each, 0 for zeros."""
    block = np.asarray(rows).astype(dtype, copy=False)
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.einsum("nd,nd->n", block, block)
    if not ((squares > 1e-30) & (squares < 1e30)).all():  # zeros, or what cannot be squared in float32
        wide = np.asarray(rows).astype(np.float64)
        wide = _scaled(wide, "X", start)
        block, squares = wide.astype(dtype), np.einsum("nd,nd->n", wide, wide)
    return block, _inverse(squares).astype(dtype, copy=False)


def _inverse(squares: NDArray[Any]) -> NDArray[Any]:
    return np.where(squares > 0, 1 / np.sqrt(np.where(squares > 0, squares, 1)), 0)


def _check(X: VectorRows, queries: VectorRows, k: int, exclude_self: bool) -> None:
    if len(X.shape) != 2 or len(queries.shape) != 2 or X.shape[1] != queries.shape[1]:
        raise SearchError(
            f"nearest rows are searched for among vectors (n, d) by queries (m, d) of the same d; found {X.shape} "
            f"and {queries.shape}."
        )
    if exclude_self and len(queries) != len(X):
        raise SearchError(
            f"exclude_self: query i is row i, but there are {len(queries)} and {len(X)} of them."
        )
    if not 1 <= k <= len(X) - exclude_self:
        others = " others" if exclude_self else ""
        raise SearchError(f"{k} nearest rows were asked for; there are {len(X) - exclude_self:,}{others}.")
