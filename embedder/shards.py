"""Shards: the share of a source that one of several jobs embeds, with nothing to agree upon between them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from embedder.entries import Entry
from embedder.errors import RecipeError
from store.commit import checksum

_SHARD = re.compile(r"(\d{1,9})/(\d{1,9})")


@dataclass(frozen=True)
class Shard:
    """The `number`-th of `count` shares.

    The checksum of an image's key says whose it is. So the shares are disjoint and complete, an image stays where
    it is when others come or go, and shares differ in size by chance alone, about the square root of their size
    (whole work units, of which there are few and unequal ones, would differ by several times that).
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard of `I/N`, 1 ≤ I ≤ N. Raises RecipeError."""
        match = _SHARD.fullmatch(text)
        number, count = map(int, match.groups()) if match else (0, 0)
        if not 1 <= number <= count:
            raise RecipeError(
                f"--shard {text!r}: expected I/N, the I-th of N shares, such as 1/8 for the first and 8/8 for the last."
            )
        return cls(number, count)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def share_of(self, entries: Sequence[Entry]) -> list[Entry]:
        """The entries of this shard, in their order."""
        return [entry for entry in entries if _number_of(entry.key) % self.count == self.number - 1]


def _number_of(key: str) -> int:
    """Not the checksum that cuts units: a shard would then have few cuts, or many."""
    return int(checksum(key.encode())[:16], 16)
