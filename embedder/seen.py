"""What a store says of a source: which files were listed, as what, and whether their vectors are banked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from embedder.entries import Entry
from embedder.recipe import FrozenRecipe
from store import FeatureStore
from store.columns import Hashes, hashes_from_hex
from store.index import RowIndex
from store.listing import OK, empty_listing_table


class Seen:
    """The listing of a source and the spaces beside it, as they were when the store was opened."""

    def __init__(self, store: FeatureStore, source: str) -> None:
        listing = store.sources.get(source)
        self.table = empty_listing_table() if listing is None else listing.table
        self._spaces = store.spaces

    def banked(self, entries: Sequence[Entry], recipes: Sequence[FrozenRecipe | None]) -> NDArray[np.bool_]:
        """(images, recipes): whether a file looks as it did when its vectors were banked by a recipe."""
        banked = np.zeros((len(entries), len(recipes)), bool)
        if self.table.empty:  # a million keys need not be gathered to be looked up in nothing
            return banked
        rows = self._keys.get_indexer(pd.Index([entry.key for entry in entries], dtype="str"))
        same = rows >= 0
        same[same] = (self.table["status"].iloc[rows[same]] == OK).to_numpy()
        for name in ("bytes", "mtime"):
            now = np.fromiter((getattr(entry, name) for entry in entries), np.int64, len(entries))
            same[same] = self.table[name].to_numpy()[rows[same]] == now[same]
        hashes = hashes_from_hex(self.table["hash"].iloc[rows[same]])
        for number, recipe in enumerate(recipes):
            if recipe is not None and recipe.space in self.table:
                promised = self.table[recipe.space].to_numpy(bool)[rows[same]]
                banked[same, number] = promised & self.holds(recipe, hashes)
        return banked

    def holds(self, recipe: FrozenRecipe, hashes: Hashes) -> NDArray[np.bool_]:
        """(n,) whether all views of each image are in the space of a recipe."""
        space = self._spaces.get(recipe.space)
        return np.zeros(len(hashes), bool) if space is None else space.holds(hashes)

    def lists(self, hash_: str) -> bool:
        """Whether any file had these bytes."""
        return bool(self._hashes.find(hashes_from_hex([hash_]))[0] >= 0)

    def lists_under(self, key: str, hash_: str) -> bool:
        """Whether the file of this key had these bytes."""
        row = self._keys.get_indexer(pd.Index([key], dtype="str"))[0]
        return bool(row >= 0 and self.table["hash"].iloc[row] == hash_)

    @cached_property
    def _keys(self) -> pd.Index[str]:
        keys: pd.Index[str] = pd.Index(self.table["key"])
        return keys

    @cached_property
    def _hashes(self) -> RowIndex:
        hashes = hashes_from_hex(self.table["hash"])
        return RowIndex(hashes, np.zeros(len(hashes), np.int16))
