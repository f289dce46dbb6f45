"""How files of a store are opened. It may be a stranger's: a link, a pipe or a device is no file of it.

A store may also be on an object store (`ObjectPath`), which has nothing but whole objects.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from store.commit import file_checksum
from store.errors import StoreFormatError, StoreReadError
from store.object_file import ObjectFile
from store.object_path import ObjectPath

LARGEST_JSON = 1 << 20  # a recipe has a thousand bytes
_DEEPEST_JSON = 32
_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
)
_LINKED = ("spaces", "sources", "labels", "heads")


def open_file(path: Path, buffering: int = -1) -> BinaryIO:
    """Opens a file of a store for reading; `buffering` is that of `open`.

    Raises StoreFormatError, without waiting and without opening it, for what is no plain file; StoreReadError if the
    file system refuses; FileNotFoundError.
    """
    if isinstance(path, ObjectPath):
        return cast(BinaryIO, ObjectFile(path))
    try:
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode):
            kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "a device")
            raise StoreFormatError(
                f"{path} is {kind}, where a store has a file of its own. Delete it, or put the file itself there."
            )
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb", buffering)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise unreadable(path, error) from error


def read_file(path: Path, largest: int | None = None) -> bytes:
    """The bytes of a file of a store. Raises what `open_file` does, and StoreFormatError beyond `largest` bytes."""
    if isinstance(path, ObjectPath):
        if largest is not None:
            _check_size(path, path.stat().st_size, largest)
        return path.read_bytes()
    with open_file(path) as file:
        _check_size(path, os.fstat(file.fileno()).st_size, largest)
        try:
            return file.read()
        except OSError as error:
            raise unreadable(path, error) from error


def _check_size(path: Path, size: int, largest: int | None) -> None:
    if largest is not None and size > largest:
        raise StoreFormatError(
            f"{path} is damaged: it has {size:,} bytes, expected at most {largest:,}. "
            "embank never writes such a file: do not trust this store."
        )


def read_committed(path: Path, name: re.Pattern[str], remedy: str, largest: int | None = None) -> bytes:
    """The bytes of a committed file, after they were seen to match the checksum in its name.

    name: what such files are called, with a group `checksum`. remedy: what to do about one that is damaged. Raises
    what `read_file` does, and StoreFormatError for damage.
    """
    data = read_file(path, largest)
    match = name.fullmatch(path.name)
    if not match or file_checksum(data) != match["checksum"]:
        raise StoreFormatError(
            f"{path} is damaged: its bytes do not match the checksum in its name. {remedy}"
        )
    return data


def bytes_below(directory: Path) -> int:
    """How many bytes all files below a directory have. What others remove meanwhile counts as nothing."""
    if isinstance(directory, ObjectPath):
        return sum(size for _, size in directory.walk_sizes())
    total = 0
    for place, _, names in os.walk(directory):
        for name in names:
            with suppress(FileNotFoundError):
                total += Path(place, name).lstat().st_size
    return total


def mark_used(path: Path) -> None:
    """Gives a file of the cache the present time, so that it goes last; objects keep that of their making."""
    if not isinstance(path, ObjectPath):
        with suppress(OSError):
            os.utime(path)


def unreadable(path: Path, error: OSError) -> StoreReadError:
    """What to raise when the file system refuses to read a file of a store."""
    if isinstance(error, StoreReadError):
        return error
    reason = os.strerror(error.errno) if error.errno else str(error)
    way_out = (
        "Close other files or programs"
        if error.errno == errno.EMFILE
        else "Check its permissions and the disk"
    )
    return StoreReadError(f"{path} could not be read: {reason}. {way_out}, and run the same command again.")


def json_object(text: bytes) -> dict[str, Any]:
    """The JSON object in `text`. Raises ValueError if there is none, or one that is nested absurdly deep."""
    try:
        value = json.loads(text)
        if not isinstance(value, dict):
            raise ValueError("it is no JSON object")
        if _is_deeper(value, _DEEPEST_JSON):
            raise RecursionError
    except RecursionError:
        raise ValueError("its JSON is nested too deep") from None
    return value


def refuse_links(store: Path) -> None:
    """Raises StoreFormatError if a directory of the store is a link: it could lead anywhere.

    Files are looked at when they are opened, so only directories matter here, and the store itself may be a link.
    """
    if isinstance(store, ObjectPath):
        return
    for entry in _entries(store):
        if entry.is_symlink():
            raise StoreFormatError(
                f"{entry.path} is a symbolic link, which may lead out of the store. Delete it, or put what it points "
                "to in its place."
            )


def _entries(store: Path) -> Iterator[os.DirEntry[str]]:
    places = [store, *(store / name for name in _LINKED), store / "cache"]
    for place in places:
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    yield entry
                    inside_cache = place == store / "cache" or store / "cache" in place.parents
                    if inside_cache and entry.is_dir(follow_symlinks=False):
                        places.append(Path(entry.path))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise unreadable(place, error) from error


def _is_deeper(value: object, levels: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels == 0 or any(_is_deeper(one, levels - 1) for one in inside)
