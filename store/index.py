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
        self,
        hashes: Hashes,
        views: NDArray[np.int16],
        known: tuple[NDArray[np.int64], NDArray[np.uint64]] | None = None,
    ) -> None:
        """known: `order` and `prefixes` of an earlier index of the same rows."""
        self.hashes, self.views = hashes, views
        if known is None:
            prefixes = _prefixes(hashes)
            order = np.argsort(prefixes, kind="stable")
            known = order, prefixes[order]
        self.order, self.prefixes = known  # rows by ascending prefix, and these

    def find(self, hashes: Hashes, view: int = 0) -> NDArray[np.int64]:
        """(n,) the row of each hash at this view, -1 where there is none."""
        wanted = _prefixes(hashes)
        position = np.searchsorted(self.prefixes, wanted)
        found = np.full(len(hashes), -1, np.int64)
        pending = np.arange(len(hashes))
        while len(pending):
            at = position[pending]
            inside = at < len(self.prefixes)
            pending, at = pending[inside], at[inside]
            same = self.prefixes[at] == wanted[pending]
            pending, rows = pending[same], self.order[at[same]]
            hit = (self.hashes[rows] == hashes[pending]).all(axis=1) & (self.views[rows] == view)
            found[pending[hit]] = rows[hit]
            pending = pending[~hit]
            position[pending] += 1
        return found

    def firsts(self, view: int) -> NDArray[np.intp]:
        """The rows that count at this view, ascending."""
        counts = np.asarray(self.views == view)
        crowded = self._crowded()
        crowded = crowded[counts[crowded]]
        counts[crowded] = self.find(self.hashes[crowded], view) == crowded
        return np.flatnonzero(counts)

    def unique_count(self) -> int:
        """How many different (hash, view) pairs there are."""
        crowded = self._crowded()
        pairs = np.empty((len(crowded), HASH_BYTES + 2), np.uint8)
        pairs[:, :HASH_BYTES] = self.hashes[crowded]
        pairs[:, HASH_BYTES:] = self.views[crowded].astype(">i2").view(np.uint8).reshape(-1, 2)
        different = len(np.unique(pairs.view(f"V{HASH_BYTES + 2}")))
        return len(self.order) - len(crowded) + different

    def _crowded(self) -> NDArray[np.int64]:
        """Rows whose prefix is another row's too."""
        crowds = np.zeros(len(self.order), bool)
        same = self.prefixes[1:] == self.prefixes[:-1]
        crowds[1:] |= same
        crowds[:-1] |= same
        return self.order[crowds]


def _prefixes(hashes: Hashes) -> NDArray[np.uint64]:
    prefixes: NDArray[np.uint64] = np.ascontiguousarray(hashes[:, :8]).view(">u8").ravel().astype(np.uint64)
    return prefixes
