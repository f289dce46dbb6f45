"""The index of a large space, kept in the store's cache so that opening it again needs no part to be opened.

It is named after the part files that it was made of, which are named after their contents; so it is either
exactly right or not used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.columns import HASH_BYTES
from store.commit import commit_file, file_checksum
from store.errors import StoreError, StoreWriteError
from store.files import open_file
from store.hdf import ABOUT, build_image, open_image, plain_dataset, read_about, read_array
from store.index import RowIndex
from store.part import PartFile
from store.plain_hdf5 import PlainDataset

_NAME = re.compile(r"(?P<of>[0-9a-f]{32})-(?P<checksum>[0-9a-f]{32})\.h5")


def load_index(directory: Path, files: Sequence[Path]) -> tuple[list[PartFile], RowIndex] | None:
    """The current parts of a space and their index, if the cache has them for exactly these files."""
    of = _name_of(files)
    for path in sorted(_cache(directory).glob(f"{of}-*.h5")):
        with suppress(StoreError, OSError, ValueError, TypeError, LookupError):
            return _read(path, {file.name: file for file in files})
    return None


def save_index(directory: Path, files: Sequence[Path], parts: Sequence[PartFile], index: RowIndex) -> None:
    """Keeps an index; a store that cannot be written does without."""
    about = {"names": [part.path.name for part in parts], "dim": parts[0].dim}
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
        commit_file(_cache(directory), _name_of(files), ".h5", _aligned_image(datasets, about))
        for path in earlier:
            path.unlink(missing_ok=True)


def _aligned_image(datasets: Mapping[str, NDArray[Any]], about: dict[str, Any]) -> bytes:
    """An image whose datasets begin at multiples of 8: they follow each other, and the text about them comes first."""
    with open_image(build_image({}, about | {"pad": ""}), Path("index")) as file:
        length = plain_dataset(file, ABOUT, 1, "u1").nbytes
    return build_image(datasets, about | {"pad": " " * (-length % 8)})


def _read(path: Path, files: Mapping[str, Path]) -> tuple[list[PartFile], RowIndex]:
    mapped = _mapped(path)
    with open_image(path, path) as file:
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
    numbers = zip(
        columns["rows"].tolist(), columns["itemsize"].tolist(), columns["vectors_at"].tolist(), strict=True
    )
    parts = [
        PartFile(files[name], rows, int(about["dim"]), np.dtype(f"f{itemsize}"), at)
        for name, (rows, itemsize, at) in zip(about["names"], numbers, strict=True)
    ]
    return parts, RowIndex(hashes, views, (order, prefixes))


def _mapped(path: Path) -> NDArray[np.uint8]:
    """The bytes of a committed file, memory-mapped: the system may let go of them, and read them again, at will.

    Raises ValueError for damage.
    """
    with open_file(path) as file:
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
