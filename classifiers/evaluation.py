"""Figures of predictions, with their uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.errors import HeadError

_Z95 = 1.959963984540054  # the 97.5 % point of the normal distribution


@dataclass(frozen=True)
class Figures:
    """How well predictions agree with the truth on `n` images.

    `accuracy_low` and `accuracy_high` are a 95 % interval (Wilson 1927). `balanced_accuracy` is the mean recall
    of the classes that occur. `macro_f1` is the mean F1 of the classes that occur or are predicted. `majority` is
    the accuracy of always naming the most frequent class. `confusion` (k, k) int counts true classes in rows,
    predicted ones in columns.
    """

    n: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    balanced_accuracy: float
    macro_f1: float
    majority: float
    confusion: NDArray[np.int64]

    def to_dict(self) -> dict[str, Any]:
        """The figures but the confusion matrix, as plain numbers for JSON and tables."""
        return {
            "n": self.n,
            "accuracy": self.accuracy,
            "accuracy_low": self.accuracy_low,
            "accuracy_high": self.accuracy_high,
            "balanced_accuracy": self.balanced_accuracy,
            "macro_f1": self.macro_f1,
            "majority": self.majority,
        }


def evaluate_codes(true: NDArray[np.integer], predicted: NDArray[np.integer], classes: int) -> Figures:
    """Figures of predicted codes (n,) against true codes (n,), both 0 to classes - 1. Raises HeadError if n is 0."""
    n = len(true)
    if n == 0:
        raise HeadError("there are no images to evaluate on.")
    flat = np.bincount(np.asarray(true) * classes + np.asarray(predicted), minlength=classes * classes)
    confusion = flat.reshape(classes, classes).astype(np.int64)
    right, actual, named = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    low, high = wilson_interval(int(right.sum()), n)
    occurs, either = actual > 0, (actual + named) > 0
    return Figures(
        n=n,
        accuracy=float(right.sum() / n),
        accuracy_low=low,
        accuracy_high=high,
        balanced_accuracy=float((right[occurs] / actual[occurs]).mean()),
        macro_f1=float((2 * right[either] / (actual + named)[either]).mean()),
        majority=float(actual.max() / n),
        confusion=confusion,
    )


def wilson_interval(right: int, n: int) -> tuple[float, float]:
    """The 95 % score interval of a share of `right` in `n` (Wilson 1927, J. Am. Stat. Assoc. 22, 209)."""
    share, z2 = right / n, _Z95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * np.sqrt(share * (1 - share) / n + z2 / (4 * n**2))
    low = 0.0 if right == 0 else float(centre - half)
    high = 1.0 if right == n else float(centre + half)
    return low, high
