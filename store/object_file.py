"""An object as a file to be read here and there, in few requests."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from store.object_path import ObjectPath

_HEAD = 512 << 10  # a part begins with what is read when it is opened: 0.1 kB a row, of some thousand rows
_GROWTH = 4
_LARGEST_GAP = 256 << 10  # bytes that are quicker read than a second request is answered
_LARGEST_RANGE = 8 << 20
_AT_ONCE = 64 << 20


class ObjectFile(io.RawIOBase):
    """Reads an object. Its beginning is fetched at once and kept, as far as anything of it was read."""

    def __init__(self, path: ObjectPath) -> None:
        self._path, self._size, self._at = path, path.stat().st_size, 0
        self._head = path.read_range(0, min(_HEAD, self._size)) if self._size else b""

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Goes there."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fills the buffer, as far as there is something."""
        view = memoryview(buffer).cast("B")
        data = self._fetch(self._at, min(self._at + len(view), self._size))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _fetch(self, start: int, stop: int) -> bytes:
        if stop <= len(self._head) or start >= stop:
            return self._head[start:stop]
        longer = min(_GROWTH * len(self._head), self._size)
        if start > len(self._head) and stop > longer:
            return self._path.read_range(start, stop)
        self._head += self._path.read_range(len(self._head), max(stop, longer))
        return self._head[start:stop]


def read_places(
    path: ObjectPath, places: NDArray[np.int64], width: int
) -> Iterator[tuple[slice, NDArray[np.uint8]]]:
    """The bytes of records of `width` bytes at these places (n,), ascending: (rows of `places`, (rows, width) uint8).

    Records near each other come in one request, and several requests are under way at once. Raises ValueError if the
    object ends before a record does.
    """
    groups = _groups(places, width)
    waiting: list[tuple[int, int]] = []
    for number, (first, last) in enumerate(groups):
        waiting.append((first, last))
        total = sum(int(places[b - 1]) + width - int(places[a]) for a, b in waiting)
        if total < _AT_ONCE and number + 1 < len(groups):
            continue
        ranges = [(int(places[a]), int(places[b - 1]) + width) for a, b in waiting]
        for (a, b), data in zip(waiting, path.read_ranges(ranges), strict=True):
            yield slice(a, b), _records(data, places[a:b] - places[a], width)
        waiting = []


def _groups(places: NDArray[np.int64], width: int) -> Sequence[tuple[int, int]]:
    """Cuts where the gap to the next record is wide, and where a request would be large."""
    if not len(places):
        return []
    breaks = np.flatnonzero(np.diff(places) > width + _LARGEST_GAP) + 1
    groups = []
    for start, end in zip([0, *breaks.tolist()], [*breaks.tolist(), len(places)], strict=True):
        first = start
        while first < end:
            last = int(np.searchsorted(places[first:end], places[first] + _LARGEST_RANGE, side="right"))
            groups.append((first, first + max(last, 1)))
            first = groups[-1][1]
    return groups


def _records(data: bytes, places: NDArray[np.int64], width: int) -> NDArray[np.uint8]:
    if len(data) < int(places[-1]) + width:
        raise ValueError("it ends too early")
    windows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(data, np.uint8), width)
    records: NDArray[np.uint8] = windows[places]
    return records
