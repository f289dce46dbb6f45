"""The job's view of the store: what is banked already, what waits to be committed, and the commits."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from embedder.recipe import FrozenRecipe
from embedder.seen import Seen
from embedder.sources import Entry, Source
from store import FeatureStore, StoreWriter
from store.columns import HASH_BYTES, hashes_from_hex
from store.listing import GIVEN_COLUMNS, GONE, OK, empty_listing_table, listing_files, read_listing_file
from store.part import PartRows

COMMIT_ROWS = 4096
COMMIT_BYTES = 64 << 20
COMMIT_SECONDS = 30.0
ReplaceListing = Callable[[StoreWriter, str, str, pd.DataFrame], None]
_NO_HASH = "0" * (2 * HASH_BYTES)


@dataclass
class _Buffer:
    """Vectors of one space that wait for the next commit."""

    hashes: list[str] = field(default_factory=list)
    views: list[int] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    vectors: list[NDArray[np.float32]] = field(default_factory=list)


class Bank:
    """Collects the outcome of each image and commits vectors before the rows that promise them."""

    def __init__(self, writer: StoreWriter, source: Source, recipes: Mapping[str, FrozenRecipe]) -> None:
        self._writer, self._recipes = writer, recipes
        self._name, self._location_now, self._labels = source.name, source.location, source.labels
        self.shapes: dict[str, tuple[int, ...]] = {}  # of feature maps, by space
        self._directory = writer.path / "sources" / source.name
        self._files_seen = {path.name for path in listing_files(self._directory)}  # before they are read
        store = FeatureStore(writer.path)
        listing = store.sources.get(source.name)
        self._seen = Seen(store, source.name)
        self._by_others: dict[str, tuple[int, int]] = {}
        self._location = source.location if listing is None else listing.location
        self._gone = self._rows_without(source.entries)
        self._buffers = {id_: _Buffer() for id_ in recipes}
        self._rows: list[dict[str, object]] = []
        self._last_commit = time.monotonic()

    def unchanged(self, entries: Sequence[Entry]) -> NDArray[np.bool_]:
        """(n,) whether each file looks as it did when its vectors were banked in every space."""
        return np.asarray(self._seen.banked(entries, list(self._recipes.values())).all(axis=1))

    def banked_by_others(self, entries: Sequence[Entry]) -> NDArray[np.bool_]:
        """(n,) whether another writer has banked each of these files since this one began."""
        with suppress(OSError):  # it is a courtesy
            while not self._look_around():
                pass
        known = (self._by_others.get(entry.key) == (entry.bytes, entry.mtime) for entry in entries)
        return np.fromiter(known, bool, len(entries))

    def missing(self, hash_: str) -> frozenset[str]:
        """The spaces in which these bytes were not banked, with all views, when the job began."""
        digest = hashes_from_hex([hash_])
        return frozenset(
            id_ for id_, recipe in self._recipes.items() if not self._seen.holds(recipe, digest)[0]
        )

    def is_listed_elsewhere(self, entry: Entry, hash_: str) -> bool:
        """Whether the source had these bytes under another key, and this key did not have them."""
        return self._seen.lists(hash_) and not self._seen.lists_under(entry.key, hash_)

    def add_vector(self, space: str, key: str, hash_: str, view: int, vector: NDArray[np.float32]) -> None:
        """Takes one vector for the next commit."""
        buffer = self._buffers[space]
        buffer.hashes.append(hash_)
        buffer.views.append(view)
        buffer.keys.append(key)
        buffer.vectors.append(vector)

    def add_row(self, entry: Entry, hash_: str, size: tuple[int, int], status: str = OK) -> None:
        """Takes the listing row of an image: sound, or bad with the reason as its status."""
        self._rows.append(
            {
                "key": entry.key,
                "hash": hash_ or _NO_HASH,
                "bytes": entry.bytes,
                "mtime": entry.mtime,
                "width": size[0],
                "height": size[1],
                "status": status,
            }
        )

    def commit_is_due(self) -> bool:
        """Whether enough rows have gathered or enough time has passed, so that little is ever in flight."""
        gathered = max(len(self._rows), *(len(buffer.hashes) for buffer in self._buffers.values()))
        size = sum(
            len(buffer.vectors) * buffer.vectors[0].nbytes
            for buffer in self._buffers.values()
            if buffer.vectors
        )
        late = time.monotonic() - self._last_commit > COMMIT_SECONDS
        return gathered >= COMMIT_ROWS or size >= COMMIT_BYTES or (late and gathered > 0)

    def commit(self) -> None:
        """Commits all vectors that have come, then the rows: a row is added after its image's last vector."""
        for space, buffer in self._buffers.items():
            self._commit_vectors(space, buffer)
        if self._rows:
            file = self._writer.add_to_listing(self._name, self._location_now, self._table(self._rows))
            self._files_seen.add(file.name)
            self._rows = []
        self._last_commit = time.monotonic()

    def finish(self, complete: bool, replace: ReplaceListing = StoreWriter.replace_listing) -> None:
        """Commits the rest. After a complete run, images that left the source are marked, and one file is left.

        replace: what does the latter, as the writer does.
        """
        self.commit()
        files = listing_files(self._directory)
        gone = self._rows_of_gone() if complete else []
        if complete and (gone or len(files) > 1 or self._location != self._location_now):
            replace(self._writer, self._name, self._location_now, self._table(gone))
        if self._labels is not None:
            self._writer.attach_labels(self._labels)

    def _look_around(self) -> bool:
        """Takes in the listing files that are new. False if one was replaced meanwhile: its successor is new too."""
        for path in listing_files(self._directory):
            if path.name not in self._files_seen:
                try:
                    self._take_in(read_listing_file(path).table)
                except FileNotFoundError:
                    return False
                self._files_seen.add(path.name)
        return True

    def _take_in(self, table: pd.DataFrame) -> None:
        """Notes what a new listing file says was banked. It may repeat rows of old ones, which say nothing new."""
        if any(id_ not in table for id_ in self._recipes):
            return
        table = table[(table["status"] == OK) & table[list(self._recipes)].all(axis=1)]
        before = self._seen.table[["key", "listed"]]
        new = table[["key", "listed"]].merge(before, how="left", indicator=True)["_merge"] == "left_only"
        table = table[new.to_numpy()]
        files = zip(table["bytes"].tolist(), table["mtime"].tolist(), strict=True)
        self._by_others |= dict(zip(table["key"], files, strict=True))

    def _commit_vectors(self, space: str, buffer: _Buffer) -> None:
        if not buffer.hashes:
            return
        recipe = self._recipes[space]
        rows = PartRows(
            hash=hashes_from_hex(buffer.hashes),
            view=np.array(buffer.views, np.int16),
            vectors=np.stack(buffer.vectors).astype(recipe.dtype),
            key=buffer.keys,
            source=[self._name] * len(buffer.keys),
            shape=self.shapes.get(space, ()),
        )
        self._writer.commit_part(recipe.to_dict(), rows)
        self._buffers[space] = _Buffer()

    def _rows_without(self, entries: Sequence[Entry]) -> NDArray[np.int64]:
        """The numbers of listed rows that are not among these entries: the entries need not be kept to the end."""
        listed = self._seen.table
        if listed.empty:
            return np.empty(0, np.int64)
        present = listed["key"].isin([entry.key for entry in entries])
        return np.flatnonzero(~present & (listed["status"] != GONE))

    def _rows_of_gone(self) -> list[dict[str, object]]:
        rows = self._seen.table.iloc[self._gone]
        return [dict(row) | {"status": GONE} for _, row in rows.iterrows()]

    def _table(self, rows: list[dict[str, object]]) -> pd.DataFrame:
        if not rows:
            return empty_listing_table()
        table = pd.DataFrame(rows)[GIVEN_COLUMNS]
        for id_ in self._recipes:
            table[id_] = table["status"] == OK
        return table
