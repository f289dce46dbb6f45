"""The index of a large space, kept in the store's cache so that opening it again opens only the parts that are new.

It is named after the part files that it was made of, which are named after their contents; so what it says of a file
is exactly right. Of other files it says nothing: they are opened.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.columns import HASH_BYTES, Hashes
from store.commit import commit_file, file_checksum
from store.errors import StoreError, StoreWriteError
from store.files import open_file, read_file
from store.hdf import ABOUT, build_image, open_image, plain_dataset, read_about, read_array
from store.index import RowIndex
from store.object_path import ObjectPath
from store.part import PartFile
from store.plain_hdf5 import PlainDataset

_NAME = re.compile(r"(?P<of>[0-9a-f]{32})-(?P<checksum>[0-9a-f]{32})\.h5")


@dataclass(frozen=True)
class KnownParts:
    """What an index says of part files.

    rows: name, (first row, part) of each part that was current. superseded: by each file that was there, the files
    that it replaces. index: of all rows, in the order of `rows`.
    """

    rows: Mapping[str, tuple[int, PartFile]] = field(default_factory=dict)
    superseded: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    index: RowIndex | None = None

    def columns(self, name: str) -> tuple[Hashes, NDArray[np.int16]]:
        """(n, 16) and (n,), the hash and the view of each row of a part."""
        first, part = self.rows[name]
        if self.index is None:
            raise KeyError(name)
        return self.index.hashes[first : first + part.rows], self.index.views[first : first + part.rows]


def load_index(directory: Path, files: Sequence[Path]) -> KnownParts:
    """What the cache knows of these files: of all of them, if it has an index of exactly these; else the newest."""
    of = _name_of(files)
    kept = [path for path in _cache(directory).glob("*.h5") if _NAME.fullmatch(path.name)]
    with suppress(OSError):
        kept.sort(key=lambda path: (path.name.startswith(of), path.stat().st_mtime), reverse=True)
    for path in kept[:2]:
        with suppress(StoreError, OSError, ValueError, TypeError, LookupError):
            return _read(path, {file.name: file for file in files}, directory)
    return KnownParts()


def save_index(
    directory: Path,
    files: Sequence[Path],
    parts: Sequence[PartFile],
    superseded: Mapping[str, Sequence[str]],
    index: RowIndex,
) -> None:
    """Keeps an index; a store that cannot be written does without. superseded: as in KnownParts, of all `files`."""
    about = {
        "names": [part.path.name for part in parts],
        "dim": parts[0].dim,
        "superseded": {file.name: list(superseded[file.name]) for file in files},
    }
    datasets: dict[str, NDArray[Any]] = {  # numbers of eight bytes first: they are mapped where they lie
        "order": index.order,
        "prefix": index.prefixes,
        "rows": np.array([part.rows for part in parts], np.int64),
        "vectors_at": np.array([part.vectors_at for part in parts], np.int64),
        "itemsize": np.array([part.dtype.itemsize for part in parts], np.int64),
        "hash": index.hashes,
        "view": index.views,
    }
    earlier = list(_cache(directory).glob("*.h5"))
    with suppress(StoreWriteError, OSError):
        written = commit_file(_cache(directory), _name_of(files), ".h5", _aligned_image(datasets, about))
        for path in earlier:
            if path != written:
                path.unlink(missing_ok=True)


def _aligned_image(datasets: Mapping[str, NDArray[Any]], about: dict[str, Any]) -> bytes:
    """An image whose datasets begin at multiples of 8: they follow each other, and the text about them comes first."""
    with open_image(build_image({}, about | {"pad": ""}), Path("index")) as file:
        length = plain_dataset(file, ABOUT, 1, "u1").nbytes
    return build_image(datasets, about | {"pad": " " * (-length % 8)})


def _read(path: Path, files: Mapping[str, Path], directory: Path) -> KnownParts:
    source = read_file(path) if isinstance(path, ObjectPath) else path
    mapped = _mapped(path, source)
    with open_image(source, path) as file:
        about = read_about(file)
        columns = {name: read_array(file, name, 1, "i8") for name in ("rows", "vectors_at", "itemsize")}
        hashes = _column(mapped, plain_dataset(file, "hash", 2, "u1"))
        views = _column(mapped, plain_dataset(file, "view", 1, "i2"))
        order = _column(mapped, plain_dataset(file, "order", 1, "i8"))
        prefixes = _column(mapped, plain_dataset(file, "prefix", 1, "u8"))
    if (
        not len(hashes) == len(views) == len(order) == len(prefixes) == columns["rows"].sum()
        or hashes.shape[1] != HASH_BYTES
    ):
        raise ValueError(f"{path} has columns of different lengths")
    if (
        any((column < 0).any() for column in columns.values())
        or order.min() < 0
        or order.max() >= len(hashes)
    ):
        raise ValueError(f"{path} has rows that are not there")
    superseded = {str(name): tuple(map(str, names)) for name, names in about["superseded"].items()}
    numbers = zip(
        columns["rows"].tolist(), columns["itemsize"].tolist(), columns["vectors_at"].tolist(), strict=True
    )
    rows, first = {}, 0
    for name, (count, itemsize, at) in zip(about["names"], numbers, strict=True):
        place = files.get(name, directory / name)
        rows[name] = (first, PartFile(place, count, int(about["dim"]), np.dtype(f"f{itemsize}"), at))
        first += count
    return KnownParts(rows, superseded, RowIndex(hashes, views, (order, prefixes)))


def _mapped(path: Path, source: Path | bytes) -> NDArray[np.uint8]:
    """The bytes of a committed file, memory-mapped: the system may let go of them, and read them again, at will.

    source: the file, or the bytes of an object. Raises ValueError for damage.
    """
    data: NDArray[np.uint8]
    if isinstance(source, bytes):
        data = np.frombuffer(source, np.uint8)
    else:
        with open_file(source) as file:
            data = np.memmap(file, np.uint8, "r")
    match = _NAME.fullmatch(path.name)
    if not match or file_checksum(data.data) != match["checksum"]:
        raise ValueError(f"{path} does not match its checksum")
    return data


def _column(mapped: NDArray[np.uint8], dataset: PlainDataset) -> NDArray[Any]:
    """A dataset where it is mapped; a copy if its numbers are not aligned there, which would slow each search."""
    column = mapped[dataset.offset : dataset.offset + dataset.nbytes].view(np.ndarray).view(dataset.dtype)
    return np.require(column.reshape(dataset.shape), requirements="A")


def _cache(directory: Path) -> Path:
    return directory.parent.parent / "cache" / "spaces" / directory.name


def _name_of(files: Sequence[Path]) -> str:
    return file_checksum("\n".join(path.name for path in files).encode())
