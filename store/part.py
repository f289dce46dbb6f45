"""A part: one immutable HDF5 file that holds some vectors of a space."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.columns import HASH_BYTES, Hashes, pack_strings
from store.commit import CHECKSUM_BYTES, file_checksum
from store.errors import StoreFormatError
from store.files import open_file, read_file
from store.halves import widened
from store.hdf import build_frame, build_image, open_image, plain_dataset, read_about, read_array
from store.object_file import read_places
from store.object_path import ObjectPath
from store.plain_hdf5 import PlainDataset, PlainFile
from store.recipes import space_id

PART_NAME = re.compile(r"(?P<n>\d{6,})-(?P<writer>[0-9a-f]{8})-(?P<checksum>[0-9a-f]{32})\.h5")
_SHORTEST_RUN = 64
_GATHERED_AT_ONCE = 512


@dataclass(frozen=True)
class PartRows:
    """What goes into a part, row by row.

    hash: (n, 16) uint8, the blake2b-128 of each image's bytes. view: (n,) int16. vectors: (n, dim) float32
    or float16. key, source: where each image was seen first, so that a bank can be rebuilt from its parts. shape:
    of what a vector is the row-major form of, (height, width, channels), if it is a feature map.
    """

    hash: Hashes
    view: NDArray[np.int16]
    vectors: NDArray[np.floating[Any]]
    key: Sequence[str]
    source: Sequence[str]
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        lengths = {len(column) for column in (self.hash, self.view, self.vectors, self.key, self.source)}
        if len(lengths) != 1:
            raise ValueError(f"the columns of a part are of different lengths: {sorted(lengths)}.")


@dataclass(frozen=True)
class PartFile:
    """Where the vectors of a part are: (rows, dim) of `dtype` at byte `vectors_at` of the file."""

    path: Path
    rows: int
    dim: int
    dtype: np.dtype[Any]
    vectors_at: int

    @cached_property
    def vectors(self) -> NDArray[np.floating[Any]]:
        """(rows, dim), memory-mapped, read-only; of an object read whole."""
        if self.rows == 0:
            return np.zeros((0, self.dim), self.dtype)
        if isinstance(self.path, ObjectPath):
            return self.vectors_in(read_file(self.path))
        with open_file(self.path) as file:
            try:
                return np.memmap(file, self.dtype, "r", self.vectors_at, (self.rows, self.dim))
            except ValueError as error:
                raise _too_short(self.path) from error

    def vectors_in(self, data: bytes) -> NDArray[np.floating[Any]]:
        """(rows, dim), read-only, out of all bytes of the file."""
        try:
            array = np.frombuffer(data, self.dtype, self.rows * self.dim, self.vectors_at)
        except ValueError as error:
            raise _too_short(self.path) from error
        return array.reshape(self.rows, self.dim)


@dataclass(frozen=True)
class Part(PartFile):
    """A committed part: where its vectors are, and everything else in it."""

    recipe: dict[str, Any]
    supersedes: tuple[str, ...]
    hash: Hashes
    view: NDArray[np.int16]
    shape: tuple[int, ...]

    @classmethod
    def read(cls, path: Path, data: bytes | None = None) -> Part:
        """Opens a part, or all bytes of it if they are at hand, and checks every byte but the vectors.

        Raises StoreFormatError if it is not a sound one, FileNotFoundError if it is gone.
        """
        with open_image(path if data is None else data, path) as file:
            vectors = plain_dataset(file, "vectors", 2, "f4", "f2")
            if not _frame_is_sound(file, vectors):
                raise StoreFormatError(
                    f"{path} is damaged: what stands around its vectors does not match its checksum. "
                    "Delete the file and embed its source again, which makes only the rows that are missing."
                )
            hashes = read_array(file, "hash", 2, "u1")
            views = read_array(file, "view", 1, "i2")
            about = read_about(file)
            recipe = dict(about["recipe"])
            space_id(recipe)  # it raises unless this is a recipe
            rows, dim = vectors.shape
            if hashes.shape != (rows, HASH_BYTES) or views.shape != (rows,):
                raise StoreFormatError(f"{path} is damaged: its columns are of different lengths.")
            return cls(
                path=path,
                rows=rows,
                dim=dim,
                dtype=vectors.dtype,
                vectors_at=vectors.offset,
                recipe=recipe,
                supersedes=tuple(map(str, about["supersedes"])),
                hash=hashes,
                view=views,
                shape=_map_shape(about, dim, path),
            )


def part_pieces(
    rows: PartRows, recipe: dict[str, Any], supersedes: Sequence[str] = ()
) -> tuple[bytes, memoryview, bytes]:
    """The bytes of a part in three pieces: an HDF5 file up to its vectors, these, and a checksum of the first.

    So a reader knows that it finds the right vectors of the right images without reading all vectors.
    """
    keys, key_ends = pack_strings(rows.key)
    sources, source_ends = pack_strings(rows.source)
    vectors = np.ascontiguousarray(rows.vectors)
    datasets: dict[str, NDArray[Any]] = {
        "hash": rows.hash,
        "view": rows.view,
        "key": keys,
        "key_end": key_ends,
        "source": sources,
        "source_end": source_ends,
    }
    about = {"recipe": recipe, "supersedes": list(supersedes)} | (
        {"shape": rows.shape} if len(rows.shape) > 1 else {}
    )
    if not vectors.size:
        frame = build_image({**datasets, "vectors": vectors}, about)
    else:
        frame = build_frame(datasets, about, "vectors", vectors)
    return frame, vectors.reshape(-1).view(np.uint8).data, bytes.fromhex(file_checksum(frame))


def part_image(rows: PartRows, recipe: dict[str, Any], supersedes: Sequence[str] = ()) -> bytes:
    """The bytes of a part."""
    return b"".join(part_pieces(rows, recipe, supersedes))


def read_rows(
    part: PartFile, rows: NDArray[np.int64], out: NDArray[np.float32], places: NDArray[np.int64]
) -> None:
    """Copies rows of a part to these places of `out` (n, dim): out[places] = part[rows].

    Long runs of float32 are read straight into place, which is quicker than touching every mapped page.
    """
    if isinstance(part.path, ObjectPath):
        _read_object(part.path, part, rows, out, places)
        return
    breaks = np.flatnonzero((np.diff(rows) != 1) | (np.diff(places) != 1)) + 1
    if part.dtype != np.float32 or len(breaks) > len(rows) // _SHORTEST_RUN or not out.flags.c_contiguous:
        for start in range(0, len(rows), _GATHERED_AT_ONCE):  # each time a copy of so many rows is made first
            some = slice(start, start + _GATHERED_AT_ONCE)
            taken = part.vectors[rows[some]]
            out[places[some]] = widened(taken) if taken.dtype == np.float16 else taken
        return
    width = part.dim * part.dtype.itemsize
    with open_file(part.path, buffering=0) as file:
        for start, end in zip([0, *breaks], [*breaks, len(rows)], strict=True):
            file.seek(part.vectors_at + int(rows[start]) * width)
            block = out[places[start] : places[start] + end - start].data.cast("B")
            while block:
                done = file.readinto(block)  # type: ignore[attr-defined]
                if not done:
                    raise _too_short(part.path)
                block = block[done:]


def _read_object(
    path: ObjectPath,
    part: PartFile,
    rows: NDArray[np.int64],
    out: NDArray[np.float32],
    places: NDArray[np.int64],
) -> None:
    """By ranged reads, in the order of the object."""
    if not part.dim:
        return
    width = part.dim * part.dtype.itemsize
    order = np.argsort(rows, kind="stable")
    try:
        for some, data in read_places(path, part.vectors_at + rows[order] * width, width):
            vectors = data.view(part.dtype)
            out[places[order[some]]] = widened(vectors) if part.dtype == np.float16 else vectors
    except ValueError as error:
        raise _too_short(part.path) from error


def _map_shape(about: dict[str, Any], dim: int, path: Path) -> tuple[int, ...]:
    if "shape" not in about:
        return (dim,)
    shape = tuple(about["shape"])
    if not all(type(size) is int and size > 0 for size in shape) or math.prod(shape) != dim:
        raise StoreFormatError(f"{path} is damaged: vectors of {dim} numbers cannot have the shape {shape}.")
    return shape


def _too_short(path: Path) -> StoreFormatError:
    return StoreFormatError(f"{path} ends before its vectors do. `embank verify` lists all damage.")


def _frame_is_sound(file: PlainFile, vectors: PlainDataset) -> bool:
    before = file.read(0, vectors.offset)
    after = file.read(vectors.offset + vectors.nbytes, file.size)
    return file_checksum(before, after[:-CHECKSUM_BYTES]) == after[-CHECKSUM_BYTES:].hex()
