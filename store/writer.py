"""StoreWriter: the one way to put something into a store. Any number of writers may work at once."""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.commit import commit_file, make_directories, sweep_temporary_files, write_file
from store.errors import StoreError, StoreWriteError
from store.feature_store import STORE_FILE, check_store
from store.label_files import labels_file, labels_image
from store.labels import LabelTable
from store.listing import Listing, listing_files, listing_image, merge_listings, read_listing
from store.object_path import store_path
from store.part import PartRows, part_pieces
from store.recipes import RecipeDict, canonical_json, space_id
from store.space import RECIPE_FILE, part_files, read_recipe
from store.version import FORMAT_VERSION

_NAME = re.compile(r"\w[\w. -]{0,99}")
_NAME_BYTES = 200


class StoreWriter:
    """Writes into the store at `path`, which is made if it is absent.

    Every method returns after what it wrote is committed: durable, whole and visible to new readers. Raises
    StoreWriteError if the file system refuses, with nothing that was committed before touched.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = store_path(path)
        self._writer = secrets.token_hex(4)
        self._next_part: dict[str, int] = {}
        _make_store(self.path)

    def open_space(self, recipe: RecipeDict) -> str:
        """Makes the space of `recipe` if it is absent and sweeps what dead writers left; returns its id."""
        directory = self.path / "spaces" / space_id(recipe)
        if not (directory / RECIPE_FILE).exists():
            write_file(directory / RECIPE_FILE, canonical_json(recipe).encode())
        read_recipe(directory)
        sweep_temporary_files(directory)
        numbers = [int(path.name.split("-")[0]) for path in part_files(directory)]
        self._next_part[directory.name] = max(numbers, default=0) + 1
        return directory.name

    def commit_part(self, recipe: RecipeDict, rows: PartRows, supersedes: Sequence[str] = ()) -> Path:
        """Commits one part into the space of `recipe`. Raises ValueError for vectors that are not finite.

        supersedes: names of parts whose rows are all in `rows`; from now on they are ignored.
        """
        space = space_id(recipe)
        if not _all_finite(rows.vectors):
            raise ValueError(
                f"vectors for {space} are not finite: none of these {len(rows.vectors)} was banked."
            )
        if space not in self._next_part or not (self.path / "spaces" / space / RECIPE_FILE).exists():
            self.open_space(recipe)  # it may be new, or removed since
        number = self._next_part[space]
        pieces = part_pieces(rows, dict(recipe), supersedes)
        path = commit_file(self.path / "spaces" / space, f"{number:06d}-{self._writer}", ".h5", *pieces)
        self._next_part[space] = number + 1
        return path

    def add_to_listing(self, source: str, location: str, table: pd.DataFrame) -> Path:
        """Commits a few rows of a source's listing beside those that are there; returns the new file.

        table: the columns of `Listing.table` but `listed`, which is now.
        """
        return self._write_listing(
            Listing(source, location, table.assign(listed=time.time_ns())), supersedes=[]
        )

    def replace_listing(self, source: str, location: str, table: pd.DataFrame) -> None:
        """Commits one listing file of all rows, those of `table` over those already there."""
        directory = self._source_directory(source)
        sweep_temporary_files(directory)
        current = read_listing(directory)
        ours = Listing(source, location, table.assign(listed=time.time_ns()))
        self.rewrite_listing(merge_listings([current, ours]) if current else ours)

    def rewrite_listing(self, listing: Listing) -> None:
        """Commits one listing file in place of those that `listing` was read from, its `files`."""
        self._write_listing(listing, supersedes=list(listing.files))
        for name in listing.files:
            with suppress(OSError):  # it is superseded, there or not
                (self._source_directory(listing.source) / name).unlink()

    def attach_labels(self, labels: LabelTable) -> None:
        """Commits a label table, in place of an earlier one of its name."""
        check_name("label table", labels.name)
        directory = self.path / "labels" / labels.name
        _make_directories(directory)
        sweep_temporary_files(directory)
        earlier = labels_file(directory)
        number = int(earlier.name.split("-")[0]) + 1 if earlier else 1
        commit_file(directory, f"{number:06d}", ".parquet", labels_image(labels))
        if earlier:
            with suppress(OSError):
                earlier.unlink()

    def _write_listing(self, listing: Listing, supersedes: list[str]) -> Path:
        directory = self._source_directory(listing.source)
        numbers = [int(path.name.split("-")[0]) for path in listing_files(directory)]
        stem = f"{max(numbers, default=0) + 1:06d}"
        return commit_file(directory, stem, ".h5", listing_image(listing, supersedes))

    def _source_directory(self, source: str) -> Path:
        check_name("source", source)
        return self.path / "sources" / source


def _all_finite(vectors: NDArray[np.floating[Any]]) -> bool:
    """A finite sum has finite terms, and is much quicker than to look at each; only large ones overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(vectors.sum(dtype=np.float32)) or np.isfinite(vectors).all())


def check_name(what: str, name: str) -> None:
    """Raises StoreError unless `name` may stand for a directory of the store."""
    if not _NAME.fullmatch(name) or name.endswith((".", " ")) or len(os.fsencode(name)) > _NAME_BYTES:
        raise StoreError(
            f"{name!r} cannot be the name of a {what}: use up to 100 letters, digits, '.', '_', '-' and "
            "spaces, starting with a letter or digit."
        )


def _make_store(path: Path) -> None:
    empty = path.is_dir() and not any(entry.name[0] != "." for entry in path.iterdir())
    if empty or not path.exists():
        _make_directories(path)
        write_file(path / STORE_FILE, json.dumps({"format": FORMAT_VERSION}).encode() + b"\n")
    check_store(path)
    sweep_temporary_files(path)


def _make_directories(path: Path) -> None:
    try:
        make_directories(path)
    except OSError as error:
        raise StoreWriteError(
            f"could not make the directory {path}: {error.strerror}. Check the path and its permissions."
        ) from error
