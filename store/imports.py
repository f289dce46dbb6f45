"""Import: vectors that somebody already has, under a recipe of their own."""

from __future__ import annotations

import hashlib
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.columns import hashes_from_hex, hashes_to_hex
from store.commit import CHECKSUM_BYTES, checksum
from store.errors import LabelTableError, StoreError, first_line
from store.feature_store import STORE_FILE, FeatureStore
from store.listing import GIVEN_COLUMNS, OK
from store.object_path import store_path
from store.part import PartRows
from store.space import Space
from store.tables import TABLE_SUFFIXES, read_table
from store.writer import StoreWriter, check_name

BACKBONE = "imported"
_ROWS_BYTES = 64 << 20
_VECTOR_NAMES = ("features", "vectors", "embeddings", "X", "x")
_KEY_NAMES = ("keys", "key", "paths", "path", "names", "filenames", "files")
_ARRAY_SUFFIXES = (".npy", ".npz", ".h5", ".hdf5")
Progress = Callable[[int, int], None]
_UNREADABLE = (  # what numpy, zipfile and h5py raise on files that are damaged, absurd or objects
    ValueError, OSError, EOFError, RuntimeError, TypeError, OverflowError, MemoryError, LookupError,
    zipfile.BadZipFile, zlib.error, struct.error,
)  # fmt: skip
Array = Any  # a numpy array or an h5py dataset: shape, dtype, slices


@dataclass(frozen=True)
class ImportReport:
    """space: its id. rows: images in the file. new: those that were not banked before."""

    space: str
    rows: int
    new: int


def import_vectors(
    path: str | Path,
    vectors_file: str | Path,
    keys: str | Path | None = None,
    name: str | None = None,
    dataset: str | None = None,
    progress: Progress | None = None,
    patience_s: float = 60.0,
) -> ImportReport:
    """Puts the vectors of a .npy, .npz or .h5 file into the store at `path`, which is made if it is absent.

    keys: a name for each row, each once: a text file (one a line), a table with a column `key` or `path`, an array
    file, or the name of an array in `vectors_file`; by default its array `keys`. name: of the source, by default that
    of the file. dataset: which array holds the vectors, (n, dim) floating point; by default `features` or the only
    one of this shape. There are no image bytes, so the hash of an image is that of the name and its key. The recipe
    names the checksum of the vectors: other vectors are another space. patience_s: how long the HDF5 library may stand
    still on a file before it counts as hostile. Raises StoreError for input that does not fit.
    """
    vectors_file = Path(vectors_file)
    name = vectors_file.stem if name is None else name
    check_name("source", name)
    with _open_arrays(vectors_file, patience_s) as arrays:
        array = _vectors_of(arrays, vectors_file, dataset)
        names = _read_keys(arrays, vectors_file, keys, patience_s)
        _check_keys(names, len(array), keys or vectors_file)
        dtype = "float16" if array.dtype == np.float16 else "float32"
        recipe: dict[str, Any] = {
            "backbone": BACKBONE,
            "name": name,
            "dim": int(array.shape[1]),
            "dtype": dtype,
            "digest": _digest(array, dtype, vectors_file),
        }
        hashes = hashes_from_hex([image_hash(name, key) for key in names])
        _check_source(path, name, dict(zip(names, hashes_to_hex(hashes), strict=True)))
        writer = StoreWriter(path)
        space = writer.open_space(recipe)
        new = _commit_rows(writer, recipe, array, (names, hashes), progress)
    table = pd.DataFrame({"key": names, "hash": hashes_to_hex(hashes)})
    table = table.assign(bytes=-1, mtime=-1, width=0, height=0, status=OK)[GIVEN_COLUMNS]
    writer.replace_listing(name, str(vectors_file.resolve()), table.assign(**{space: True}))
    return ImportReport(space, len(names), new)


def image_hash(name: str, key: str) -> str:
    """What stands for the checksum of an image's bytes, which are not there."""
    return checksum(f"{name}\0{key}".encode())


@contextmanager
def _open_arrays(path: Path, patience_s: float) -> Iterator[dict[str, Array]]:
    """The arrays of a file by name. Nothing is unpickled and no link is followed."""
    try:
        if path.exists() and not path.is_file():
            raise StoreError(f"{path} is no file: name one ending in {', '.join(_ARRAY_SUFFIXES)}.")
        if path.suffix.lower() == ".npy":
            yield {"": np.load(path, mmap_mode="r", allow_pickle=False)}
        elif path.suffix.lower() == ".npz":
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                yield dict(archive)
        elif path.suffix.lower() in (".h5", ".hdf5"):
            from store.foreign_hdf5 import open_foreign  # h5py takes a tenth of a second to import

            with open_foreign(path, patience_s) as arrays:
                yield arrays
        else:
            raise StoreError(f"{path}: expected a file ending in {', '.join(_ARRAY_SUFFIXES)}.")
    except FileNotFoundError:
        raise StoreError(f"there is no file {path}; check the path.") from None
    except StoreError:
        raise
    except _UNREADABLE as error:
        reason = first_line(error)
        if "pickle" in reason.lower() or "Python objects" in reason:
            reason = "it holds Python objects, which would have to be unpickled"
        raise StoreError(f"{path} cannot be read as plain arrays: {reason.rstrip('.')}.") from error


