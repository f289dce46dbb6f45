"""Paths on object stores: what the store asks of a directory, answered by fsspec.

An `ObjectPath` is a `pathlib.Path`, so that all code of the store is written once. There are no directories, links or
renames there: an object appears whole when its put ends, and names with a common beginning stand for a directory.
What was learned in a listing (kind, size, time) is kept with each path of it, since objects of a store never change.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cached_property
from pathlib import Path, PosixPath
from typing import Any, TypeVar

from store.errors import StoreError, StoreReadError, StoreWriteError, first_line

CONNECTIONS = 32
_READ_AHEAD = 512
_URL = re.compile(r"(?!(?:file|local):)[A-Za-z][A-Za-z0-9+.-]+://.")
_COLLAPSED = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+):/(?!/)")
_EXTRAS = {"s3": "embank[s3]", "s3a": "embank[s3]"}
_ATOMIC = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oci", "oss", "memory")  # an object appears whole
_TIMES = ("LastModified", "last_modified", "mtime", "updated", "created")
_CHECK = "Check the bucket's name, the credentials and the network, and run the same command again."

Result = TypeVar("Result")


def is_url(text: str) -> bool:
    """Whether a place is the URL of something on another machine."""
    return bool(_URL.match(text))


def store_path(place: str | Path) -> Path:
    """Where a store is: a path on a disk, or an `ObjectPath` for a URL such as `s3://bucket/pets.embank`.

    A Path that was made of a URL, and so has lost one of its slashes, is that URL.
    """
    is_object = is_url(_COLLAPSED.sub(r"\1://", str(place)))
    return ObjectPath(place) if is_object else Path(place)


class ObjectPath(PosixPath):
    """The name of an object, or of all objects whose names begin with it and a slash.

    Methods of Path that are not defined here raise TypeError rather than touch the disk. Raises StoreReadError and
    StoreWriteError where the object store refuses, FileNotFoundError where nothing has this name.
    """

    listed: os.stat_result | None = None  # what a listing said of it

    def __str__(self) -> str:
        return _COLLAPSED.sub(r"\1://", super().__str__())

    def __fspath__(self) -> str:
        raise TypeError(f"{self} is on an object store: the operating system cannot open it.")

    @cached_property
    def _place(self) -> tuple[Any, str]:
        return _open_filesystem(str(self))

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Its kind, size and time: of the listing that it came from, else asked for."""
        if self.listed is not None:
            return self.listed
        files, name = self._place
        with _reading(self):
            return _stat_of(files.info(name))

    def lstat(self) -> os.stat_result:
        """There are no links."""
        return self.stat()

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        """Whether there is an object of this name, or one below it."""
        return bool(self._mode())

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Whether there is an object below it."""
        return stat.S_ISDIR(self._mode())

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Whether there is an object of this name."""
        return stat.S_ISREG(self._mode())

    def _mode(self) -> int:
        try:
            return self.stat().st_mode
        except FileNotFoundError:
            return 0

    def is_symlink(self) -> bool:
        """There are no links."""
        return False

    def resolve(self, strict: bool = False) -> ObjectPath:
        """Itself."""
        return self

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Nothing: a directory is there as soon as something is in it."""

    def iterdir(self) -> Generator[ObjectPath, None, None]:
        """What is directly in it, by one listing (a request for each thousand names); nothing if it is not there."""
        files, name = self._place
        with suppress(FileNotFoundError), _reading(self):
            yield from self._contents(files.ls(name, detail=True), name)

    def _contents(self, found: list[dict[str, Any]], name: str) -> list[ObjectPath]:
        if len(found) == 1 and found[0]["type"] == "file" and found[0]["name"].strip("/") == name.strip("/"):
            if found[0].get("size"):
                raise NotADirectoryError(str(self))
            return []  # the object that some tools make to stand for a directory
        return sorted(self._listed(found))

    def _listed(self, found: Iterable[dict[str, Any]]) -> Iterator[ObjectPath]:
        for info in found:
            last = info["name"].rstrip("/").rpartition("/")[2]
            path = self / last
            if last and str(path) != str(self):
                path.listed = _stat_of(info)
                yield path

    def glob(self, pattern: str, **options: Any) -> Iterator[ObjectPath]:  # type: ignore[override] # noqa: ANN401
        """What is directly in it, or in the directory that the pattern begins with, and has such a name."""
        directory, _, last = pattern.rpartition("/")
        with suppress(NotADirectoryError):
            yield from (path for path in (self / directory).iterdir() if fnmatch.fnmatchcase(path.name, last))

    def walk_sizes(self) -> Iterator[tuple[str, int]]:
        """The names of all objects below it, relative to it, with their bytes, by one listing."""
        files, name = self._place
        with _reading(self):
            found = files.find(name, detail=True)
        for each, about in found.items():
            yield each.strip("/").removeprefix(name.strip("/")).strip("/"), int(about.get("size") or 0)

    def read_bytes(self) -> bytes:
        """All of it."""
        files, name = self._place
        with _reading(self):
            data: bytes = files.cat_file(name)
        return data

    def read_range(self, start: int, stop: int) -> bytes:
        """Some of it; fewer bytes if it ends before."""
        files, name = self._place
        with _reading(self):
            data: bytes = files.cat_file(name, start=start, end=stop)
        return data

    def read_ranges(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Several pieces of it, asked for at once."""
        files, name = self._place
        with _reading(self):
            starts, stops = [start for start, _ in ranges], [stop for _, stop in ranges]
            pieces: list[Any] = files.cat_ranges([name] * len(ranges), starts, stops, on_error="return")
            for piece in pieces:
                if isinstance(piece, BaseException):
                    raise piece
        return pieces

    def put(self, data: bytes) -> None:
        """Makes it, or replaces it: whole when this returns, as it was before if it raises."""
        files, name = self._place
        with _writing(self):
            files.pipe_file(name, data)
            _forget_listings(files)

    def put_new(self, data: bytes) -> None:
        """Makes it by a conditional put. Raises FileExistsError if it is there already."""
        files, name = self._place
        with _writing(self):
            files.pipe_file(name, data, mode="create")
            _forget_listings(files)

    def unlink(self, missing_ok: bool = False) -> None:
        """Deletes it."""
        files, name = self._place
        try:
            with _writing(self, "remove"):
                files.rm_file(name)
                _forget_listings(files)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def remove_below(self, last: str = "") -> None:
        """Deletes everything below it, many at a time; the object of this relative name after all others."""
        files, name = self._place
        names = sorted(each for each, _ in self.walk_sizes())
        for some in ([each for each in names if each != last], [each for each in names if each == last]):
            if some:
                with _writing(self, "remove"):
                    files.rm([f"{name}/{each}" for each in some])
                    _forget_listings(files)


