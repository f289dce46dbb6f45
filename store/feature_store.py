"""FeatureStore: one directory of listings, spaces and label tables, as it stood when it was opened."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.canaries import read_canaries
from store.columns import hashes_from_hex
from store.errors import StoreFormatError, StoreNotFoundError, UnknownImageError, UnknownSpaceError
from store.files import LARGEST_JSON, bytes_below, json_object, read_file, refuse_links
from store.folders import SPLITS, folder_and_split
from store.label_files import read_labels
from store.labels import LabelTable, join_labels
from store.listing import GONE, OK, Listing, empty_listing_table, read_listing
from store.object_path import store_path
from store.recipes import describe_difference
from store.space import SPACE_NAME, Space, is_unborn
from store.vectors import Vectors
from store.version import FORMAT_VERSION

STORE_FILE = "embank.json"


class FeatureStore:
    """A bank of vectors, read-only.

    It is a snapshot: what writers commit later is seen after `refresh()`. Raises StoreNotFoundError if there
    is no store at `path`, StoreFormatError if it is of a newer format or something else.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = store_path(path)
        check_store(self.path)

    def __repr__(self) -> str:
        return f"FeatureStore({str(self.path)!r})"

    def refresh(self) -> None:
        """Forgets what was read, so that the next question is answered from the disk."""
        for name in ("spaces", "sources", "label_tables"):
            self.__dict__.pop(name, None)

    @cached_property
    def spaces(self) -> Mapping[str, Space]:
        """The spaces by id.

        Listings are read before them: a writer commits vectors first, so what a listing promises is there.
        """
        _ = self.sources
        found = sorted(
            path for path in _subdirectories(self.path / "spaces") if SPACE_NAME.fullmatch(path.name)
        )
        return {path.name: Space(path) for path in found if not is_unborn(path)}

    @cached_property
    def sources(self) -> Mapping[str, Listing]:
        """The listings by the name of their source; their tables have bad and vanished images too."""
        listings = {path.name: read_listing(path) for path in sorted(_subdirectories(self.path / "sources"))}
        for name, listing in listings.items():
            if listing and listing.source != name:
                raise StoreFormatError(
                    f"{self.path / 'sources' / name} holds the listing of another source, {listing.source!r}: move it "
                    "there, or delete it."
                )
        return {name: listing for name, listing in listings.items() if listing}

    @cached_property
    def label_tables(self) -> Mapping[str, LabelTable]:
        """The attached label tables by name."""
        tables = {path.name: read_labels(path) for path in sorted(_subdirectories(self.path / "labels"))}
        return {name: table for name, table in tables.items() if table}

    @property
    def pooled_spaces(self) -> Mapping[str, Space]:
        """The spaces but those of feature maps, which are meant only by their full ids; all, if all are maps."""
        return _pooled(self.spaces)

    def space(self, name: str) -> Space:
        """The space of this id, or of this backbone where only one recipe of it is banked.

        A backbone's name means its pooled vectors, if they are banked beside its feature maps.
        """
        if name in self.spaces:
            return self.spaces[name]
        named = {
            id_: space for id_, space in self.spaces.items() if id_.rpartition("-")[0].lower() == name.lower()
        }
        fitting = list(_pooled(named).values())
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            difference = describe_difference(fitting[0].recipe, fitting[1].recipe)
            raise UnknownSpaceError(
                f"{self.path} holds {len(fitting)} recipes of {name}: {', '.join(s.id for s in fitting)} "
                f"(the first two differ in {difference}). Name one of them in full."
            )
        names = {known: id_ for id_ in self.spaces for known in (id_, id_.rpartition("-")[0])}
        near = [names[known] for known in difflib.get_close_matches(name, names, n=1, cutoff=0.6)]
        known = ", ".join(self.spaces) or "none yet"
        raise UnknownSpaceError(
            f"{self.path} has no space {name!r}; its spaces: {known}."
            + (f" Did you mean {near[0]}?" if near else "")
        )

    def images(self) -> pd.DataFrame:
        """All sound images, one row each, ordered by source and key.

        Columns: key, source, hash (32 hex digits), folder, split (`train`, `val`, `test` or missing), width,
        height (pixels), bytes, mtime (nanoseconds), and `labels.<column>` for each attached label.
        """
        frames = [self._images_of(listing) for listing in self.sources.values()]
        images = pd.concat(frames or [_empty_images()], ignore_index=True)
        images = join_labels(images, list(self.label_tables.values()))
        if "labels.split" in images:
            named = images["labels.split"].astype("str").str.lower().map(SPLITS).astype("str")
            images["split"] = images["split"].fillna(named)
        return images

    def errors(self) -> pd.DataFrame:
        """Images that could not be embedded: columns source, key, status (the reason)."""
        frames = []
        for listing in self.sources.values():
            bad = listing.table[~listing.table["status"].isin([OK, GONE])]
            frames.append(bad[["key", "status"]].assign(source=listing.source))
        columns = ["source", "key", "status"]
        return pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)

    def vectors(
        self,
        space: str,
        images: pd.DataFrame | None = None,
        out: NDArray[np.float32] | None = None,
        view: int = 0,
    ) -> Vectors:
        """(n, dim) float32, rows in the order of `images` (by default of `self.images()`).

        images: any table with a column `hash`. out: where to put the result. view: which augmented version.
        Raises UnknownImageError if an image has no vector there, ValueError if `out` does not fit.
        """
        chosen = self.space(space)
        images = self.images() if images is None else images
        rows = chosen.find(hashes_from_hex(images["hash"]), view)
        missing = np.flatnonzero(rows < 0)
        if len(missing):
            first = images.iloc[missing[0]]
            raise UnknownImageError(
                f"{len(missing)} of {len(images)} images have no vector in {chosen.id}"
                f" (the first: {first.get('key', first['hash'])}). "
                "Embed their source with this recipe, or leave them out."
            )
        array = np.empty((len(rows), chosen.dim), np.float32) if out is None else out
        if array.shape != (len(rows), chosen.dim) or array.dtype != np.float32:
            raise ValueError(
                f"out has shape {array.shape} and type {array.dtype}, expected {(len(rows), chosen.dim)}, float32."
            )
        chosen.read(rows, array)
        return Vectors.of(array, chosen.id, chosen.recipe)

    def summary(self) -> dict[str, Any]:
        """What is in the store, as `embank info --json` prints it."""
        errors = self.errors()
        return {
            "images": sum(int((listing.table["status"] == OK).sum()) for listing in self.sources.values()),
            "errors": len(errors),
            "sources": {
                name: {
                    "images": int((listing.table["status"] == OK).sum()),
                    "errors": int((errors["source"] == name).sum()),
                    "gone": int((listing.table["status"] == GONE).sum()),
                    "location": listing.location,
                }
                for name, listing in self.sources.items()
            },
            "spaces": {
                id_: {
                    "rows": space.rows,
                    "dim": space.dim,
                    "dtype": space.dtype,
                    "parts": len(space.parts),
                    "recipe": space.recipe,
                    "canaries": [asdict(canary) for canary in read_canaries(space.directory)],
                }
                for id_, space in self.spaces.items()
            },
            "labels": {
                name: {"rows": len(table.table), "on": table.on, "columns": table.columns}
                for name, table in self.label_tables.items()
            },
            "heads": sorted(path.name for path in self.path.glob("heads/*") if path.is_file()),
            "bytes": bytes_below(self.path),
        }

    def _images_of(self, listing: Listing) -> pd.DataFrame:
        table = listing.table[listing.table["status"] == OK].sort_values("key", ignore_index=True)
        return (
            table[["key", "hash", "width", "height", "bytes", "mtime"]]
            .join(folder_and_split(table["key"]))[
                ["key", "hash", "folder", "split", "width", "height", "bytes", "mtime"]
            ]
            .pipe(_with_source, listing.source)
        )


