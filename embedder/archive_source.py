"""A .zip or .tar of images as a source. Nothing is unpacked: members are read where they lie."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from embedder.archive_members import Member, TarMembers, ZipMembers
from embedder.entries import Entry, Source, check_images, is_image_name, key_of, passed_over
from embedder.errors import SourceError
from embedder.temporary_files import Readable, copy_to_temporary_file
from store.errors import first_line
from store.folders import SPLITS

_DECOMPRESS: dict[str, Callable[[BinaryIO], Readable]] = {
    ".gz": gzip.open, ".tgz": gzip.open,
    ".bz2": bz2.open, ".tbz2": bz2.open, ".tbz": bz2.open,
    ".xz": lzma.open, ".txz": lzma.open,
}  # fmt: skip
ARCHIVE_SUFFIXES = (
    ".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz",
)  # fmt: skip
_UNSAFE = re.compile(rb"/|[A-Za-z]:|(.*/)?\.\.(/|$)", re.DOTALL)


def is_archive_name(name: str) -> bool:
    """Whether a file is an archive by the end of its name."""
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def archive_stem(name: str) -> str:
    """An archive's name without what says its kind."""
    return name[: -max(len(suffix) for suffix in ARCHIVE_SUFFIXES if name.lower().endswith(suffix))]


def archive_source(path: Path, name: str) -> Source:
    """Lists an archive on this machine. Raises SourceError if it is damaged or holds no image."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise SourceError(f"could not read {path}: {error.strerror}.") from error
    return list_archive(
        file, path.name, str(path), str(path.resolve()), name, os.fstat(file.fileno()).st_mtime_ns
    )


def list_archive(
    file: BinaryIO,
    file_name: str,
    shown: str,
    location: str,
    name: str,
    mtime: int,
) -> Source:
    """The source in an open archive, which it takes over. The end of file_name says what kind it is.

    Keys are the members' paths. As a folder's own name is in no key, so is the top folder that all images of an
    archive share, unless it is called like a split. Of two members of one name the last counts, as it would
    after unpacking. A compressed .tar has no places to go to, so it is decompressed to a temporary file.
    mtime: the archive's own, in nanoseconds. Raises SourceError.
    """
    notes: tuple[str, ...] = ()
    try:
        suffix = Path(file_name).suffix.lower()
        if suffix in _DECOMPRESS:
            file, compressed = copy_to_temporary_file(_DECOMPRESS[suffix](file), shown), file
            compressed.close()
            notes += (f"{shown} was decompressed to a temporary file: a .zip or plain .tar needs none.",)
        members = ZipMembers(file) if suffix == ".zip" else TarMembers(file, mtime)
        found = _Found()
        found.take(members)
        check_images(found.images, found.others, shown)
    except SourceError:
        file.close()
        raise
    except Exception as error:  # archives of others raise whatever the library happens to stumble over
        file.close()
        raise SourceError(
            f"{shown} is damaged, or no archive of its kind ({first_line(error)}): download or pack it again."
        ) from error
    top = _shared_top(found.images)
    entries = [
        Entry(key_of(path[len(top) :]), member.place, member.bytes, member.mtime, members)
        for path, member in found.images.items()
    ]
    entries.sort(key=lambda entry: entry.key)
    return Source(name, location, entries, notes=notes + found.notes(shown))


@dataclass
class _Found:
    """The images of an archive by path, and what was passed over."""

    images: dict[bytes, Member] = field(default_factory=dict)
    others: int = 0
    twice: int = 0
    special: int = 0
    unsafe: list[bytes] = field(default_factory=list)

    def take(self, members: Iterable[Member]) -> None:
        """Sorts members out. Folders and hidden files are not worth a word."""
        for member in members:
            parts = [part for part in member.path.split(b"/") if part not in (b"", b".")]
            if _UNSAFE.match(member.path) or b"\0" in member.path:
                self.unsafe.append(member.path)
            elif member.is_folder or any(part.startswith(b".") or part == b"__MACOSX" for part in parts):
                continue
            elif not is_image_name(member.path):
                self.others += 1
            elif not member.is_regular:
                self.special += 1
            else:
                path = b"/".join(parts)
                self.twice += path in self.images
                self.images[path] = member

    def notes(self, shown: str) -> tuple[str, ...]:
        """What a person should know."""
        notes = passed_over(self.others, shown)
        if self.special:
            notes += (f"{self.special} links or devices in {shown} were passed over.",)
        if self.twice:
            notes += (
                f"{self.twice} members of {shown} are followed by others of the same name, which count.",
            )
        if self.unsafe:
            notes += (
                f"{len(self.unsafe)} members of {shown} have names that lead out of it and were passed over "
                f"(the first: {key_of(self.unsafe[0])!r}).",
            )
        return notes


def _shared_top(paths: Iterable[bytes]) -> bytes:
    """The folder, with its slash, that all paths begin with, unless it is called like a split."""
    tops = {path.partition(b"/")[0] if b"/" in path else b"" for path in paths}
    top = tops.pop()
    return b"" if tops or not top or top.decode("utf-8", "replace").lower() in SPLITS else top + b"/"
