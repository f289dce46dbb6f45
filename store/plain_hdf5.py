"""Plain HDF5: the small part of HDF5 that a store's files are in, read without the HDF5 library.

The library follows links to other files, crashes on some damaged files and hangs on others. What this module reads
is one group of plain arrays (see "HDF5 files" in docs/format.md); everything else is refused. No structure is
believed: each must lie inside the file, none may share a byte with another, and all together are small. So a reading
ends soon, whatever the file says, and nothing but this file is opened. Names and numbers of sections are those of
"HDF5 File Format Specification Version 3.0".
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

_SUPERBLOCK = struct.Struct("<8sB4xBB9x Q8xQQ 8xQ24x")  # II.A, version 0, with the root's symbol table entry
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_UNDEFINED = (1 << 64) - 1
_METADATA_BYTES = 1 << 20  # a part's structures have 5,000 bytes
_LONGEST_SIDE = 1 << 48
_LONGEST_NAME = 256
_MOST_DIMENSIONS = 32
_SHARED = 2
_DATASPACE, _DATATYPE, _LAYOUT, _CONTINUATION, _SYMBOL_TABLE = 0x01, 0x03, 0x08, 0x10, 0x11
_PASSED_OVER = {0x00, 0x04, 0x05, 0x0C, 0x0E, 0x12}  # nothing, fill values, attributes, times of change
_TYPES = {  # IV.A.2.d: version 1, little-endian; fixed-point (unsigned, signed) and IEEE 754
    struct.pack("<4B I HH", 0x10, sign << 3, 0, 0, size, 0, 8 * size): np.dtype(f"<{kind}{size}")
    for sign, kind in enumerate("ui")
    for size in (1, 2, 4, 8)
} | {
    struct.pack(
        "<4B I HH 4B I", 0x11, 0x20, 8 * size - 1, 0, size, 0, 8 * size, at, exponent, 0, at, bias
    ): np.dtype(f"<f{size}")
    for size, at, exponent, bias in ((2, 10, 5, 15), (4, 23, 8, 127), (8, 52, 11, 1023))
}


@dataclass(frozen=True)
class PlainDataset:
    """An array of little-endian numbers, row-major, at byte `offset` of its file (0 if it has no elements)."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int

    @property
    def nbytes(self) -> int:
        """How many bytes it has in the file."""
        return math.prod(self.shape) * self.dtype.itemsize


