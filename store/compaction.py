"""Compact: fewer, larger parts, and one listing file a source; nothing is lost at any moment.

A new part is committed before the parts that it names in `supersedes` are removed, and it holds every row of
theirs. So no step depends on another one having happened, or on what other writers do meanwhile: two
compactions at once leave rows twice, which count once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.columns import unpack_strings
from store.commit import sweep_temporary_files
from store.errors import StoreFormatError, StoreWriteError
from store.feature_store import check_store
from store.files import read_committed
from store.hdf import open_image, read_array
from store.listing import listing_files, read_listing
from store.object_path import ObjectPath, in_parallel, store_path
from store.part import PART_NAME, Part, PartRows
from store.removal import sweep_trash
from store.space import SPACE_NAME, Space, is_unborn, part_files
from store.writer import StoreWriter

TARGET_BYTES = 128 << 20
_ROW_EXTRA = 18  # bytes of hash and view
_ATTEMPTS = 10
Progress = Callable[[int, int], None]
Ids = NDArray[np.int64]


@dataclass
class CompactReport:
    """How many files there were and are, their bytes, and how many rows that occurred twice were dropped."""

    parts_before: int = 0
    parts_after: int = 0
    listings_before: int = 0
    listings_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    duplicates: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `embank compact --json` prints them."""
        return asdict(self)


def compact(
    path: str | Path, target_bytes: int = TARGET_BYTES, progress: Progress | None = None
) -> CompactReport:
    """Makes few large parts of the many of each space, and removes what they replace.

    target_bytes: of vectors in a new part; three times as much memory is taken. A part is never split, so a
    larger one stays as it is. progress: called with rows done and rows in all. A row that two writers made is
    dropped where both copies come into one part; any of the two would do. Safe at any moment, also while
    others read or write. Raises StoreFormatError for damage, with everything left as it was.
    """
    path = store_path(path)
    check_store(path)
    writer = StoreWriter(path)
    report = CompactReport()
    sweep_trash(path)
    spaces = [d for d in _directories(path / "spaces") if SPACE_NAME.fullmatch(d.name) and not is_unborn(d)]
    total = sum(part.rows for directory in spaces for part in Space(directory).parts)
    done = 0
    for directory in spaces:
        _count(report, directory, part_files, "before")
        for rows in _compact_space(writer, directory, target_bytes, report):
            done += rows
            if progress:
                progress(min(done, total), total)
        _count(report, directory, part_files, "after")
    for directory in _directories(path / "sources"):
        _count(report, directory, listing_files, "before")
        _compact_listing(writer, directory)
        _count(report, directory, listing_files, "after")
    return report


def part_rows(part: Part) -> PartRows:
    """All of a part, after its bytes were seen to match the checksum in its name. Vectors stay mapped.

    Raises StoreFormatError if they do not: a copy would give damaged vectors a sound checksum.
    """
    return rows_of(part, sound_bytes(part.path))


def rows_of(part: Part, data: bytes) -> PartRows:
    """All of a part whose bytes are `data`, which become its vectors only of an object: those of a file stay mapped.

    Raises StoreFormatError if they do not fit.
    """
    vectors = part.vectors_in(data) if isinstance(part.path, ObjectPath) else part.vectors
    with open_image(data, part.path) as file:
        keys, sources = (
            unpack_strings(read_array(file, name, 1, "u1"), read_array(file, f"{name}_end", 1, "i8")).tolist()
            for name in ("key", "source")
        )
    try:
        return PartRows(part.hash, part.view, vectors, keys, sources, part.shape)
    except ValueError as error:
        raise StoreFormatError(f"{part.path} is damaged: {error}") from error


def sound_bytes(path: Path) -> bytes:
    """The bytes of a part. Raises StoreFormatError unless they match the checksum in its name."""
    return read_committed(
        path, PART_NAME, "Delete it and embed its source again, which makes only the rows that are missing."
    )


def _compact_space(
    writer: StoreWriter, directory: Path, target_bytes: int, report: CompactReport
) -> Iterable[int]:
    """Yields how many rows were done since the last time."""
    sweep_temporary_files(directory)
    _remove_superseded(directory)
    for attempt in range(_ATTEMPTS):
        space = Space(directory)
        try:
            parts = list(in_parallel(Part.read, [part.path for part in space.parts]))
            ids = [_row_ids(space, part) for part in parts]
            for group in _plan(space, ids, target_bytes):
                chosen = [parts[number] for number in group]
                yield _rewrite(writer, space, chosen, _first_rows([ids[number] for number in group]), report)
            return
        except FileNotFoundError:  # another compaction was here first: plan again with what it left
            if attempt == _ATTEMPTS - 1:
                raise


def _row_ids(space: Space, part: Part) -> Ids:
    """A number for each row of a part: the same for the same (hash, view) in all parts of the space."""
    ids = np.zeros(part.rows, np.int64)
    for view in np.unique(part.view):
        chosen = part.view == view
        ids[chosen] = space.find(part.hash[chosen], int(view))
    return ids


