"""The nearest other images of each image, found once for all schemes on a space."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from classifiers.banked import Vectors
from classifiers.nearest import nearest
from classifiers.splits import Rows

_KEPT = 8
_AT_LEAST = 0.9
_BY_CHANCE = 0.1  # images that may have a near one by chance


@dataclass(frozen=True)
class Neighbours:
    """The nearest others of n different images: `found` (n, k), the nearest first, and their cosines `similarity`.

    `place` (all images,) is the number of each image among the n, the same for the same bytes; -1 for others.
    """

    place: Rows
    vectors: NDArray[np.float32]
    found: Rows
    similarity: NDArray[np.float32]

    @classmethod
    def of(cls, rows: Rows, hashes: Rows, bank: Vectors) -> Neighbours:
        """The neighbours of some images, by row numbers; hashes (all images,) are equal for the same bytes."""
        different, first = np.unique(hashes[rows], return_index=True)
        numbers = np.full(hashes.max() + 1, -1)
        numbers[different] = np.arange(len(different))
        vectors = np.asarray(bank[rows[first]])
        found, similarity = nearest(vectors, vectors, min(_KEPT, len(vectors) - 1), exclude_self=True)
        return cls(numbers[hashes], vectors, found, similarity)

    @cached_property
    def threshold(self) -> float:
        """From which similarity on two images are near-duplicates: 0.9 at least, and at less than half the usual
        angle between an image and its nearest other one.

        The usual angle is told from that to the 8th nearest, which copies of an image leave as it is. In spaces of
        few dimensions chance brings images nearer: there the angle is the one below which a tenth of an image is
        expected to find another (their number goes with the angle to the power of the dimensions).
        """
        angles = np.arccos(np.clip(self.similarity.astype(np.float64), -1, 1))
        inverse = _inverse_dimensions(angles)
        usual = float(np.median(angles[:, -1])) * math.exp(-inverse * _harmonic(angles.shape[1] - 1))
        by_chance = (_BY_CHANCE / (len(angles) * math.log(2))) ** inverse
        return max(_AT_LEAST, math.cos(usual * min(0.5, by_chance)))

    def near(self, rows: Rows) -> tuple[Rows, NDArray[np.float64]]:
        """Pairs of near-duplicates among some rows, as row numbers (p, 2), the most similar first, and their cosines.

        Of a crowd of copies only the 8 nearest of each image are looked at.
        """
        pairs, similarity = self._near
        own = np.full(len(self.vectors), -1, np.intp)
        own[self.place[rows]] = rows
        mine = own[pairs]
        here = (mine >= 0).all(axis=1)
        return mine[here], similarity[here]

    def nearest_among(self, rows: Rows) -> Rows:
        """For each of some different rows (m,) the place in them of the nearest other of them: (m,); m > 1."""
        own = np.full(len(self.vectors), -1, np.intp)
        numbers = self.place[rows]
        own[numbers] = np.arange(len(rows))
        candidates = own[self.found[numbers]]
        best: Rows = candidates[np.arange(len(rows)), np.argmax(candidates >= 0, axis=1)]
        lost = np.flatnonzero(best < 0)
        if len(lost):
            vectors = self.vectors[numbers]
            found, _ = nearest(vectors, vectors[lost], 2)
            best[lost] = np.where(found[:, 0] == lost, found[:, 1], found[:, 0])
        return best

    @cached_property
    def _near(self) -> tuple[Rows, NDArray[np.float64]]:
        first, rank = np.nonzero(self.similarity >= self.threshold)
        pairs = np.sort(np.stack([first, self.found[first, rank]], axis=1), axis=1)
        pairs, chosen = np.unique(pairs, axis=0, return_index=True)
        similarity = self.similarity[first, rank][chosen].astype(np.float64)
        order = np.argsort(-similarity, kind="stable")
        return pairs[order], similarity[order]


def _inverse_dimensions(angles: NDArray[np.float64]) -> float:
    """1 over the number of dimensions that images are spread in around one another, given the ascending angles (n, k)
    to their nearest others (Levina & Bickel 2005, "Maximum likelihood estimation of intrinsic dimension").

    By the farther half of the angles, which up to three copies of an image leave as they are: the mean of the
    logarithm of their ratio is the sum of 1 / i from the one's rank to the other's, over the dimensions.
    """
    last, half = angles.shape[1], (angles.shape[1] + 1) // 2
    if last == half:
        return 0.0
    floor = np.finfo(np.float32).eps
    ratio = np.log(np.maximum(angles[:, -1], floor) / np.maximum(angles[:, half - 1], floor))
    return float(np.median(ratio)) / (_harmonic(last - 1) - _harmonic(half - 1))


def _harmonic(count: int) -> float:
    return sum(1 / i for i in range(1, count + 1))
