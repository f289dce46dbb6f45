"""Temporary files: what cannot be read here and there where it lies is copied to one first."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from typing import BinaryIO, Protocol

from embedder.entries import MAX_BYTES, TOO_LARGE, Entry
from embedder.errors import ImageError, SourceError

_CHUNK = 1 << 20
_LEAVE_FREE = 256 << 20


class Readable(Protocol):
    """Anything that gives bytes from its beginning to its end."""

    def read(self, size: int, /) -> bytes: ...


def copy_to_temporary_file(stream: Readable, of: str) -> BinaryIO:
    """The whole of a stream in a file without a name, which is gone with the process.

    Raises SourceError where the disk has no room for it, and whatever reading the stream raises.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115 (the caller's)
    try:
        while chunk := stream.read(_CHUNK):
            write_temporarily(file, chunk, of)
    except BaseException:
        file.close()
        raise
    return file


def write_temporarily(file: BinaryIO, data: bytes, of: str) -> None:
    """Appends to a temporary file, but never fills the disk: a bomb must not take it from others."""
    folder = tempfile.gettempdir()
    try:
        full = shutil.disk_usage(folder).free < _LEAVE_FREE + len(data)
        if not full:
            file.write(data)
    except OSError:
        full = True
    if full:
        raise SourceError(
            f"{of} does not fit into the temporary folder {folder}: make room there, name another one by the "
            "variable TMPDIR, or unpack it yourself and embed the folder."
        )


class Slices:
    """Reads images that lie in one file as they are, from any thread; an entry's `path` is where it begins."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        weakref.finalize(self, file.close)

    def __call__(self, entry: Entry) -> bytes:
        """The bytes of an entry. Raises ImageError."""
        if entry.bytes > MAX_BYTES:
            raise ImageError(TOO_LARGE)
        try:
            data = os.pread(self._file.fileno(), entry.bytes, int(entry.path))
        except OSError as error:
            raise ImageError(f"could not be read ({error.strerror or error})") from error
        if len(data) != entry.bytes:
            raise ImageError("its archive ends within it")
        return data