def _plan(space: Space, ids: list[Ids], target_bytes: int) -> list[list[int]]:
    """Which parts go into one, each part whole: first fit, the largest first.

    What a part adds to a group is its rows that are not there yet. So a part whose rows are all in another
    one finds it, and no two of the groups would fit into one: compacting again changes nothing.
    """
    unique = [np.unique(rows) for rows in ids]
    occurrences = np.bincount(np.concatenate([*unique, np.zeros(0, np.int64)]))
    shared = [rows[occurrences[rows] > 1] for rows in unique]
    row_bytes = space.dim * np.dtype(space.dtype).itemsize + _ROW_EXTRA
    groups = []
    remaining = sorted(range(len(ids)), key=lambda number: -len(unique[number]))
    while remaining:
        seen = np.zeros(len(occurrences), bool)
        group: list[int] = []
        rows = 0
        for number in remaining:
            added = len(unique[number]) - int(seen[shared[number]].sum())
            if not group or not added or (rows + added) * row_bytes <= target_bytes:
                group.append(number)
                rows += added
                seen[shared[number]] = True
        groups.append(sorted(group))  # the first row of a pair in the order of names counts
        remaining = [number for number in remaining if number not in set(group)]
    return groups


def _rewrite(
    writer: StoreWriter, space: Space, parts: list[Part], keep: list[Ids], report: CompactReport
) -> int:
    """Commits one part of these rows of these parts and removes them; returns how many rows they had."""
    before, after = sum(part.rows for part in parts), sum(map(len, keep))
    if len(parts) == 1 and before == after:
        return before
    rows = _gather(parts, keep)
    try:
        writer.commit_part(space.recipe, rows, supersedes=[part.path.name for part in parts])
    except ValueError as error:
        raise StoreFormatError(
            f"{space.directory} holds vectors that are not finite. `embank verify` says in which file; delete it and "
            "embed its source again."
        ) from error
    report.duplicates += before - after
    for part in parts:
        _remove(part.path)
    return before


def _first_rows(ids: Sequence[Ids]) -> list[Ids]:
    """The rows of each part that no earlier row repeats, in their order."""
    starts = np.cumsum([0, *map(len, ids)])
    _, first = np.unique(np.concatenate(ids), return_index=True)
    first.sort()
    bounds = np.searchsorted(first, starts)
    return [first[bounds[i] : bounds[i + 1]] - starts[i] for i in range(len(ids))]


def _gather(parts: Sequence[Part], keep: Sequence[Ids]) -> PartRows:
    total = sum(map(len, keep))
    vectors = np.empty((total, parts[0].dim), parts[0].dtype)
    keys: list[str] = []
    sources: list[str] = []
    done = 0
    for part, chosen in zip(parts, keep, strict=True):
        rows = part_rows(part)
        np.take(rows.vectors, chosen, axis=0, out=vectors[done : done + len(chosen)])
        keys += [rows.key[row] for row in chosen]
        sources += [rows.source[row] for row in chosen]
        done += len(chosen)
    hashes = np.concatenate([part.hash[chosen] for part, chosen in zip(parts, keep, strict=True)])
    views = np.concatenate([part.view[chosen] for part, chosen in zip(parts, keep, strict=True)])
    return PartRows(hashes, views, vectors, keys, sources, parts[0].shape)


def _remove_superseded(directory: Path) -> None:
    """Removes parts that an earlier compaction replaced and had no time to remove.

    Their superseder is read in full before: while it is damaged, they are the only sound copy.
    """
    files = part_files(directory)  # before the parts are read: what is committed later is no leftover
    current = {part.path.name for part in Space(directory).parts}
    leftovers = [path for path in files if path.name not in current]
    if not leftovers:
        return
    superseders = {
        name: part.path for part in in_parallel(Part.read, part_files(directory)) for name in part.supersedes
    }
    for path in leftovers:
        if path.name in superseders:
            sound_bytes(superseders[path.name])
            _remove(path)


def _compact_listing(writer: StoreWriter, directory: Path) -> None:
    sweep_temporary_files(directory)
    files = listing_files(directory)  # before they are read: what is committed later is no leftover
    listing = read_listing(directory)
    if listing is None or listing.source != directory.name:
        return
    for path in files:
        if path.name not in listing.files:
            _remove(path)
    if len(listing.files) > 1:
        writer.rewrite_listing(listing)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreWriteError(
            f"could not remove {path}, which was replaced: {error.strerror}. Nothing is lost; fix the permissions "
            "and compact again."
        ) from error


def _count(report: CompactReport, directory: Path, files: Callable[[Path], list[Path]], when: str) -> None:
    what = "parts" if files is part_files else "listings"
    sizes = [path.stat().st_size for path in files(directory) if path.exists()]
    for name, value in ((f"{what}_{when}", len(sizes)), (f"bytes_{when}", sum(sizes))):
        setattr(report, name, getattr(report, name) + value)


def _directories(parent: Path) -> list[Path]:
    return sorted(child for child in parent.iterdir() if child.is_dir()) if parent.is_dir() else []
