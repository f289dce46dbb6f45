"""A space: all vectors of one recipe, gathered from its parts."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.columns import HASH_BYTES, Hashes
from store.errors import StoreFormatError
from store.files import LARGEST_JSON, json_object, read_file
from store.index import RowIndex
from store.index_cache import load_index, save_index
from store.object_path import ObjectPath, in_parallel
from store.part import PART_NAME, Part, PartFile, read_rows
from store.recipes import space_id

RECIPE_FILE = "recipe.json"
_ATTEMPTS = 10
_MANY_PARTS = 16  # that are opened each time, before an index is written for them
CACHED_ROWS = 50_000  # fewer are indexed quicker than the cache is read
_READERS = min(8, (os.cpu_count() or 1) + 2)
_REMEDY = "Delete it if it is there; embedding with the same settings as before writes it anew."
SPACE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._]*-[0-9a-f]{12}")


class Space:
    """A snapshot of a space as it stood when it was opened. Rows are (hash, view)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.recipe = read_recipe(directory)
        self.id = directory.name
        self.parts, self._index = _open_parts(directory, self.recipe)
        self._starts = np.cumsum([0, *(part.rows for part in self.parts)])[:-1]

    def __repr__(self) -> str:
        return f"Space({self.id!r}, rows={self.rows}, dim={self.dim})"

    @property
    def dim(self) -> int:
        """Length of a vector; 0 while the space is empty."""
        return self.parts[0].dim if self.parts else 0

    @property
    def holds_maps(self) -> bool:
        """Whether its vectors are feature maps, not pooled."""
        return self.recipe.get("pooling") == "none"

    @property
    def views(self) -> int:
        """Rows of each image: 1, or more in a space of an augmenting recipe, of which view 0 is the image itself."""
        return int(self.recipe.get("views", 1))

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Of what a vector holds: `(dim,)`, or `(height, width, channels)` of a feature map, row by row."""
        return Part.read(self.parts[0].path).shape if self.parts else (0,)

    @property
    def dtype(self) -> str:
        """How vectors are stored, `float32` or `float16`."""
        return str(self.recipe.get("dtype", "float32"))

    @cached_property
    def rows(self) -> int:
        """How many (hash, view) pairs are banked; a pair that two writers wrote counts once."""
        return self._index.unique_count() if self.parts else 0

    def holds(self, hashes: Hashes) -> NDArray[np.bool_]:
        """(n,) whether all views of each image are banked."""
        there = np.ones(len(hashes), bool)
        for view in range(self.views):
            there &= self.find(hashes, view) >= 0
        return there

    def find(self, hashes: Hashes, view: int = 0) -> NDArray[np.int64]:
        """(n,) the row of each hash, numbered through all parts; -1 where it is not banked."""
        return self._index.find(hashes, view)

    def banked(self, view: int = 0) -> tuple[Hashes, NDArray[np.int64]]:
        """Hashes (n, 16) of all images that have this view, each once, in the order of the parts, and their rows."""
        rows = self._index.firsts(view)
        hashes = self._index.hashes
        return (hashes if len(rows) == len(hashes) else hashes[rows]), rows

    def read(self, rows: NDArray[np.int64], out: NDArray[np.float32]) -> None:
        """Copies these rows into `out` (n, dim) in their order; parts are read side by side.

        Parts that a compaction has replaced since the space was opened are read where their rows are now.
        """
        try:
            self._read(rows, out)
        except FileNotFoundError:
            now = Space(self.directory)
            now.read(self._rows_in(now, rows), out)

    def release(self) -> None:
        """Unmaps the parts until they are read again: mapped pages that were touched count as resident memory."""
        for part in self.parts:
            part.__dict__.pop("vectors", None)

    def _rows_in(self, now: Space, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        found = np.full(len(rows), -1, np.int64)
        for view in np.unique(self._index.views[rows]).tolist():
            these = np.flatnonzero(self._index.views[rows] == view)
            found[these] = now.find(self._index.hashes[rows[these]], view)
        if (found < 0).any():
            raise StoreFormatError(
                f"{self.directory} has lost {int((found < 0).sum())} rows since it was opened: somebody removed them."
            )
        return found

    def _read(self, rows: NDArray[np.int64], out: NDArray[np.float32]) -> None:
        part_of = np.searchsorted(self._starts, rows, side="right") - 1
        order = np.argsort(part_of, kind="stable")
        numbers, begins = np.unique(part_of[order], return_index=True)

        def read_part(number: int, places: NDArray[np.int64]) -> None:
            read_rows(self.parts[number], rows[places] - self._starts[number], out, places)

        tasks = list(zip(numbers.tolist(), np.split(order, begins[1:]), strict=True)) if len(rows) else []
        if len(tasks) < 2:
            for task in tasks:
                read_part(*task)
            return
        with ThreadPoolExecutor(min(len(tasks), _READERS)) as pool:
            for done in [pool.submit(read_part, *task) for task in tasks]:
                done.result()


def read_recipe(directory: Path) -> dict[str, Any]:
    """The recipe of the space in `directory`. Raises StoreFormatError if it does not fit the space's name."""
    path = directory / RECIPE_FILE
    try:
        recipe = json_object(read_file(path, LARGEST_JSON))
        name = space_id(recipe)
    except FileNotFoundError:
        raise StoreFormatError(f"{directory} has no {RECIPE_FILE}. {_REMEDY}") from None
    except StoreFormatError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise StoreFormatError(
            f"{path} is damaged: it is not the JSON of a recipe ({error}). {_REMEDY}"
        ) from error
    if name != directory.name:
        raise StoreFormatError(
            f"{path} does not fit its space: its recipe is that of {name}, not of {directory.name}. "
            f"Somebody edited or moved it. {_REMEDY}"
        )
    return recipe


