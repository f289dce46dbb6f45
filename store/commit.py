"""The commit protocol: how a file gets into a store, and nothing else does.

Bytes go to a temporary name in the target directory, are fsynced, renamed to the final name, and the
directory is fsynced. Only then is the file committed. A failed fsync is never retried (the kernel may have
dropped the dirty pages): the temporary file is discarded and the error raised.

On an object store a put is the commit: it is atomic and durable when it is answered, so there is neither a temporary
name nor a sync.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import xxhash

from store.errors import StoreWriteError
from store.object_path import ObjectPath
from store.processes import is_running, this_machine

CHECKSUM_BYTES = 16
Buffer = bytes | memoryview
_ABANDONED_AFTER_S = 24 * 3600.0
_TEMPORARY = re.compile(r"\.tmp-(?P<machine>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{8}")


def checksum(data: bytes | memoryview) -> str:
    """The blake2b-128 of `data` as 32 hex digits: the identity of images, which strangers may have made."""
    return hashlib.blake2b(data, digest_size=CHECKSUM_BYTES).hexdigest()


def file_checksum(*pieces: Buffer) -> str:
    """The xxh3-128 of the pieces as 32 hex digits: the checksum in file names, against damage.

    Measured on parts of 34 MB, blake2b took longer than to write and fsync them, and xxh3 a thirtieth of that.
    """
    digest = xxhash.xxh3_128()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def commit_file(directory: Path, stem: str, suffix: str, *pieces: Buffer) -> Path:
    """Commits the pieces, one after the other, as `<stem>-<checksum><suffix>` in `directory`; returns the path."""
    path = directory / f"{stem}-{file_checksum(*pieces)}{suffix}"
    write_file(path, *pieces)
    return path


def write_file(path: Path, *pieces: Buffer) -> None:
    """Writes the pieces, one after the other, to `path` durably and atomically, replacing what was there.

    When it returns, the file survives kill -9 and a power cut. When it raises StoreWriteError, the file at
    `path` is still the old one, or the new one if only the last fsync failed, and whole in either case.
    """
    if isinstance(path, ObjectPath):
        path.put(b"".join(pieces))
        return
    temporary = path.parent / f".tmp-{this_machine()}-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        make_directories(path.parent)
        _write_and_sync(temporary, pieces)
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise StoreWriteError(
            f"could not write {path}: {error.strerror or error}. Nothing that was there before is harmed; "
            "make room, or mend the path or its permissions, and run the same command again."
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def make_directories(directory: Path) -> None:
    """Creates `directory` and its missing parents, each entry fsynced."""
    if isinstance(directory, ObjectPath):
        return
    missing = []
    while not directory.is_dir():
        missing.append(directory)
        directory = directory.parent
    for new in reversed(missing):
        new.mkdir(exist_ok=True)
        sync_directory(new.parent)


def sweep_temporary_files(directory: Path) -> int:
    """Removes what dead writers left in `directory`; returns how many files.

    A writer is dead when it ran on this machine and its process is gone, or when its file is a day old
    (a commit takes seconds).
    """
    swept = 0
    if isinstance(directory, ObjectPath):
        return swept
    with suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            match = _TEMPORARY.fullmatch(entry.name)
            if match and _is_abandoned(entry, match["machine"], int(match["pid"])):
                with suppress(OSError):  # another writer was first, or it is somebody else's
                    Path(entry.path).unlink()
                    swept += 1
    return swept


def _write_and_sync(path: Path, pieces: Sequence[Buffer]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        for piece in pieces:
            view = memoryview(piece)
            while view:
                view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(directory: Path) -> None:
    """Makes the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_abandoned(entry: os.DirEntry[str], machine: str, pid: int) -> bool:
    if machine == this_machine():
        return not is_running(pid)
    with suppress(FileNotFoundError):
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > _ABANDONED_AFTER_S
    return False
