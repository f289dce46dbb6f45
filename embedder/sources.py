"""Sources: where images come from, as a list of entries that can be read one by one."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from embedder.errors import ImageError, SourceError
from embedder.images import SUFFIXES
from store.errors import LabelTableError
from store.labels import LabelTable, make_label_table
from store.tables import TABLE_SUFFIXES, read_table
from store.writer import check_name

_MAX_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of a source before it is read.

    key: its name within the source. path: its place. bytes, mtime (nanoseconds): as the file system says, -1
    where it would not.
    """

    key: str
    path: str
    bytes: int
    mtime: int


@dataclass(frozen=True)
class Source:
    """A listed source: entries ordered by key, and the labels that came with it."""

    name: str
    location: str
    entries: list[Entry]
    labels: LabelTable | None = None
    notes: tuple[str, ...] = ()


def open_source(spec: str | Path, name: str | None = None) -> Source:
    """Lists a source: a folder (recursively), or a .csv, .tsv or .parquet table with a column `path`.

    name: what the store calls it; by default the folder's or table's own. Raises SourceError if there is no
    such thing, or no image in it.
    """
    if not str(spec):
        raise SourceError("the source is an empty name: name a folder of images or a table.")
    path = Path(spec).expanduser()
    if name is not None:
        check_name("source", name)
    if path.is_dir():
        return _folder(path, name or _name_after(path.resolve().name))
    if path.is_file() and path.suffix.lower() in TABLE_SUFFIXES:
        return _table(path, name or _name_after(path.stem))
    if path.exists():
        kinds = ", ".join(TABLE_SUFFIXES)
        raise SourceError(f"{path} is no source: expected a folder of images or a table ending in {kinds}.")
    raise SourceError(f"there is no folder or table at {path}; check the path.")


def _name_after(file_name: str) -> str:
    """A file name as the name of a source: what a store does not allow becomes an underscore."""
    plain = re.sub(r"[^\w. -]", "_", file_name).lstrip(". -").rstrip(". ")
    return plain[:50] or "images"


def read_entry(entry: Entry) -> bytes:
    """The bytes of an image file. Raises ImageError with the reason if it cannot be read.

    Only regular files are read: a pipe or a device could block for ever.
    """
    try:
        with open(entry.path, "rb", opener=_open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ImageError("not a regular file")
            if status.st_size > _MAX_BYTES:
                raise ImageError("larger than 1 GiB")
            return file.read(_MAX_BYTES)
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise ImageError("there is no such file") from error
        raise ImageError(f"could not be read ({error.strerror or error})") from error


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def files_as_entries(paths: list[str]) -> list[Entry]:
    """Entries for files and folders that a person named, keys as they named them; folders in order of keys."""
    entries: list[Entry] = []
    for path in paths:
        if Path(path).is_dir():
            entries += [Entry(_shown(e.path), e.path, e.bytes, e.mtime) for e in open_source(path).entries]
        elif Path(path).exists():
            entries.append(_entry(_shown(path), path))
        else:
            raise SourceError(f"there is no image at {path}; check the path.")
    return entries


def _shown(path: str) -> str:
    """A path as text that can be printed: bytes that are not UTF-8 as `\\xNN`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def key_of(relative: bytes) -> str:
    """The key of a relative path: POSIX form, text that UTF-8 can hold, and reversible.

    A backslash is written `\\\\`, and a byte that is not UTF-8 as `\\xNN`.
    """
    try:
        return relative.decode("utf-8").replace("\\", "\\\\")
    except UnicodeDecodeError:
        return relative.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")


def path_of(location: str, key: str) -> str:
    """Where the image of this key lies, for a source at `location`: the inverse of listing it."""
    base = os.fsencode(location if Path(location).is_dir() else Path(location).parent)
    raw = re.sub(rb"\\(\\|x[0-9a-f]{2})", _unescape, key.encode())
    return os.fsdecode(os.path.join(base, raw))  # noqa: PTH118 (bytes)


def _unescape(escape: re.Match[bytes]) -> bytes:
    return b"\\" if escape[1] == b"\\" else bytes([int(escape[1][1:], 16)])


def _folder(folder: Path, name: str) -> Source:
    root = os.fsencode(folder)
    entries, others = [], 0
    for path in _walk(root, set()):
        if path.lower().endswith(tuple(suffix.encode() for suffix in SUFFIXES)):
            entries.append(_entry(key_of(os.path.relpath(path, root)), os.fsdecode(path)))
        else:
            others += 1
    if not entries:
        raise SourceError(
            f"there is no image in {folder}"
            + (f" ({others} other files)" if others else "")
            + f": expected files ending in {', '.join(SUFFIXES)}, at any depth."
        )
    notes = (
        (f"{others} files of {folder} are not images by their name and were passed over.",) if others else ()
    )
    entries.sort(key=lambda entry: entry.key)
    return Source(name, str(folder.resolve()), entries, notes=notes)


def _walk(directory: bytes, seen: set[tuple[int, int]]) -> Iterator[bytes]:
    """All files below a directory but hidden ones; links to directories are followed, each directory once."""
    try:
        status = os.stat(directory)  # noqa: PTH116 (paths are bytes here: names need not be UTF-8)
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(directory) as found:
            # Links last: an image that can be reached by its own folder has the key of that one.
            children = sorted(found, key=lambda child: (child.is_symlink(), child.name))
    except OSError as error:
        reason = error.strerror
        raise SourceError(f"the folder {os.fsdecode(directory)} cannot be listed: {reason}.") from error
    for child in children:
        if child.name.startswith(b"."):
            continue
        if child.is_dir(follow_symlinks=False) or (
            child.is_symlink() and Path(os.fsdecode(child.path)).is_dir()
        ):
            yield from _walk(child.path, seen)
        else:
            yield child.path


def _table(path: Path, name: str) -> Source:
    try:
        table = read_table(path)
    except LabelTableError as error:
        raise SourceError(str(error)) from error
    table.columns = [str(column).strip() for column in table.columns]
    if "path" not in table:
        raise SourceError(
            f"{path} has no column 'path' that says where each image is; its columns: {', '.join(table.columns)}."
        )
    total = len(table)
    table = table.dropna(subset=["path"]).astype({"path": "str"})
    if table.empty:
        raise SourceError(f"{path} names no image: its column 'path' is empty.")
    table["path"] = [PurePosixPath(text.replace(os.sep, "/")).as_posix() for text in table["path"]]
    notes: tuple[str, ...] = (
        (f"{total - len(table)} rows of {path} have no path.",) if len(table) < total else ()
    )
    labels: LabelTable | None = None
    conflicting: list[str] = []
    if len(table.columns) > 1:
        labels, conflicting = make_label_table(name, table, on="key", source=name, column="path")
        keys = labels.table["key"].map(lambda text: key_of(os.fsencode(text)))
        labels = LabelTable(labels.name, labels.on, labels.source, labels.table.assign(key=keys))
    if conflicting:
        notes += (
            f"{len(conflicting)} images stand in {path} more than once with different labels "
            f"(the first: {conflicting[0]}); the first row counts.",
        )
    unique = pd.unique(table["path"])
    entries = [_entry(key_of(os.fsencode(text)), str(path.parent / text)) for text in unique]
    entries.sort(key=lambda entry: entry.key)
    return Source(name, str(path.resolve()), entries, labels, notes)


def _entry(key: str, path: str) -> Entry:
    try:
        status = os.stat(path)  # noqa: PTH116 (quicker than Path for a hundred thousand files)
    except OSError:
        return Entry(key, path, -1, -1)
    return Entry(key, path, status.st_size, status.st_mtime_ns)