def is_unborn(directory: Path) -> bool:
    """Whether a writer was stopped after it made the directory and before it wrote anything: it is no space yet."""
    return not (directory / RECIPE_FILE).exists() and not part_files(directory)


def part_files(directory: Path) -> list[Path]:
    """All committed part files of a space, in the order of their names."""
    return sorted(path for path in directory.iterdir() if PART_NAME.fullmatch(path.name))


def _open_parts(directory: Path, recipe: dict[str, Any]) -> tuple[Sequence[PartFile], RowIndex]:
    """The current parts and the index of their rows. Only parts that the cached index does not know are opened."""
    for _ in range(_ATTEMPTS - 1):
        with suppress(FileNotFoundError):  # a compaction removed a part between the listing and the reading
            return _open_listed(directory, recipe, part_files(directory))
    return _open_listed(directory, recipe, part_files(directory))


def _open_listed(
    directory: Path, recipe: dict[str, Any], files: Sequence[Path]
) -> tuple[Sequence[PartFile], RowIndex]:
    known = load_index(directory, files)
    read = _read_parts([file for file in files if file.name not in known.superseded])
    superseded = {**known.superseded, **{name: part.supersedes for name, part in read.items()}}
    gone = {name for file in files for name in superseded[file.name]}
    current = [file for file in files if file.name not in gone]
    read |= _read_parts([file for file in current if file.name not in read and file.name not in known.rows])
    parts = [read[file.name] if file.name in read else known.rows[file.name][1] for file in current]
    _check_parts(directory, recipe, parts)
    if known.index and [file.name for file in current] == list(known.rows):
        return parts, known.index
    columns = [
        (part.hash, part.view) if isinstance(part, Part) else known.columns(part.path.name) for part in parts
    ]
    hashes = np.concatenate([np.zeros((0, HASH_BYTES), np.uint8), *(hashes for hashes, _ in columns)])
    index = RowIndex(hashes, np.concatenate([np.zeros(0, np.int16), *(views for _, views in columns)]))
    if _is_worth_keeping(parts, len(read), len(hashes)):
        save_index(directory, files, parts, superseded, index)
    return parts, index


def _is_worth_keeping(parts: Sequence[PartFile], read: int, rows: int) -> bool:
    """Whether an index spares the next reader more than it costs to write."""
    many = _MANY_PARTS if parts and isinstance(parts[0].path, ObjectPath) else len(parts) + 1
    return (
        len(parts) > 1
        and (rows >= CACHED_ROWS or len(parts) >= many)
        and (read >= _MANY_PARTS or read * _MANY_PARTS >= len(parts))
    )


def _read_parts(files: Sequence[Path]) -> dict[str, Part]:
    return {part.path.name: part for part in in_parallel(Part.read, files)}


def _check_parts(directory: Path, recipe: dict[str, Any], parts: Sequence[PartFile]) -> None:
    for part in parts:
        theirs = part.recipe if isinstance(part, Part) else recipe
        if theirs != recipe or part.dim != parts[0].dim:
            raise StoreFormatError(
                f"{part.path} is foreign: it was made by the recipe of {space_id(theirs)} with "
                f"{part.dim} dimensions, but lies in {directory.name}. Move it out of the store."
            )