def _vectors_of(arrays: dict[str, Array], path: Path, dataset: str | None) -> Array:
    """The array that holds the vectors, checked but for its values."""
    if dataset is not None:
        chosen = [name for name in arrays if name == dataset]
    else:
        tables = [name for name, array in arrays.items() if array.ndim == 2 and array.dtype.kind == "f"]
        usual = [name for name in _VECTOR_NAMES if name in arrays]
        chosen = usual or next((names for names in (tables, list(arrays)) if len(names) == 1), [])
    if not chosen:
        raise StoreError(
            f"{path} has {f'no array {dataset!r}' if dataset else 'several arrays'}: "
            f"{', '.join(arrays) or 'it has none'}. Name the one that holds the vectors with --dataset."
        )
    array = arrays[chosen[0]]
    if array.ndim != 2 or not all(array.shape):
        raise StoreError(f"{path}: its vectors have the shape {array.shape}; expected (images, dimensions).")
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        raise StoreError(
            f"{path}: its vectors are of type {array.dtype}; expected float16, float32 or float64. "
            "Convert them with .astype('float32')."
        )
    return array


def _read_keys(
    arrays: dict[str, Array], vectors_file: Path, keys: str | Path | None, patience_s: float
) -> list[str]:
    if keys is None or str(keys) in arrays:
        found = [name for name in ([str(keys)] if keys else _KEY_NAMES) if name in arrays]
        if not found:
            raise StoreError(
                f"{vectors_file} has no array called keys: name a file with one key a row, with --keys FILE."
            )
        return _as_strings(arrays[found[0]], vectors_file)
    path = Path(keys)
    if path.suffix.lower() in _ARRAY_SUFFIXES:
        with _open_arrays(path, patience_s) as others:
            usual = [name for name in ("", *_KEY_NAMES) if name in others]
            if not usual:
                raise StoreError(f"{path} has no array called keys; it has {', '.join(others) or 'none'}.")
            return _as_strings(others[usual[0]], path)
    if path.suffix.lower() in TABLE_SUFFIXES:
        return _column_of_keys(path)
    try:
        return path.read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise StoreError(f"the keys cannot be read from {path}: {reason}.") from error


def _column_of_keys(path: Path) -> list[str]:
    table = read_table(path)
    usual = [name for name in ("key", "path", "file", "filename", "image") if name in table]
    column = usual[0] if usual else str(table.columns[0]) if len(table.columns) == 1 else None
    if column is None:
        raise LabelTableError(
            f"{path} has no column key or path; its columns are {', '.join(map(str, table))}."
        )
    return table[column].fillna("").astype("str").tolist()


def _as_strings(array: Array, path: Path) -> list[str]:
    if hasattr(array, "asstr") and array.dtype.kind in "SO":  # texts of h5py
        array = array.asstr()
    values = np.asarray(array[()])
    if values.ndim != 1 or values.dtype.kind not in "USOiu":
        raise StoreError(
            f"{path}: its keys have the shape {values.shape} and type {values.dtype}; expected texts."
        )
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8")
    return [str(value) for value in values]


def _check_keys(keys: Sequence[str], rows: int, where: str | Path) -> None:
    if len(keys) != rows:
        raise StoreError(f"{where} has {len(keys)} keys for {rows} vectors: expected one for each.")
    seen: set[str] = set()
    for key in keys:
        if not key or "\0" in key:
            raise StoreError(f"{where}: the key of row {len(seen)} is empty or holds a NUL; expected a name.")
        if key in seen:
            raise StoreError(f"{where} has the key {key!r} more than once: expected each once.")
        seen.add(key)


def _blocks(array: Array, dtype: str, rows: int) -> Iterator[tuple[int, NDArray[np.floating[Any]]]]:
    with np.errstate(over="ignore"):  # what overflows is infinite, and refused
        for start in range(0, len(array), rows):
            yield start, np.ascontiguousarray(array[start : start + rows], np.dtype(dtype).newbyteorder("<"))


def _rows_at_once(array: Array) -> int:
    return max(1, _ROWS_BYTES // (4 * int(array.shape[1])))


def _digest(array: Array, dtype: str, path: Path) -> str:
    """The checksum of the vectors as they will be stored."""
    digest = hashlib.blake2b(digest_size=CHECKSUM_BYTES)
    for start, block in _blocks(array, dtype, _rows_at_once(array)):
        finite = np.isfinite(block).all(axis=1)
        if not finite.all():
            raise StoreError(
                f"{path}: row {start + int(np.argmin(finite))} is not finite as {dtype}: none was imported."
            )
        digest.update(block.data)
    return digest.hexdigest()


def _check_source(path: str | Path, name: str, hashes: dict[str, str]) -> None:
    """Raises if the store has a source of this name that was not imported."""
    listing = FeatureStore(path).sources.get(name) if (store_path(path) / STORE_FILE).exists() else None
    if listing is None:
        return
    listed = zip(listing.table["key"], listing.table["hash"], strict=True)
    if any(hash_ != (hashes.get(key) or image_hash(name, key)) for key, hash_ in listed):
        raise StoreError(
            f"{path} has a source called {name!r} already, from {listing.location}, whose images were not imported. "
            "Give this one another name with --name."
        )


def _commit_rows(
    writer: StoreWriter,
    recipe: dict[str, Any],
    array: Array,
    images: tuple[Sequence[str], NDArray[np.uint8]],
    progress: Progress | None,
) -> int:
    """Commits the vectors that are not banked yet, in parts; returns how many these were."""
    keys, hashes = images
    space = Space(writer.path / "spaces" / writer.open_space(recipe))
    new = 0
    for start, block in _blocks(array, recipe["dtype"], _rows_at_once(array)):
        stop = start + len(block)
        missing = np.flatnonzero(space.find(hashes[start:stop]) < 0)
        if len(missing):
            rows = PartRows(
                hash=hashes[start:stop][missing],
                view=np.zeros(len(missing), np.int16),
                vectors=block[missing],
                key=[keys[start + row] for row in missing.tolist()],
                source=[recipe["name"]] * len(missing),
            )
            writer.commit_part(recipe, rows)
            new += len(missing)
        if progress:
            progress(stop, len(keys))
    return new
