"""A set of image hashes whose memory is taken once and does not grow."""

from __future__ import annotations

from store.columns import HASH_BYTES

_EMPTY = bytes(HASH_BYTES)


class DigestSet:
    """At most `capacity` digests of 16 bytes in one table with linear probing: 32 bytes a digest, where a `set` of
    `bytes` takes over 100 and grows in steps."""

    def __init__(self, capacity: int) -> None:
        self._slots = 2 * capacity + 1
        self._table = bytearray(self._slots * HASH_BYTES)

    def __contains__(self, digest: bytes) -> bool:
        return self._find(digest)[1] == digest

    def add(self, digest: bytes) -> None:
        """Takes a digest in, if it is not there."""
        start, _ = self._find(digest)
        self._table[start : start + HASH_BYTES] = digest

    def _find(self, digest: bytes) -> tuple[int, bytes]:
        """Where the digest is, or the empty place where it belongs, and what is there."""
        slot = int.from_bytes(digest[:8], "little") % self._slots
        while True:
            start = slot * HASH_BYTES
            held = bytes(self._table[start : start + HASH_BYTES])
            if held in (_EMPTY, digest):
                return start, held
            slot = (slot + 1) % self._slots
