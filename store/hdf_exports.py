"""Export to HDF5: plain, and as anndata's h5ad. The library writes to memory only, as everywhere in this package.

Of such a file, all but the vectors is small. The library makes that with a gap where the vectors will be; both are then
written by plain writes. (On a full disk the library's own writing segfaults.)
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

Blocks = Iterable[tuple[int, NDArray[np.float32]]]
_PAGE = 1 << 16
_TEXT = h5py.string_dtype()


def write_h5(
    path: Path, images: pd.DataFrame, shape: tuple[int, int], about: Mapping[str, str], blocks: Blocks
) -> None:
    """Datasets `features` (n, dim) float32, `keys` and one for each other column; `about` as attributes.

    Missing text is empty.
    """

    def fill(file: h5py.File) -> None:
        for name, column in images.items():
            file.create_dataset("keys" if name == "key" else _safe_name(str(name)), **_array(column))
        for name, text in about.items():
            file.attrs[name] = text

    _write_with_gap(path, "features", shape, fill, blocks)


def write_h5ad(
    path: Path, images: pd.DataFrame, shape: tuple[int, int], about: Mapping[str, str], blocks: Blocks
) -> None:
    """X, obs (index: the key, or source/key where keys repeat), var and uns["embank"], for anndata 0.8 and later.

    https://anndata.readthedocs.io/en/latest/fileformat-prose.html
    """
    names = images["key"]
    if names.duplicated().any():
        names = images["source"] + "/" + names

    def fill(file: h5py.File) -> None:
        _encode(file, "anndata", "0.1.0")
        _encode(file["X"], "array", "0.2.0")
        _write_frame(file.create_group("obs"), names, images)
        _write_frame(file.create_group("var"), pd.Series(range(shape[1]), dtype="str"), pd.DataFrame())
        for name in ("layers", "obsm", "obsp", "varm", "varp", "uns", "uns/embank"):
            _encode(file.create_group(name), "dict", "0.1.0")
        for name, text in about.items():
            _encode(file["uns/embank"].create_dataset(name, data=text, dtype=_TEXT), "string", "0.2.0")

    _write_with_gap(path, "X", shape, fill, blocks)


def _write_frame(group: h5py.Group, index: pd.Series, table: pd.DataFrame) -> None:
    _encode(group, "dataframe", "0.2.0")
    columns = [_safe_name(str(name)) for name in table.columns]
    group.attrs["_index"] = "_index"
    group.attrs.create("column-order", np.array(columns, dtype=object), dtype=_TEXT)
    _encode(group.create_dataset("_index", **_array(index)), "string-array", "0.2.0")
    for name, (_, column) in zip(columns, table.items(), strict=True):
        if column.dtype.kind in "biuf":
            _encode(group.create_dataset(name, data=column.to_numpy()), "array", "0.2.0")
        elif column.isna().any() or column.nunique() < len(column) / 2:
            _write_categories(group.create_group(name), column)
        else:
            _encode(group.create_dataset(name, **_array(column)), "string-array", "0.2.0")


def _write_categories(group: h5py.Group, column: pd.Series) -> None:
    """Strings that repeat or are missing: string arrays have no way to say so."""
    codes, categories = pd.factorize(column, sort=True)
    _encode(group, "categorical", "0.2.0")
    group.attrs["ordered"] = False
    _encode(group.create_dataset("codes", data=codes.astype(np.int32)), "array", "0.2.0")
    _encode(
        group.create_dataset("categories", **_array(pd.Series(categories, dtype="str"))),
        "string-array",
        "0.2.0",
    )


def _encode(thing: h5py.Group | h5py.Dataset, kind: str, version: str) -> None:
    thing.attrs["encoding-type"] = kind
    thing.attrs["encoding-version"] = version


def _array(column: pd.Series) -> dict[str, object]:
    if column.dtype.kind in "biuf":
        return {"data": column.to_numpy()}
    return {"data": column.fillna("").to_numpy(dtype=object), "dtype": _TEXT}


def _safe_name(name: str) -> str:
    """HDF5 takes `/` for a path."""
    return name.replace("/", "_").replace("\0", "_")


def _write_with_gap(
    path: Path, name: str, shape: tuple[int, int], fill: Callable[[h5py.File], None], blocks: Blocks
) -> None:
    pages = _Pages()
    with h5py.File(pages, "w") as file:
        layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        layout.set_layout(h5py.h5d.CONTIGUOUS)
        layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        space = h5py.h5s.create_simple(shape)
        dataset = h5py.h5d.create(file.id, name.encode(), h5py.h5t.IEEE_F32LE, space, layout)
        fill(file)
        start = dataset.get_offset()
    with path.open("xb") as out:
        pages.write_to(out)
        for row, block in blocks:
            out.seek(start + row * shape[1] * 4)
            out.write(block.tobytes())


class _Pages(io.RawIOBase):
    """A file in memory that holds only the pages that were written to."""

    def __init__(self) -> None:
        super().__init__()
        self._pages: dict[int, bytearray] = {}
        self._size = self._position = 0

    def write_to(self, out: io.BufferedWriter) -> None:
        """Writes everything but the gaps, which read as zeros."""
        for number, page in sorted(self._pages.items()):
            out.seek(number * _PAGE)
            out.write(page[: self._size - number * _PAGE])
        out.truncate(self._size)

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = (0, self._position, self._size)[whence] + offset
        return self._position

    def truncate(self, size: int | None = None) -> int:
        self._size = self._position if size is None else size
        return self._size

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        view = memoryview(buffer).cast("B")
        for at, number, within, length in self._pieces(len(view)):
            page = self._pages.get(number, b"\0" * _PAGE)
            view[at : at + length] = page[within : within + length]
        self._position += len(view)
        return len(view)

    def write(self, data: memoryview) -> int:  # type: ignore[override]
        view = memoryview(data).cast("B")
        for at, number, within, length in self._pieces(len(view)):
            page = self._pages.setdefault(number, bytearray(_PAGE))
            page[within : within + length] = view[at : at + length]
        self._position += len(view)
        self._size = max(self._size, self._position)
        return len(view)

    def _pieces(self, total: int) -> Iterable[tuple[int, int, int, int]]:
        at = 0
        while at < total:
            number, within = divmod(self._position + at, _PAGE)
            length = min(total - at, _PAGE - within)
            yield at, number, within, length
            at += length
