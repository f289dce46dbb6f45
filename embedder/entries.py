"""Entries: the images of a source before they are read, and how their bytes are had."""

from __future__ import annotations

import errno
import hashlib
import heapq
import os
import re
import stat
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from embedder.errors import ImageError, SourceError
from embedder.images import SUFFIXES
from store.labels import LabelTable

MAX_BYTES = 1 << 30
TOO_LARGE = "larger than 1 GiB"
Reader = Callable[["Entry"], bytes]
_SUFFIX_BYTES = tuple(suffix.encode() for suffix in SUFFIXES)


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of a source before it is read.

    key: its name within the source. path: its place, in the words of its reader. bytes, mtime (nanoseconds): as
    the file system or the archive says, -1 where it would not; an image of which neither has changed is not read
    again. reader: what reads it, from any thread; None is a file at `path`.
    """

    key: str
    path: str
    bytes: int
    mtime: int
    reader: Reader | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Source:
    """A listed source: entries ordered by key, and the labels that came with it.

    complete: False where a part of it could not be listed: an image that is missing may still be there.
    """

    name: str
    location: str
    entries: list[Entry]
    labels: LabelTable | None = None
    notes: tuple[str, ...] = ()
    complete: bool = True


def read_entry(entry: Entry) -> bytes:
    """The bytes of an image file. Raises ImageError with the reason if it cannot be read."""
    return (entry.reader or _read_file)(entry)


def sample_entries(entries: Sequence[Entry], limit: int | None, seed: int) -> list[Entry]:
    """A random sample of `limit` entries, or all of them for None, in their order.

    The entries with the smallest hashes of seed and key: so a larger sample holds a smaller one, and a folder
    that grows keeps most of its sample.
    """
    if limit is None or limit >= len(entries):
        return list(entries)

    def rank(index: int) -> bytes:
        return hashlib.blake2b(f"{seed}:{entries[index].key}".encode(), digest_size=8).digest()

    return [entries[index] for index in sorted(heapq.nsmallest(limit, range(len(entries)), key=rank))]


def file_entry(key: str, path: str) -> Entry:
    """The entry of a file on this machine, which need not be there."""
    try:
        status = os.stat(path)  # noqa: PTH116 (quicker than Path for a hundred thousand files)
    except OSError:
        return Entry(key, path, -1, -1)
    return Entry(key, path, status.st_size, status.st_mtime_ns)


def stamp_of(data: bytes) -> int:
    """A number for `Entry.mtime` that says as well whether data has changed, where there is no time."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big") >> 1


def _read_file(entry: Entry) -> bytes:
    """Only regular files are read: a pipe or a device could block for ever."""
    try:
        with open(entry.path, "rb", opener=_open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ImageError("not a regular file")
            if status.st_size > MAX_BYTES:
                raise ImageError(TOO_LARGE)
            return file.read(MAX_BYTES)
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise ImageError("there is no such file") from error
        raise ImageError(f"could not be read ({error.strerror or error})") from error


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def is_image_name(name: bytes) -> bool:
    """Whether a file is an image by the end of its name."""
    return name.lower().endswith(_SUFFIX_BYTES)


def key_of(relative: bytes) -> str:
    """The key of a relative path: POSIX form, text that UTF-8 can hold, and reversible.

    A backslash is written `\\\\`, and a byte that is not UTF-8 as `\\xNN`.
    """
    try:
        return relative.decode("utf-8").replace("\\", "\\\\")
    except UnicodeDecodeError:
        return relative.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")


def path_in_key(key: str) -> bytes:
    """The relative path that `key_of` made this key of."""
    return re.sub(rb"\\(\\|x[0-9a-f]{2})", _unescape, key.encode())


def _unescape(escape: re.Match[bytes]) -> bytes:
    return b"\\" if escape[1] == b"\\" else bytes([int(escape[1][1:], 16)])


def shown(path: str) -> str:
    """A path as text that can be printed: bytes that are not UTF-8 as `\\xNN`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def name_after(file_name: str) -> str:
    """A file name as the name of a source: what a store does not allow becomes an underscore."""
    plain = re.sub(r"[^\w. -]", "_", file_name).lstrip(". -").rstrip(". ")
    return plain[:50] or "images"


def passed_over(others: int, location: str) -> tuple[str, ...]:
    """The note on files that are no images."""
    return (
        (f"{others} files of {location} are not images by their name and were passed over.",)
        if others
        else ()
    )


def check_images(entries: Collection[object], others: int, location: str) -> None:
    """Raises SourceError if a source has no image."""
    if not entries:
        raise SourceError(
            f"there is no image in {location}"
            + (f" ({others} other files)" if others else "")
            + f": expected files ending in {', '.join(SUFFIXES)}, at any depth."
        )
