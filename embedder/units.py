"""Work units: runs of neighbouring entries that one writer at a time works on."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedder.sources import Entry
from store.claims import Claims
from store.commit import checksum

UNIT_ENTRIES = 64  # on average: a second or two of work, so that several writers end at about the same time


@dataclass(frozen=True)
class Unit:
    """Neighbouring entries, in their order. id: the same in every job that sees the unit's first key."""

    id: str
    entries: list[Entry]


def split_into_units(entries: Iterable[Entry], of: str = "") -> Iterator[Unit]:
    """Cuts a list of entries where the checksum of a key says so.

    So jobs that list a folder at different times, while it grows, agree on all units but a few. of: ends the ids,
    for a list that is only a share: its units are not those of the whole.
    """
    id_, members = f"first{of}", list[Entry]()
    for entry in entries:
        key = os.fsencode(entry.key)
        if zlib.crc32(key) % UNIT_ENTRIES == 0:
            if members:
                yield Unit(id_, members)
            id_, members = f"{checksum(key)[:16]}{of}", []
        members.append(entry)
    if members:
        yield Unit(id_, members)


def without(units: Iterable[Unit], done: NDArray[np.bool_]) -> Iterator[Unit]:
    """The units with those of their entries that are not done, in their order through all units."""
    start = 0
    for unit in units:
        end = start + len(unit.entries)
        left = [entry for entry, is_done in zip(unit.entries, done[start:end], strict=True) if not is_done]
        if left:
            yield Unit(unit.id, left)
        start = end


class ClaimedUnits:
    """The units that a job works on: claimed before their first image is read, released after the last is committed."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims
        self._unit_of: dict[str, str] = {}  # by key of an image whose outcome is not known yet
        self._left: dict[str, int] = {}
        self._finished: list[str] = []

    def take(self, unit: Unit) -> bool:
        """Whether the unit is ours now, not another writer's."""
        return self._claims.take(unit.id)

    def begin(self, unit: Unit, entries: list[Entry]) -> None:
        """These of the unit's entries are to be done; the others are."""
        self._left[unit.id] = len(entries)
        self._unit_of |= {entry.key: unit.id for entry in entries}
        if not entries:
            self._finished.append(unit.id)

    def settle(self, entry: Entry) -> None:
        """The outcome of this entry stands in a row that waits for the next commit."""
        unit = self._unit_of.pop(entry.key)
        self._left[unit] -= 1
        if not self._left[unit]:
            self._finished.append(unit)

    def release_finished(self) -> None:
        """All rows were committed: others may know that these units are done."""
        for unit in self._finished:
            del self._left[unit]
            self._claims.release(unit)
        self._finished.clear()
