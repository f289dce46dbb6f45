"""A part: one immutable HDF5 file that holds some vectors of a space."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.columns import HASH_BYTES, Hashes, pack_strings
from store.errors import StoreFormatError
from store.hdf import build_image, open_image, plain_dataset, read_about, read_array
from store.recipes import space_id

PART_NAME = re.compile(r"(?P<n>\d{6,})-(?P<writer>[0-9a-f]{8})-(?P<checksum>[0-9a-f]{32})\.h5")


@dataclass(frozen=True)
class PartRows:
    """What goes into a part, row by row.

    hash: (n, 16) uint8, the blake2b-128 of each image's bytes. view: (n,) int16. vectors: (n, dim) float32
    or float16. key, source: where each image was seen first, so that a bank can be rebuilt from its parts.
    """

    hash: Hashes
    view: NDArray[np.int16]
    vectors: NDArray[np.floating[Any]]
    key: Sequence[str]
    source: Sequence[str]

    def __post_init__(self) -> None:
        lengths = {len(column) for column in (self.hash, self.view, self.vectors, self.key, self.source)}
        if len(lengths) != 1:
            raise ValueError(f"the columns of a part are of different lengths: {sorted(lengths)}.")


@dataclass(frozen=True)
class Part:
    """The metadata of a committed part, read once; its vectors stay on disk until they are asked for."""

    path: Path
    rows: int
    dim: int
    dtype: np.dtype[Any]
    recipe: dict[str, Any]
    supersedes: tuple[str, ...]
    hash: Hashes
    view: NDArray[np.int16]
    vectors_at: int

    @property
    def vectors(self) -> NDArray[np.floating[Any]]:
        """(rows, dim), memory-mapped, read-only."""
        if self.rows == 0:
            return np.zeros((0, self.dim), self.dtype)
        return np.memmap(
            self.path, dtype=self.dtype, mode="r", offset=self.vectors_at, shape=(self.rows, self.dim)
        )

    @classmethod
    def read(cls, path: Path) -> Part:
        """Opens a part. Raises StoreFormatError if it is not a sound one, FileNotFoundError if it is gone."""
        with open_image(path, path) as file:
            vectors = plain_dataset(file, "vectors", 2, "f4", "f2")
            hashes = read_array(file, "hash", 2, "u1")
            views = read_array(file, "view", 1, "i2")
            about = read_about(file)
            recipe = dict(about["recipe"])
            space_id(recipe)  # it raises unless this is a recipe
            if hashes.shape != (len(vectors), HASH_BYTES) or views.shape != (len(vectors),):
                raise StoreFormatError(f"{path} is damaged: its columns are of different lengths.")
            return cls(
                path=path,
                rows=len(vectors),
                dim=vectors.shape[1],
                dtype=vectors.dtype,
                recipe=recipe,
                supersedes=tuple(map(str, about["supersedes"])),
                hash=hashes,
                view=views,
                vectors_at=vectors.id.get_offset() or 0,
            )


def part_image(rows: PartRows, recipe: dict[str, Any], supersedes: Sequence[str] = ()) -> bytes:
    """The bytes of a part."""
    keys, key_ends = pack_strings(rows.key)
    sources, source_ends = pack_strings(rows.source)
    datasets = {
        "vectors": np.ascontiguousarray(rows.vectors),
        "hash": rows.hash,
        "view": rows.view,
        "key": keys,
        "key_end": key_ends,
        "source": sources,
        "source_end": source_ends,
    }
    return build_image(datasets, {"recipe": recipe, "supersedes": list(supersedes)})
