"""Finds the row of a (hash, view) among many."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from store.columns import HASH_BYTES, Hashes


class RowIndex:
    """Rows of a space by (hash, view); where a pair occurs more than once, the first row counts.

    Sorted by the first eight bytes of the hash, which are as good as random; the few rows that share them
    (views, and once in a blue moon a collision) stand side by side and are told apart by comparing in full.
    """

    def __init__(
        self, hashes: Hashes, views: NDArray[np.int16], order: NDArray[np.int64] | None = None
    ) -> None:
        """order: rows by ascending prefix, if it is known from an earlier index of the same rows."""
        prefixes = _prefixes(hashes)
        self.order = np.argsort(prefixes, kind="stable") if order is None else order
        self._sorted = prefixes[self.order]
        self.hashes, self.views = hashes, views

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
            pending, rows = pending[same], self.order[at[same]]
            hit = (self.hashes[rows] == hashes[pending]).all(axis=1) & (self.views[rows] == view)
            found[pending[hit]] = rows[hit]
            pending = pending[~hit]
            position[pending] += 1
        return found

    def unique_count(self) -> int:
        """How many different (hash, view) pairs there are."""
        crowds = np.zeros(len(self.order), bool)  # rows whose prefix is another row's too
        same = self._sorted[1:] == self._sorted[:-1]
        crowds[1:] |= same
        crowds[:-1] |= same
        crowded = self.order[crowds]
        pairs = np.empty((len(crowded), HASH_BYTES + 2), np.uint8)
        pairs[:, :HASH_BYTES] = self.hashes[crowded]
        pairs[:, HASH_BYTES:] = self.views[crowded].astype(">i2").view(np.uint8).reshape(-1, 2)
        different = len(np.unique(pairs.view(f"V{HASH_BYTES + 2}")))
        return len(self.order) - len(crowded) + different


def _prefixes(hashes: Hashes) -> NDArray[np.uint64]:
    prefixes: NDArray[np.uint64] = np.ascontiguousarray(hashes[:, :8]).view(">u8").ravel().astype(np.uint64)
    return prefixes
