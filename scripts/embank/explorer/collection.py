"""The images that the explorer shows: those banked in one space, each picture once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from classifiers import Labels
    from store import FeatureStore

Rows = "NDArray[np.intp]"


@dataclass
class Collection:
    """`images`: one row for each distinct picture, numbered by its place; `listed`: all names of them.

    which: (listed,) the picture of each name. notes: sentences on what was left out.
    """

    store: FeatureStore
    space: str
    images: pd.DataFrame
    listed: pd.DataFrame
    which: NDArray[np.intp]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, store: FeatureStore, space: str | None, where: str | None) -> Collection:
        """Of a store. Raises HeadError for a space that must be named, or if there are no images."""
        from classifiers import HeadError
        from classifiers.banked import banked
        from classifiers.expressions import matches
        from classifiers.suggestions import counted
        from classifiers.training import only_space

        chosen = (only_space(store) if space is None else store.space(space)).id
        listed = store.images()
        kept = listed[matches(where, listed)] if where else listed
        here = banked(store, chosen, kept)
        notes = []
        if not here.all():
            notes.append(f"{counted(int((~here).sum()), 'image')} left out: not embedded in {chosen}.")
        kept = kept[here].reset_index(drop=True)
        if not len(kept):
            which = f" for which {where}" if where else ""
            raise HeadError(
                f"{store.path} has no images{which} with vectors in {chosen}: there is nothing to explore."
            )
        _, first, which_one = np.unique(kept["hash"].to_numpy(str), return_index=True, return_inverse=True)
        order = np.argsort(first, kind="stable")
        place = np.argsort(order)
        images = kept.iloc[first[order]].reset_index(drop=True)
        if len(images) < len(kept):
            copies = counted(len(kept) - len(images), "other name")
            notes.append(f"{copies} of the same bytes: each picture is shown once.")
        return cls(store, chosen, images, kept, place[which_one], tuple(notes))

    def __len__(self) -> int:
        return len(self.images)

    def one_each(self, labels: Labels) -> tuple[Labels, int]:
        """The labels of all names as those of pictures: of several names the first that has a label counts.

        And how many pictures have names of different labels.
        """
        from classifiers import Labels

        codes = labels.codes
        order = np.lexsort((np.arange(len(codes)), codes < 0, self.which))
        starts = np.flatnonzero(np.diff(self.which[order], prepend=-1))
        own = codes[order[starts]]
        differ = np.unique(self.which[(codes != own[self.which]) & (codes >= 0)])
        return Labels(labels.name, labels.classes, own), len(differ)

    def keys(self) -> list[str]:
        """What each picture is called, with its source where there are several."""
        images = self.images
        if images["source"].nunique() < 2:
            return list(images["key"])
        return list(images["source"] + ":" + images["key"])
