"""The images that schemes with the same splits are audited on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.banked import Vectors
from classifiers.factorization import Factorization
from classifiers.intervals import Clusters
from classifiers.jobs import Job
from classifiers.splits import Rows
from classifiers.values import Texts
from store.columns import hashes_from_hex

MOST_IMAGES = 20_000  # their similarities to one another are 800 GFLOP at 1,000 dimensions


@dataclass(frozen=True)
class Ground:
    """`rows` (n,) are row numbers of all images, ascending; `splits` (train, test) count within them.

    `groups` (n,): images of the same value belong together; None for none, or for an image by itself.
    """

    bank: Vectors
    rows: Rows
    splits: tuple[tuple[Rows, Rows], ...]
    groups: Texts | None

    @classmethod
    def of(cls, job: Job, bank: Vectors, images: pd.DataFrame, groups: Texts | None) -> Ground:
        """The ground of a job; more than 20,000 images are sampled by their hashes. groups: of all images."""
        rows = job.rows
        if len(rows) > MOST_IMAGES:
            hashes = hashes_from_hex(images["hash"].iloc[rows])
            numbers = np.ascontiguousarray(hashes[:, :8]).view(">u8").ravel()
            rows = np.sort(rows[np.argsort(numbers, kind="stable")[:MOST_IMAGES]])
        place = np.full(len(images), -1, np.intp)
        place[rows] = np.arange(len(rows))
        splits = [(place[split.train], place[split.test]) for split in job.splits]
        kept = [(train[train >= 0], test[test >= 0]) for train, test in splits]
        sound = tuple(one for one in kept if len(one[0]) and len(one[1]))
        return cls(bank, rows, sound, None if groups is None else groups[rows])

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        """(n, d) in the order of `rows`."""
        return np.asarray(self.bank[self.rows])

    @cached_property
    def test(self) -> Rows:
        """The tested rows of all splits, one split after the other."""
        return np.concatenate([test for _, test in self.splits]) if self.splits else np.zeros(0, np.intp)

    @cached_property
    def clusters(self) -> Clusters:
        """Which of `test` belong together."""
        return Clusters.of(len(self.test), None if self.groups is None else self.groups[self.test])

    def factorization(self, some: NDArray[Any]) -> Factorization:
        """That of some of the rows, kept in the store's cache."""
        kept = self.bank.kept(self.rows[some])
        factor = kept.factorization(self.vectors[some])
        kept.keep(factor, len(factor.known_gaps))
        return factor
