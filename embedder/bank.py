"""The job's view of the store: what is banked already, what waits to be committed, and the commits."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from embedder.recipe import FrozenRecipe
from embedder.sources import Entry, Source
from store import FeatureStore, StoreWriter
from store.columns import HASH_BYTES, hashes_from_hex
from store.listing import GIVEN_COLUMNS, GONE, OK, empty_listing_table, listing_files
from store.part import PartRows

COMMIT_ROWS = 4096
COMMIT_SECONDS = 30.0
_NO_HASH = "0" * (2 * HASH_BYTES)


@dataclass
class _Buffer:
    """Vectors of one space that wait for the next commit."""

    hashes: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    vectors: list[NDArray[np.float32]] = field(default_factory=list)


class Bank:
    """Collects the outcome of each image and commits vectors before the rows that promise them."""

    def __init__(self, writer: StoreWriter, source: Source, recipes: Mapping[str, FrozenRecipe]) -> None:
        self._writer, self._source, self._recipes = writer, source, recipes
        store = FeatureStore(writer.path)
        listing = store.sources.get(source.name)
        self._listed = empty_listing_table() if listing is None else listing.table
        self._location = source.location if listing is None else listing.location
        self._spaces = {id_: store.spaces[id_] for id_ in recipes if id_ in store.spaces}
        self._unchanged = self._find_unchanged()
        self._listed_hashes = dict(zip(self._listed["key"], self._listed["hash"], strict=True))
        self._known_hashes = set(self._listed["hash"])
        self._buffers = {id_: _Buffer() for id_ in recipes}
        self._rows: list[dict[str, object]] = []
        self._last_commit = time.monotonic()

    def is_unchanged(self, entry: Entry) -> bool:
        """Whether the file looks as it did when its vectors were banked in every space."""
        return self._unchanged.get(entry.key) == (entry.bytes, entry.mtime)

    def missing(self, hash_: str) -> frozenset[str]:
        """The spaces in which these bytes were not banked when the job began."""
        digest = hashes_from_hex([hash_])
        return frozenset(
            id_ for id_ in self._recipes if id_ not in self._spaces or self._spaces[id_].find(digest)[0] < 0
        )

    def is_listed_elsewhere(self, entry: Entry, hash_: str) -> bool:
        """Whether the source had these bytes under another key, and this key did not have them."""
        return self._listed_hashes.get(entry.key) != hash_ and hash_ in self._known_hashes

    def add_vector(self, space: str, key: str, hash_: str, vector: NDArray[np.float32]) -> None:
        """Takes one vector for the next commit."""
        buffer = self._buffers[space]
        buffer.hashes.append(hash_)
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

    def commit_if_due(self) -> None:
        """Commits when enough rows have gathered or enough time has passed, so that little is ever in flight."""
        gathered = max(len(buffer.hashes) for buffer in self._buffers.values())
        if gathered >= COMMIT_ROWS or (gathered and time.monotonic() - self._last_commit > COMMIT_SECONDS):
            self.commit()

    def commit(self) -> None:
        """Commits all vectors that have come, then the rows: a row is added after its image's last vector."""
        for space, buffer in self._buffers.items():
            self._commit_vectors(space, buffer)
        if self._rows:
            self._writer.add_to_listing(self._source.name, self._source.location, self._table(self._rows))
            self._rows = []
        self._last_commit = time.monotonic()

    def finish(self, complete: bool) -> None:
        """Commits the rest. After a complete run, images that left the source are marked, and one file is left."""
        self.commit()
        files = listing_files(self._writer.path / "sources" / self._source.name)
        gone = self._gone() if complete else []
        if complete and (gone or len(files) > 1 or self._location != self._source.location):
            self._writer.replace_listing(self._source.name, self._source.location, self._table(gone))
        if self._source.labels is not None:
            self._writer.attach_labels(self._source.labels)

    def _find_unchanged(self) -> dict[str, tuple[int, int]]:
        sound = self._listed[self._listed["status"] == OK]
        banked = np.ones(len(sound), bool)
        hashes = hashes_from_hex(sound["hash"])
        for id_ in self._recipes:
            if id_ not in self._spaces or id_ not in sound:
                return {}
            banked &= sound[id_].to_numpy(bool) & (self._spaces[id_].find(hashes) >= 0)
        sound = sound[banked]
        return dict(
            zip(sound["key"], zip(sound["bytes"].tolist(), sound["mtime"].tolist(), strict=True), strict=True)
        )

    def _commit_vectors(self, space: str, buffer: _Buffer) -> None:
        if not buffer.hashes:
            return
        recipe = self._recipes[space]
        rows = PartRows(
            hash=hashes_from_hex(buffer.hashes),
            view=np.zeros(len(buffer.hashes), np.int16),
            vectors=np.stack(buffer.vectors).astype(recipe.dtype),
            key=buffer.keys,
            source=[self._source.name] * len(buffer.keys),
        )
        self._writer.commit_part(recipe.to_dict(), rows)
        self._buffers[space] = _Buffer()

    def _gone(self) -> list[dict[str, object]]:
        present = {entry.key for entry in self._source.entries}
        rows = self._listed[~self._listed["key"].isin(present) & (self._listed["status"] != GONE)]
        return [dict(row) | {"status": GONE} for _, row in rows.iterrows()]

    def _table(self, rows: list[dict[str, object]]) -> pd.DataFrame:
        if not rows:
            return empty_listing_table()
        table = pd.DataFrame(rows)[GIVEN_COLUMNS]
        for id_ in self._recipes:
            table[id_] = table["status"] == OK
        return table
