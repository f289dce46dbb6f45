"""Export: the vectors of a space with their keys as one file, for programs that know nothing of stores."""

from __future__ import annotations

import json
import os
import secrets
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.columns import hashes_from_hex
from store.commit import sync_directory
from store.errors import StoreError, StoreWriteError
from store.feature_store import FeatureStore
from store.recipes import canonical_json
from store.space import Space

_BLOCK_BYTES = 32 << 20
_COLUMNS = ["key", "source", "hash", "folder", "split"]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Export:
    """What goes into a file. images: plain columns (bool, number or text), rows in the order of the vectors."""

    images: pd.DataFrame
    space: Space
    view: int = 0
    progress: Progress | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and dimensions."""
        return len(self.images), self.space.dim

    @property
    def recipe(self) -> str:
        """The recipe as JSON."""
        return canonical_json(self.space.recipe)

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """All vectors, some at a time: the first row and (rows, dim) float32."""
        rows = self.space.find(hashes_from_hex(self.images["hash"]), self.view)
        step = max(1, _BLOCK_BYTES // (4 * max(1, self.space.dim)))
        for start in range(0, len(rows), step):
            block = np.empty((len(rows[start : start + step]), self.space.dim), np.float32)
            self.space.read(rows[start : start + step], block)
            yield start, block
            if self.progress:
                self.progress(start + len(block), len(rows))


def export(
    store: FeatureStore,
    out: str | Path,
    space: str,
    source: str | None = None,
    view: int = 0,
    progress: Progress | None = None,
) -> int:
    """Writes the vectors of a space, float32, and what is known of their images to `out`; returns how many rows.

    Rows are those of `store.images()` that have a vector there, in that order. What is written is told by the ending:
    `.h5` (datasets `features` and `keys`), `.npz` (the same names), `.parquet` (columns `key` and `features`), `.h5ad`
    (for anndata: X and obs). source: only this one. view: which augmented version. progress: called with rows done
    and rows in all. Memory is constant but for the table of images. `out` is replaced at once, when all is written.
    """
    out = Path(out)
    writer = _WRITERS.get(out.suffix.lower())
    if writer is None:
        raise StoreError(f"{out}: expected a file name ending in {', '.join(_WRITERS)}.")
    if out.resolve().is_relative_to(store.path.resolve()):
        raise StoreError(f"{out} is inside the store: write the export somewhere else.")
    images = store.images()
    if source is not None and source not in store.sources:
        raise StoreError(
            f"{store.path} has no source {source!r}; its sources: {', '.join(store.sources) or 'none yet'}."
        )
    chosen = store.space(space)
    wanted = chosen.find(hashes_from_hex(images["hash"]), view) >= 0
    if source is not None:
        wanted &= (images["source"] == source).to_numpy()
    if not wanted.any():
        raise StoreError(
            f"no listed image has a vector in {chosen.id}, view {view}: there is nothing to export."
        )
    with _replacing(out) as temporary:
        writer(temporary, Export(_plain(images[wanted]), chosen, view, progress))
    return int(wanted.sum())


def _plain(images: pd.DataFrame) -> pd.DataFrame:
    """The columns that are exported, each of bools, numbers or strings."""
    labels = [str(column) for column in images.columns if str(column).startswith("labels.")]
    columns = {name: _plain_column(images[name]) for name in [*_COLUMNS, *labels]}
    return pd.DataFrame(columns).reset_index(drop=True)


def _plain_column(column: pd.Series) -> pd.Series:
    if column.dtype.kind in "biuf" and isinstance(column.dtype, np.dtype):
        return column
    text = column.map(str, na_action="ignore").astype("str")
    return text.str.replace("\0", "\ufffd", regex=False)  # HDF5's strings end there


@contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """A temporary name beside `out`, which becomes `out` once it is safe on disk."""
    temporary = out.with_name(f".{out.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(out)
        sync_directory(out.parent)
    except OSError as error:
        raise StoreWriteError(
            f"could not write {out}: {error.strerror or error}. Make room, or name another place."
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _write_h5(path: Path, export: Export) -> None:
    from store.hdf_exports import write_h5

    write_h5(path, export.images, export.shape, _about(export), export.blocks())


def _write_h5ad(path: Path, export: Export) -> None:
    from store.hdf_exports import write_h5ad

    write_h5ad(path, export.images, export.shape, _about(export), export.blocks())


def _write_npz(path: Path, export: Export) -> None:
    """Text as arrays of fixed width, so that no pickle is needed. Missing text is empty."""
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("features.npy", "w", force_zip64=True) as member:
            header = {"descr": "<f4", "fortran_order": False, "shape": export.shape}
            np.lib.format.write_array_header_1_0(member, header)
            for _, block in export.blocks():
                member.write(block.tobytes())
        columns = {"keys" if name == "key" else str(name): column for name, column in export.images.items()}
        arrays: dict[str, pd.Series | str] = {**columns, **_about(export)}
        for name, column in arrays.items():
            with archive.open(f"{_safe_name(name)}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, _fixed_width(column), allow_pickle=False)


def _fixed_width(values: pd.Series | str) -> NDArray[np.generic]:
    if isinstance(values, str):
        return np.array(values)
    return values.fillna("").to_numpy(dtype="U") if values.dtype.kind not in "biuf" else values.to_numpy()


def _write_parquet(path: Path, export: Export) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    dim = export.space.dim
    schema = pa.Schema.from_pandas(export.images, preserve_index=False)
    vectors = pa.field("features", pa.list_(pa.float32(), dim))
    full = schema.append(vectors).with_metadata(
        {name: text.encode() for name, text in _about(export).items()}
    )
    with path.open("xb") as file, pq.ParquetWriter(file, full) as writer:
        for start, block in export.blocks():
            rows = export.images.iloc[start : start + len(block)]
            table = pa.Table.from_pandas(rows, schema=schema, preserve_index=False)
            column = pa.FixedSizeListArray.from_arrays(pa.array(block.ravel()), dim)
            writer.write_table(table.append_column(vectors, column).cast(full))


def _about(export: Export) -> dict[str, str]:
    return {"space": export.space.id, "recipe": export.recipe, "view": json.dumps(export.view)}


def _safe_name(name: str) -> str:
    return name.replace("/", "_").replace("\0", "_")


_WRITERS: dict[str, Callable[[Path, Export], None]] = {
    ".h5": _write_h5,
    ".npz": _write_npz,
    ".parquet": _write_parquet,
    ".h5ad": _write_h5ad,
}
