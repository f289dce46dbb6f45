"""Tasks: what travels between the driver of a Ray run and its workers, as small as it can be."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field

from embedder.entries import Entry
from embedder.remote_files import read_url
from embedder.units import Unit
from store.object_path import is_url

SMALLEST, LARGEST, LARGEST_OF_ALL = 64, 512, 4096  # images of a task, about
_MOST_TASKS = 500  # before tasks grow: each is a part and a listing file, that somebody has to merge


@dataclass(frozen=True)
class Task:
    """Some units for one worker. one_by_one: each is committed before the next is begun."""

    number: int
    units: list[Unit]
    one_by_one: bool = False

    def pack(self) -> bytes:
        """The task as bytes; names need not be UTF-8. Of an entry's reader only URLs are kept."""
        units = [
            [
                unit.id,
                [entry.key for entry in unit.entries],
                [entry.path if is_url(entry.path) else os.path.abspath(entry.path) for entry in unit.entries],  # noqa: PTH100
                [entry.bytes for entry in unit.entries],
                [entry.mtime for entry in unit.entries],
            ]
            for unit in self.units
        ]
        return zlib.compress(json.dumps([self.number, self.one_by_one, units]).encode(), 1)

    @classmethod
    def unpack(cls, packed: bytes) -> Task:
        """What `pack` has packed; files are read from their paths or URLs."""
        number, one_by_one, units = json.loads(zlib.decompress(packed))
        return cls(number, [Unit(id_, _entries(*columns)) for id_, *columns in units], one_by_one)


@dataclass(frozen=True)
class Told:
    """What a worker tells of a task.

    counts: `embedded`, `skipped`, `duplicates` and `failed` images. stages: see `StageTimes`. failed: why, by the id
    of a unit that was not done. trouble: a sentence that ends the run; is_refused: a write was refused.
    """

    number: int
    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    stages: dict[str, dict[str, float]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    trouble: str | None = None
    is_refused: bool = False

    def pack(self) -> str:
        """As text."""
        return json.dumps(asdict(self))

    @classmethod
    def unpack(cls, packed: str) -> Told:
        """What `pack` has packed."""
        return cls(**json.loads(packed))


def deal(units: Iterable[Unit], workers: int) -> Iterator[Task]:
    """Tasks that shrink as the end comes near, so that all workers end at about the same time.

    Each is half of what is left for one worker (guided self-scheduling, Polychronopoulos and Kuck 1987), within
    bounds: a small one wastes time between tasks, and of a large one nothing is heard for long.
    """
    waiting = list(units)
    left = sum(len(unit.entries) for unit in waiting)
    largest = min(max(left // _MOST_TASKS, LARGEST), LARGEST_OF_ALL)
    number, members, size = 0, list[Unit](), 0
    for unit in waiting:
        members.append(unit)
        size += len(unit.entries)
        if size >= min(max(left / (2 * workers), SMALLEST), largest):
            yield Task(number, members)
            left -= size
            number, members, size = number + 1, [], 0
    if members:
        yield Task(number, members)


def _entries(keys: list[str], paths: list[str], sizes: list[int], mtimes: list[int]) -> list[Entry]:
    return [
        Entry(key, path, size, mtime, read_url if is_url(path) else None)
        for key, path, size, mtime in zip(keys, paths, sizes, mtimes, strict=True)
    ]
