"""What a power cut may leave of a tree: files and directories with what was fsynced, and what was not."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.torture_disk import Call

BLOCK = 512
_MOST_SUBSETS = 16  # of pending entries of one directory
State = dict[str, bytes | None]  # by path: a file's bytes, or None for a directory


@dataclass(eq=False)
class _File:
    synced: bytes = b""
    now: bytes = b""


@dataclass(eq=False)
class _Directory:
    """synced: the entries that an fsync made durable. pending: changes since, each of them whole or not at all."""

    synced: dict[str, _Node] = field(default_factory=dict)
    pending: list[dict[str, _Node | None]] = field(default_factory=list)

    def entries(self, chosen: tuple[int, ...] | None = None) -> dict[str, _Node]:
        """The entries if only these changes reached the disk; by default all."""
        changes = self.pending if chosen is None else [self.pending[number] for number in chosen]
        merged: dict[str, _Node | None] = dict(self.synced)
        for change in changes:
            merged |= change
        return {name: node for name, node in merged.items() if node is not None}


_Node = _File | _Directory


class Disk:
    """A model of a disk that keeps no promise but fsync's.

    The bytes of a file that was not fsynced may be there, missing from any block on, or others in any block. Of
    the entries of a directory that was not fsynced any may be there, in any order; a rename is one change. That
    a directory is fsynced says nothing of its own entry in its parent, nor of the bytes of its files.
    """

    def __init__(self, root: str) -> None:
        self._root, self._top = root, _Directory()

    def apply(self, call: Call) -> None:
        """Does what this call did."""
        parent, name = self._find(call.path)
        if call.kind == "mkdir":
            parent.pending.append({name: _Directory()})
        elif call.kind == "create":
            parent.pending.append({name: _File()})
        elif call.kind == "unlink":
            parent.pending.append({name: None})
        elif call.kind == "rename":
            target, new = self._find(call.target)
            assert target is parent, "a rename between directories is not one change"
            parent.pending.append({name: None, new: parent.entries()[name]})
        elif call.kind == "write":
            node = parent.entries()[name]
            assert isinstance(node, _File)
            node.now += call.data
        elif call.kind == "fsync":
            node = parent.entries()[name] if name else self._top
            if isinstance(node, _File):
                node.synced = node.now
            else:
                node.synced, node.pending = node.entries(), []

    def whole(self) -> State:
        """What is there without a power cut."""
        return _state(self._top, {}, {})

    def states(self, rng: random.Random, most: int) -> Iterator[State]:
        """What a power cut may leave now: all of it, or `most` of it chosen at random, both ends among them."""
        directories, files = _unsettled(self._top)
        choices = [_subsets(len(directory.pending), rng) for directory in directories]
        contents = [_contents(file) for file in files]
        counts = [len(options) for options in choices] + [len(options) for options in contents]
        picks: Iterable[Sequence[int]]
        if math.prod(counts) <= most:
            picks = itertools.product(*map(range, counts))
        else:
            ends = [[0] * len(counts), [count - 1 for count in counts]]
            picks = [*ends, *([rng.randrange(count) for count in counts] for _ in range(most - 2))]
        for pick in picks:
            entries, bytes_ = pick[: len(choices)], pick[len(choices) :]
            yield _state(
                self._top,
                {id(node): choices[n][entries[n]] for n, node in enumerate(directories)},
                {id(file): contents[n][bytes_[n]] for n, file in enumerate(files)},
            )

    def _find(self, path: str) -> tuple[_Directory, str]:
        *above, name = path.removeprefix(self._root).lstrip("/").split("/")
        directory = self._top
        for step in above:
            below = directory.entries()[step]
            assert isinstance(below, _Directory)
            directory = below
        return directory, name


def _state(
    top: _Directory, chosen: dict[int, tuple[int, ...]], bytes_: dict[int, bytes], prefix: str = ""
) -> State:
    found: State = {}
    for name, node in top.entries(chosen.get(id(top))).items():
        if isinstance(node, _File):
            found[prefix + name] = bytes_.get(id(node), node.now)
        else:
            found[prefix + name] = None
            found |= _state(node, chosen, bytes_, f"{prefix}{name}/")
    return found


def _unsettled(top: _Directory) -> tuple[list[_Directory], list[_File]]:
    """All directories and files that are not as they were fsynced."""
    directories = [top] if top.pending else []
    files: list[_File] = []
    seen: set[int] = set()
    nodes: list[_Node | None] = [*top.synced.values()]
    nodes += [node for change in top.pending for node in change.values()]
    for node in nodes:
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, _Directory):
            below = _unsettled(node)
            directories += below[0]
            files += below[1]
        elif node.now != node.synced:
            files.append(node)
    return directories, files


def _subsets(count: int, rng: random.Random) -> list[tuple[int, ...]]:
    """Which of so many pending changes reached the disk: none first, all last."""
    if 2**count <= _MOST_SUBSETS:
        return [subset for size in range(count + 1) for subset in itertools.combinations(range(count), size)]
    some = {tuple(n for n in range(count) if rng.random() < 0.5) for _ in range(_MOST_SUBSETS - 2)}
    return [(), *sorted(some), tuple(range(count))]


def _contents(file: _File) -> list[bytes]:
    """What may be left of a file that was written but not fsynced."""
    now = file.now
    starts = range(0, len(now), BLOCK)
    cut = [now[:start] for start in starts if start > len(file.synced)]
    fillings = (bytes(BLOCK), b"\x5a" * BLOCK)  # zeros, or what some other file left there
    spoiled = [
        now[:start] + filling[: len(now) - start] + now[start + BLOCK :]
        for start in starts
        for filling in fillings
    ]
    return [file.synced, bytes(len(now)), *cut, *spoiled, now]
