"""Finds the row of a (hash, view) among many."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from store.columns import Hashes


class RowIndex:
    """Rows of a space by (hash, view); where a pair occurs more than once, the first row counts.

    Sorted by the first eight bytes of the hash, which are as good as random; the few rows that share them
    (views, and once in a blue moon a collision) stand side by side and are told apart by comparing in full.
    """

    def __init__(self, hashes: Hashes, views: NDArray[np.int16]) -> None:
        prefixes = _prefixes(hashes)
        self._order = np.argsort(prefixes, kind="stable")
        self._sorted = prefixes[self._order]
        self._hashes, self._views = hashes, views

    def find(self, hashes: Hashes, view: int = 0) -> NDArray[np.int64]:
        """(n,) the row of each hash at this view, -1 where there is none."""
        wanted = _prefixes(hashes)
        position = np.searchsorted(self._sorted, wanted)
        found = np.full(len(hashes), -1, np.int64)
        pending = np.arange(len(hashes))
        while len(pending):
            at = position[pending]
            inside = at < len(self._sorted)
            pending, at = pending[inside], at[inside]
            same = self._sorted[at] == wanted[pending]
            pending, rows = pending[same], self._order[at[same]]
            hit = (self._hashes[rows] == hashes[pending]).all(axis=1) & (self._views[rows] == view)
            found[pending[hit]] = rows[hit]
            pending = pending[~hit]
            position[pending] += 1
        return found

    def unique_count(self) -> int:
        """How many different (hash, view) pairs there are."""
        pairs = np.concatenate(
            [self._hashes, self._views.astype(">i2").view(np.uint8).reshape(-1, 2)], axis=1
        )
        return len(np.unique(np.ascontiguousarray(pairs).view("V18")))


def _prefixes(hashes: Hashes) -> NDArray[np.uint64]:
    prefixes: NDArray[np.uint64] = np.ascontiguousarray(hashes[:, :8]).view(">u8").ravel().astype(np.uint64)
    return prefixes
