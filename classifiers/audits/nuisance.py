"""What can be told of the labels without looking at what the pictures show."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from classifiers.audits.ground import Ground
from classifiers.audits.traits import Traits
from classifiers.splits import Rows
from classifiers.targets import Targets

Float = NDArray[np.float64]
_CLEARLY = 1.5  # times the lower half of the 95 % interval: three standard errors
_PENALTY = 1.0  # on the squared weight of a bin, as if it had one more image, of average label


@dataclass(frozen=True)
class Nuisance:
    """How well `features` such as the file size tell the labels, on the same training and test images.

    `low` to `high` is the 95 % interval of `accuracy` (Wilson). `alone`: (feature, accuracy of it by itself), the
    best first. `rivals`: it beats the majority class by three standard errors, and either may be as good as the best
    head is, or covers more than half of the way from the majority class to it.
    """

    accuracy: float
    low: float
    high: float
    features: tuple[str, ...]
    alone: tuple[tuple[str, float], ...]
    rivals: bool


class NuisanceModel:
    """Ridge regression of labels on bins of traits, one-hot; for any number of schemes on the same ground.

    Bins let it find what is not linear (only small files are of this class), and the sums over bins are all that
    depends on labels, so that a scheme takes a millisecond. A trait by itself gives the most frequent label of its
    bin.
    """

    def __init__(self, traits: Traits, ground: Ground) -> None:
        self._traits, self._ground = traits, ground
        offsets = np.cumsum([0, *traits.counts])
        self._width = int(offsets[-1])
        self._bins: NDArray[np.intp] = traits.bins[ground.rows] + offsets[:-1]

    def nuisance(
        self, codes: Targets, classes: int, majority: float, accuracy: float, accuracy_low: float
    ) -> Nuisance:
        """Codes (n,), or an indicator (n, t), of the ground's rows; the figures of the best head to compare with."""
        right = np.concatenate(
            [self._right(codes, classes, split, inverse) for split, inverse in self._splits], axis=1
        )
        low, high = self._ground.clusters.share_interval(right[0])
        shares = right.mean(axis=1)
        found = float(shares[0])
        halfway = found - majority > (accuracy - majority) / 2
        alone = sorted(zip(self._traits.names, shares[1:].tolist(), strict=True), key=lambda one: -one[1])
        clearly = found - _CLEARLY * (found - low) > majority
        rivals = clearly and (high >= accuracy_low or halfway)
        return Nuisance(found, low, high, self._traits.names, tuple(alone), rivals)

    @cached_property
    def _splits(self) -> list[tuple[tuple[Rows, Rows], Float]]:
        """Each split with the inverse of its penalized matrix of counts."""
        return [
            (split, np.asarray(np.linalg.inv(self._counts(split[0])), np.float64))
            for split in self._ground.splits
        ]

    def _counts(self, train: Rows) -> Float:
        hot = np.zeros((len(train), self._width), np.float32)
        np.put_along_axis(hot, self._bins[train], 1, axis=1)
        counts: Float = (hot.T @ hot).astype(np.float64)
        return counts + _PENALTY * np.eye(self._width)

    def _right(
        self, codes: Targets, classes: int, split: tuple[Rows, Rows], inverse: Float
    ) -> NDArray[np.bool_]:
        """Which test rows all traits tell rightly, and which each of them by itself: (1 + traits, n_test)."""
        train, test = split
        sums, mean = self._sums(codes, classes, train)
        rows = (
            sums.sum(axis=1)
            if codes.ndim == 1
            else np.bincount(self._bins[train].ravel(), minlength=self._width)
        )
        weights = inverse @ (sums - rows[:, None] * mean)
        means = (sums + _PENALTY * mean) / (rows[:, None] + _PENALTY)
        truth = codes[test]
        together = np.tile(mean, (len(test), 1))
        alone = []
        for trait in range(self._bins.shape[1]):
            bins = self._bins[test, trait]
            together += weights[bins]
            alone.append(_same(means, truth, bins))
        return np.stack([_same(together, truth), *alone])

    def _sums(self, codes: Targets, classes: int, train: Rows) -> tuple[Float, Float]:
        """How many images of each bin have each label, (bins, k), and the share of each label (k,)."""
        bins, own = self._bins[train], codes[train]
        if own.ndim == 1:
            at = bins * classes + own[:, None]
            counts = np.bincount(at.ravel(), minlength=self._width * classes)
            return counts.reshape(self._width, classes).astype(np.float64), _shares(own, classes)
        sums = np.zeros((self._width, classes))
        for trait in range(bins.shape[1]):
            np.add.at(sums, bins[:, trait], own)
        return sums, np.asarray(own.mean(axis=0), np.float64)


def _shares(codes: Targets, classes: int) -> Float:
    return np.asarray(np.bincount(codes, minlength=classes) / len(codes), np.float64)


def _same(scores: Float, truth: Targets, rows: Rows | None = None) -> NDArray[np.bool_]:
    """Whether the best of scores (·, k), of given rows of them, are the true labels."""
    if truth.ndim == 1:
        best = scores.argmax(axis=1)
        return np.asarray((best if rows is None else best[rows]) == truth)
    given = scores > 0.5
    return np.asarray(((given if rows is None else given[rows]) == truth).all(axis=1))
