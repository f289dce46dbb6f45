"""The members of .zip and .tar archives: what their headers say, and their bytes, read from any thread."""

from __future__ import annotations

import calendar
import os
import stat
import tarfile
import threading
import weakref
import zipfile
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from embedder.entries import MAX_BYTES, TOO_LARGE, Entry
from embedder.errors import ImageError
from embedder.temporary_files import Slices

_ENCRYPTED, _UTF8 = 0x1, 0x800
_HEADER_BYTES = 1 << 20
_HEADER_TYPES = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class Member(NamedTuple):
    """One member. path: as it is written in the archive. place: where its reader finds it."""

    path: bytes
    place: str
    bytes: int
    mtime: int
    is_folder: bool
    is_regular: bool


class ZipMembers:
    """Iterates over the members of a .zip and reads them. Owns the file."""

    def __init__(self, file: BinaryIO) -> None:
        self._archive = zipfile.ZipFile(file)
        self._infos = self._archive.infolist()
        self._lock = threading.Lock()
        weakref.finalize(self, file.close)

    def __iter__(self) -> Iterator[Member]:
        for index, info in enumerate(self._infos):
            mode = info.external_attr >> 16
            is_regular = stat.S_IFMT(mode) in (0, stat.S_IFREG)
            yield Member(
                _zip_path(info), str(index), info.file_size, _zip_time(info), info.is_dir(), is_regular
            )

    def __call__(self, entry: Entry) -> bytes:
        """The bytes of a member, of which its checksum is right. Raises ImageError."""
        info = self._infos[int(entry.path)]
        if info.flag_bits & _ENCRYPTED:
            raise ImageError("is encrypted in its archive")
        # The library decompresses the other methods without a bound on memory.
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ImageError("is compressed in its archive by a method other than deflate")
        if info.file_size > MAX_BYTES:
            raise ImageError(TOO_LARGE)
        try:
            return self._read(info)
        except Exception as error:  # damaged members raise BadZipFile, zlib.error, EOFError and more
            raise ImageError(f"is damaged in its archive ({str(error) or type(error).__name__})") from error

    def _read(self, info: zipfile.ZipInfo) -> bytes:
        with self._lock:  # the library counts its users without one
            member = self._archive.open(info)
        try:
            data = member.read(info.file_size)  # never more than is declared, whatever it expands to
        finally:
            with self._lock:
                member.close()
        if len(data) != info.file_size:
            raise EOFError("it ends early")
        return data


def _zip_path(info: zipfile.ZipInfo) -> bytes:
    """A member's path. Names without the flag for UTF-8 are UTF-8 all the same on most systems, cp437 on few."""
    name = info.orig_filename
    raw = name.encode("utf-8" if info.flag_bits & _UTF8 else "cp437", "surrogateescape")
    return raw.replace(b"\\", b"/")  # .zip has no backslashes but those that Windows tools mean as slashes


def _zip_time(info: zipfile.ZipInfo) -> int:
    """Nanoseconds; below the two seconds that a .zip can tell apart, the checksum.

    So a changed image is noticed in archives too that are packed with one time for all.
    """
    try:
        seconds = calendar.timegm((*info.date_time, 0, 0, 0))
    except ValueError:  # month 0, which some tools write
        seconds = 0
    return seconds * 10**9 + info.CRC % 10**9


class TarMembers:
    """Iterates over the members of an uncompressed .tar and reads them. Owns the file. own_time: the archive's."""

    def __init__(self, file: BinaryIO, own_time: int) -> None:
        self._file = file
        self._slices = Slices(file)
        self._own_time = own_time

    def __iter__(self) -> Iterator[Member]:
        """Raises tarfile.TarError where the archive is damaged."""
        self._file.seek(0)
        archive = tarfile.open(fileobj=self._file, mode="r:", tarinfo=_Header, encoding="utf-8")  # noqa: SIM115
        while (info := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # a kilobyte for each that nobody needs any more
            yield Member(
                os.fsencode(info.name),
                str(info.offset_data),
                info.size,
                self._time(info),
                info.isdir(),
                info.isreg() and not info.issparse(),
            )
        self._file.seek(archive.offset)
        if self._file.read(tarfile.BLOCKSIZE).strip(b"\0"):  # which the library takes for the end
            raise tarfile.ReadError(f"no header at byte {archive.offset}")

    def __call__(self, entry: Entry) -> bytes:
        """The bytes of a member. Raises ImageError."""
        return self._slices(entry)

    def _time(self, info: tarfile.TarInfo) -> int:
        """Nanoseconds; where all members are packed with time 0, the archive's own says whether they changed."""
        return int(info.mtime * 1e9) if 0 < info.mtime < 9e9 else self._own_time


class _Header(tarfile.TarInfo):
    """A header that cannot make the library read without end or bound."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.size < 0 or (self.type in _HEADER_TYPES and self.size > _HEADER_BYTES):
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]
