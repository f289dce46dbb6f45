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
from store.files import read_committed
from store.hdf import build_image, open_image, read_about, read_array
from store.index import RowIndex
from store.part import PartFile

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
    datasets: dict[str, NDArray[Any]] = {
        "hash": index.hashes,
        "view": index.views,
        "order": index.order,
        "rows": np.array([part.rows for part in parts], np.int64),
        "vectors_at": np.array([part.vectors_at for part in parts], np.int64),
        "itemsize": np.array([part.dtype.itemsize for part in parts], np.int64),
    }
    earlier = list(_cache(directory).glob("*.h5"))
    with suppress(StoreWriteError, OSError):
        commit_file(_cache(directory), _name_of(files), ".h5", build_image(datasets, about))
        for path in earlier:
            path.unlink(missing_ok=True)


def _read(path: Path, files: Mapping[str, Path]) -> tuple[list[PartFile], RowIndex]:
    with open_image(read_committed(path, _NAME, "Delete it."), path) as file:
        about = read_about(file)
        columns = {
            name: read_array(file, name, 1, "i8") for name in ("rows", "vectors_at", "itemsize", "order")
        }
        hashes = read_array(file, "hash", 2, "u1")
        views = read_array(file, "view", 1, "i2")
    if (
        not len(hashes) == len(views) == len(columns["order"]) == columns["rows"].sum()
        or hashes.shape[1] != HASH_BYTES
    ):
        raise ValueError(f"{path} has columns of different lengths")
    if any((column < 0).any() for column in columns.values()) or (columns["order"] >= len(hashes)).any():
        raise ValueError(f"{path} has rows that are not there")
    numbers = zip(
        columns["rows"].tolist(), columns["itemsize"].tolist(), columns["vectors_at"].tolist(), strict=True
    )
    parts = [
        PartFile(files[name], rows, int(about["dim"]), np.dtype(f"f{itemsize}"), at)
        for name, (rows, itemsize, at) in zip(about["names"], numbers, strict=True)
    ]
    return parts, RowIndex(hashes, views, columns["order"])


def _cache(directory: Path) -> Path:
    return directory.parent.parent / "cache" / "spaces" / directory.name


def _name_of(files: Sequence[Path]) -> str:
    return file_checksum("\n".join(path.name for path in files).encode())