def _pooled(spaces: Mapping[str, Space]) -> Mapping[str, Space]:
    return {id_: space for id_, space in spaces.items() if not space.holds_maps} or spaces


def check_store(path: Path) -> None:
    """Raises unless there is a store at `path` that this version can read."""
    file = path / STORE_FILE
    if not path.exists():
        raise StoreNotFoundError(f"there is no store at {path}; `embank embed SOURCE {path}` makes one.")
    if not path.is_dir():
        raise StoreNotFoundError(f"{path} is a file, not a store: a store is a directory, NAME.embank.")
    try:
        version = json_object(read_file(file, LARGEST_JSON))["format"]
    except FileNotFoundError:
        raise StoreNotFoundError(
            f"{path} is not a store: it has no {STORE_FILE}. Check the path, or name a new one to embed into; if it "
            f'was a store and lost that file, put {{"format": {FORMAT_VERSION}}} into it.'
        ) from None
    except StoreFormatError:
        raise
    except (ValueError, KeyError) as error:
        raise StoreFormatError(
            f'{file} is damaged: expected {{"format": {FORMAT_VERSION}}}. Put that line there to mend it.'
        ) from error
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise StoreFormatError(
            f"{path} is of format {version}, this embank reads formats up to {FORMAT_VERSION}. "
            "Upgrade with `pip install --upgrade embank`."
        )
    refuse_links(path)


def _with_source(table: pd.DataFrame, source: str) -> pd.DataFrame:
    table.insert(1, "source", source)
    return table.astype({"source": "str"})


def _empty_images() -> pd.DataFrame:
    table = empty_listing_table().drop(columns=["status", "listed"])
    return table.assign(source="", folder="", split="").astype(
        {"source": "str", "folder": "str", "split": "str"}
    )


def _subdirectories(directory: Path) -> list[Path]:
    return [path for path in directory.glob("[!.]*") if path.is_dir()] if directory.is_dir() else []