def in_parallel(call: Callable[[Path], Result], paths: Sequence[Path]) -> Iterator[Result]:
    """What `call` makes of each path, in order: many at once where they are objects, each of which takes a request."""
    if len(paths) < 2 or not isinstance(paths[0], ObjectPath):
        yield from map(call, paths)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for start in range(0, len(paths), _READ_AHEAD):  # what was read waits in memory
            yield from pool.map(call, paths[start : start + _READ_AHEAD])


def _open_filesystem(url: str) -> tuple[Any, str]:
    import fsspec.core

    protocol = url.partition("://")[0]
    if protocol not in _ATOMIC:
        raise StoreError(
            f"{url} is on no object store that embank knows to write files whole or not at all: expected s3://, gs://, "
            "az:// or such. Mount the place, or copy the store, and give its path."
        )
    options: dict[str, Any] = {"use_listings_cache": False}  # others write while we read
    if protocol in ("s3", "s3a"):
        options["config_kwargs"] = {"max_pool_connections": CONNECTIONS}
    try:
        files, name = fsspec.core.url_to_fs(url, **options)
    except ImportError as error:
        extra = _EXTRAS.get(protocol)
        what = f"pip install '{extra}'" if extra else f"{str(error).rstrip('.')}, with pip, beside embank"
        raise StoreError(f"{url} cannot be opened: its package is missing. Install it: {what}.") from error
    except ValueError as error:
        raise StoreError(
            f"{url} cannot be opened ({first_line(error)}): expected a URL such as s3://bucket/pets.embank."
        ) from error
    return files, name


def _forget_listings(files: Any) -> None:  # noqa: ANN401 (an fsspec file system)
    files.invalidate_cache()


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, StoreError, NotADirectoryError):
        raise
    except Exception as error:  # backends raise errors of their own kinds
        raise StoreReadError(f"{path} could not be read: {_reason(error)}. {_CHECK}") from error


@contextmanager
def _writing(path: Path, verb: str = "write") -> Iterator[None]:
    try:
        yield
    except (FileExistsError, StoreError):
        raise
    except FileNotFoundError as error:
        if verb == "remove":
            raise
        raise StoreWriteError(
            f"could not write {path}: {_reason(error)}. Make the bucket first; embank makes none."
        ) from error
    except Exception as error:
        raise StoreWriteError(
            f"could not {verb} {path}: {_reason(error)}. Nothing that was there before is harmed. {_CHECK}"
        ) from error


def _reason(error: BaseException) -> str:
    text = first_line(error).rstrip(".")
    return "no answer in time" if isinstance(error, TimeoutError) and text == "TimeoutError" else text


def _stat_of(info: dict[str, Any]) -> os.stat_result:
    kind = stat.S_IFDIR if info["type"] == "directory" else stat.S_IFREG
    moment = next((info[name] for name in _TIMES if info.get(name) is not None), 0)
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    seconds = moment.timestamp() if isinstance(moment, datetime) else float(moment)
    size = int(info.get("size") or 0)
    return os.stat_result((kind | 0o644, 0, 0, 1, 0, 0, size, seconds, seconds, seconds))
