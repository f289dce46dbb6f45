"""What a scheme's labels are worth, image by image and in figures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.evaluation import Counts
from classifiers.intervals import Float, wilson_interval
from classifiers.paired import compared


@dataclass(frozen=True)
class LiveResult:
    """A ridge on all labelled images, each predicted as if it had been left out; the others predicted by it.

    codes, predicted (n,): of the images in the order that was given, -1 without a label. scores (n, k) float32, times
    the temperature. confidence (n,): their softmax at the class that is predicted. strength: of the ridge.
    milliseconds: it all took. settled: whether it is final, or of a strength and of leverages that may yet change a
    little (see LiveFit.at_once).
    """

    codes: NDArray[np.intp]
    predicted: NDArray[np.intp]
    scores: NDArray[np.float32]
    confidence: NDArray[np.float32]
    strength: float
    milliseconds: float
    settled: bool = True

    @cached_property
    def judged(self) -> NDArray[np.bool_]:
        """(n,) the images that count in the figures: those with a label."""
        return np.asarray(self.codes >= 0)

    @property
    def n(self) -> int:
        """How many images the figures are of."""
        return int(self.judged.sum())

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """(k, k) images, true classes in rows, predicted ones in columns."""
        classes = self.scores.shape[1]
        pairs = self.codes[self.judged] * classes + self.predicted[self.judged]
        return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)

    @cached_property
    def by_class(self) -> Counts:
        """Images, images named so, and both, of each class."""
        return Counts(self.confusion.sum(axis=1), self.confusion.sum(axis=0), np.diag(self.confusion))

    @property
    def counts(self) -> NDArray[np.int64]:
        """(k,) images of each class."""
        return self.by_class.actual

    @property
    def recall(self) -> Float:
        """(k,) the share of each class's images that are named so; NaN for a class without images."""
        return self.by_class.recall

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """(n,) whether an image counts and is predicted as it is labelled."""
        return np.asarray(self.judged & (self.codes == self.predicted))

    @property
    def accuracy(self) -> float:
        """The share of images that are predicted as they are labelled."""
        return float(self.right.sum() / self.n)

    @property
    def interval(self) -> tuple[float, float]:
        """The accuracy's 95 % interval (Wilson)."""
        return wilson_interval(float(self.right.sum()), self.n)

    @property
    def low(self) -> float:
        """The lower end of `interval`."""
        return self.interval[0]

    @property
    def high(self) -> float:
        """The upper end of `interval`."""
        return self.interval[1]

    @property
    def majority(self) -> float:
        """The accuracy of always naming the most frequent class."""
        return float(self.counts.max() / self.n)

    @property
    def balanced_accuracy(self) -> float:
        """The mean recall of the classes that occur."""
        return float(np.nanmean(self.recall))

    @property
    def macro_f1(self) -> float:
        """The mean F1 of the classes that occur."""
        return float(np.mean(self.by_class.f1[self.counts > 0]))

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """(n, k): the softmax of the scaled scores."""
        return softmax(self.scores)


def softmax(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of each row, (n, k)."""
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def difference(before: LiveResult, after: LiveResult) -> dict[str, Any]:
    """How the accuracy of `after` compares with that of `before` on the images that both judge.

    `n`, `difference` (after minus before) with its paired bootstrap interval `low` and `high` (None where there is
    none), `only_first` and `only_second`: images that only `after`, or only `before`, has right, `p_value` (McNemar).
    """
    both = before.judged & after.judged
    return compared(after.right[both], before.right[both])