class PlainFile(Mapping[str, PlainDataset]):
    """The datasets of an HDF5 file by name. Raises ValueError, with what is wrong, if it is not a plain one."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = self._end = file.seek(0, os.SEEK_END)
        self._taken: list[tuple[int, int]] = []
        self._budget = _METADATA_BYTES
        self._datasets: dict[str, PlainDataset] = {}
        try:
            for name, address in self._read_root():
                if name in self._datasets:
                    raise ValueError(f"{name!r} is there twice")
                self._datasets[name] = self._read_dataset(name, address)
        except struct.error:
            raise ValueError("one of its structures is cut short") from None
        self._check_apart()

    def __getitem__(self, name: str) -> PlainDataset:
        return self._datasets[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._datasets)

    def __len__(self) -> int:
        return len(self._datasets)

    def read(self, start: int, stop: int) -> bytes:
        """These bytes of the file."""
        self._file.seek(start)
        data = self._file.read(stop - start)
        if len(data) != stop - start:
            raise ValueError("it ends too early")
        return data

    def array(self, dataset: PlainDataset) -> NDArray[Any]:
        """The values of a dataset."""
        array = np.empty(dataset.shape, dataset.dtype)
        if array.nbytes:
            self._file.seek(dataset.offset)
            if self._file.readinto(array.reshape(-1).view(np.uint8).data) != array.nbytes:  # type: ignore[attr-defined]
                raise ValueError("it ends too early")
        return array

    def _take(self, start: int, count: int) -> bytes:
        """Reads a structure, and remembers its place as taken."""
        if start + count > self._end:
            raise ValueError(f"a structure at byte {start} lies beyond its end")
        self._budget -= count
        if self._budget < 0:
            raise ValueError(f"its structures have more than {_METADATA_BYTES} bytes")
        self._taken.append((start, start + count))
        return self.read(start, start + count)

    def _read_root(self) -> Iterator[tuple[str, int]]:
        """The names in the root group, and where the header of each object is."""
        signature, version, offsets, lengths, base, end, driver, root = _SUPERBLOCK.unpack(
            self._take(0, _SUPERBLOCK.size)
        )
        if (signature, version, offsets, lengths, base, driver) != (_SIGNATURE, 0, 8, 8, 0, _UNDEFINED):
            raise ValueError("it does not begin as an HDF5 file with a superblock of version 0")
        if end > self.size:
            raise ValueError(f"it has {self.size} of its {end} bytes")
        self._end = end
        messages = self._read_header(root)
        if set(messages) != {_SYMBOL_TABLE}:
            raise ValueError("its root group has no symbol table")
        tree, heap = struct.unpack_from("<QQ", messages[_SYMBOL_TABLE])
        signature, version, size, _, segment = struct.unpack("<4sB3x3Q", self._take(heap, 32))  # III.D
        if (signature, version) != (b"HEAP", 0):
            raise ValueError("its names have no local heap")
        names = self._take(segment, size)
        for offset, address, cached in self._read_tree(tree):
            text, nul, _ = names[offset : offset + _LONGEST_NAME].partition(b"\0")
            if not nul:
                raise ValueError("a name is too long, or lies outside of where names are")
            name = text.decode()
            if cached:
                raise ValueError(f"{name!r} is a link or a group, expected a dataset")
            yield name, address

    def _read_tree(self, address: int, level: int | None = None) -> Iterator[tuple[int, int, int]]:
        """The symbol table entries below a node of the group's B-tree (III.A.1, III.B, III.C)."""
        signature, kind, depth, used = struct.unpack_from("<4sBBH", self._take(address, 24))
        if (signature, kind) != (b"TREE", 0) or (level is not None and (depth != level or not used)):
            raise ValueError("its group has no sound B-tree")
        children = struct.unpack(f"<{2 * used + 1}Q", self._take(address + 24, 16 * used + 8))[1::2]
        for child in children:
            if depth:
                yield from self._read_tree(child, depth - 1)
                continue
            signature, version, symbols = struct.unpack("<4sBxH", self._take(child, 8))
            if (signature, version) != (b"SNOD", 1):
                raise ValueError("its group has no sound symbol table")
            yield from struct.iter_unpack("<QQI20x", self._take(child + 8, 40 * symbols))

    def _read_header(self, address: int) -> dict[int, bytes]:
        """The messages of an object header (IV.A.1.a, version 1) that say something; others are passed over."""
        version, count, size = struct.unpack("<BxH4xI", self._take(address, 12))
        if version != 1:
            raise ValueError("an object header is not of version 1")
        blocks = [(address + 16, size)]
        found: dict[int, bytes] = {}
        for start, length in blocks:
            block = self._take(start, length)
            at = 0
            while count and at + 8 <= length:
                kind, size, flags = struct.unpack_from("<HHB", block, at)
                body = block[at + 8 : at + 8 + size]
                at += 8 + size
                count -= 1
                if kind == _CONTINUATION:
                    blocks.append(struct.unpack_from("<QQ", body))
                elif kind in (_DATASPACE, _DATATYPE, _LAYOUT, _SYMBOL_TABLE):
                    if kind in found or flags & _SHARED or at > length:
                        raise ValueError(f"message {kind:#04x} of a header is shared, cut or there twice")
                    found[kind] = body
                elif kind not in _PASSED_OVER:
                    raise ValueError(f"a header has a message {kind:#04x}, which plain datasets have not")
        if count:
            raise ValueError("an object header has fewer messages than it says")
        return found

    def _read_dataset(self, name: str, address: int) -> PlainDataset:
        try:
            messages = self._read_header(address)
            if set(messages) != {_DATASPACE, _DATATYPE, _LAYOUT}:
                raise ValueError("it is no dataset")
            shape, dtype = _shape(messages[_DATASPACE]), _dtype(messages[_DATATYPE])
            version, layout, offset, size = struct.unpack_from("<BBQQ", messages[_LAYOUT].ljust(18, b"\0"))
            if (version, layout) != (3, 1):  # IV.A.2.i
                raise ValueError("it is not stored contiguously in this file")
            dataset = PlainDataset(name, dtype, shape, offset if size else 0)
            if size != dataset.nbytes or (size and offset + size > self._end):
                raise ValueError(f"its shape {shape} does not fit its place in the file")
        except ValueError as error:
            raise ValueError(f"{name!r}: {error}") from None
        if size:
            self._taken.append((offset, offset + size))
        return dataset

    def _check_apart(self) -> None:
        self._taken.sort()
        for (_, stop), (start, _) in zip(self._taken, self._taken[1:], strict=False):
            if start < stop:
                raise ValueError(f"two of its structures share byte {start}")


def _shape(message: bytes) -> tuple[int, ...]:
    """IV.A.2.b, versions 1 and 2."""
    version, rank, flags, kind = struct.unpack_from("<4B", message)
    if (version, flags & 2) != (1, 0) and (version, kind in (0, 1)) != (2, True):
        raise ValueError("its dataspace is not simple")
    if rank > _MOST_DIMENSIONS:
        raise ValueError(f"it has {rank} dimensions")
    shape: tuple[int, ...] = struct.unpack_from(f"<{rank}Q", message, 8 if version == 1 else 4)
    if max(shape, default=0) > _LONGEST_SIDE:
        raise ValueError(f"its shape {shape} is absurd")
    return shape


def _dtype(message: bytes) -> np.dtype[Any]:
    dtype = _TYPES.get(message[:12], _TYPES.get(message[:20]))
    if dtype is None:
        raise ValueError("its type is not one of little-endian numbers")
    return dtype
