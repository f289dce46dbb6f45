"""Figures of predictions, with their uncertainty. Each one's formula is in docs/evaluation.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.errors import HeadError
from classifiers.intervals import Clusters, Float
from classifiers.statistics import statistics_of_codes, statistics_of_indicators
from classifiers.suggestions import counted
from classifiers.targets import Targets
from classifiers.threads import few_threads

_OTHERS = (
    *("balanced_accuracy", "macro_f1", "micro_f1", "log_loss", "roc_auc", "average_precision"),
    *("micro_average_precision", "calibration_error", "top_5_accuracy"),
)
FIGURES = (
    *("accuracy", "accuracy_low", "accuracy_high", *_OTHERS, "majority"),
    *(f"{name}_{end}" for name in _OTHERS for end in ("low", "high")),
)


@dataclass(frozen=True)
class Counts:
    """By class, (k,) ints: its images, the images named so, and the images that are both."""

    actual: NDArray[np.int64]
    named: NDArray[np.int64]
    right: NDArray[np.int64]

    @property
    def recall(self) -> Float:
        """The share of each class's images that are named so; NaN for a class without images."""
        return _ratio(self.right, self.actual)

    @property
    def precision(self) -> Float:
        """The share of what is named so that is right; NaN for a class that is never named."""
        return _ratio(self.right, self.named)

    @property
    def f1(self) -> Float:
        """The harmonic mean of the two; NaN for a class that neither has images nor is named."""
        return _ratio(2 * self.right, self.actual + self.named)

    def rows(self, classes: Sequence[str]) -> list[dict[str, Any]]:
        """One plain row a class: class, n, precision, recall, f1; None for what is not defined."""
        columns = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        return [
            {"class": name, "n": int(n), **{key: _plain(values[i]) for key, values in columns.items()}}
            for i, (name, n) in enumerate(zip(classes, self.actual, strict=True))
        ]


@dataclass(frozen=True)
class Figures:
    """How well predictions agree with the truth on `n` images.

    `accuracy_low` and `accuracy_high` are a 95 % interval; `intervals` holds those of the other figures by name.
    `balanced_accuracy` and `macro_f1` are means over the classes that occur. `majority` is the accuracy of always
    giving the most frequent answer. With several labels an image `accuracy` is the share of images that have all
    labels right. None is what is not defined here, or asks for probabilities that a head does not give.

    `mistakes` (m, 3) int64: true class, the one named, how many images; empty with several labels an image.
    """

    n: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    majority: float
    counts: Counts
    mistakes: NDArray[np.int64]
    multilabel: bool
    intervals: Mapping[str, tuple[float, float]]
    balanced_accuracy: float | None = None
    macro_f1: float | None = None
    micro_f1: float | None = None
    log_loss: float | None = None
    roc_auc: float | None = None
    average_precision: float | None = None
    micro_average_precision: float | None = None
    calibration_error: float | None = None
    top_5_accuracy: float | None = None

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """(k, k) images, true classes in rows, named ones in columns; with several labels an image (t, 2, 2)."""
        counts = self.counts
        if self.multilabel:
            missed, false = counts.actual - counts.right, counts.named - counts.right
            cells = (self.n - counts.right - missed - false, false, missed, counts.right)
            return np.stack(cells, axis=1).reshape(-1, 2, 2)
        matrix = np.diag(counts.right)
        matrix[self.mistakes[:, 0], self.mistakes[:, 1]] = self.mistakes[:, 2]
        return matrix

    def to_dict(self) -> dict[str, Any]:
        """The figures and their intervals as plain numbers for JSON and tables, those by class left out."""
        flat: dict[str, Any] = {"n": self.n, **{name: getattr(self, name, None) for name in FIGURES}}
        for name, (low, high) in self.intervals.items():
            flat[f"{name}_low"], flat[f"{name}_high"] = low, high
        return flat


def evaluate_codes(
    true: Targets,
    predicted: Targets,
    classes: int,
    probabilities: NDArray[np.floating[Any]] | None = None,
    groups: NDArray[Any] | None = None,
) -> Figures:
    """Figures of predicted codes (n,) against true codes (n,), both 0 to classes - 1; or of indicators (n, classes).

    `probabilities` (n, classes); with several labels an image each by itself. `groups` (n,): rows of the same value
    belong together, so that whole groups are resampled; rows whose value is missing stand by themselves. Raises
    HeadError if n is 0 or a probability is not finite.
    """
    n = len(true)
    if n == 0:
        raise HeadError("there are no images to evaluate on.")
    if probabilities is not None:
        _refuse_non_finite(probabilities)
    clusters = Clusters.of(n, groups)
    if true.ndim == 2:
        yes, named = np.asarray(true) == 1, np.asarray(predicted) == 1
        hit, both = (yes == named).all(axis=1), yes & named
        counts = Counts(*(some.sum(axis=0) for some in (yes, named, both)))
        answers = np.unique(np.packbits(yes, axis=1), axis=0, return_counts=True)[1]
        mistakes = np.zeros((0, 3), np.int64)
        statistics = statistics_of_indicators(yes, named, probabilities, clusters)
    else:
        codes, said = np.asarray(true, np.intp), np.asarray(predicted, np.intp)
        hit = codes == said
        counts = Counts(*(np.bincount(some, minlength=classes) for some in (codes, said, codes[hit])))
        answers, mistakes = counts.actual, _mistakes(codes[~hit], said[~hit], classes)
        statistics = statistics_of_codes(codes, said, classes, probabilities, clusters)
    low, high = clusters.share_interval(hit)
    with few_threads(small=True):  # many small products
        figures, intervals = statistics.figures(), statistics.intervals()
    return Figures(
        n=n,
        accuracy=float(hit.mean()),
        accuracy_low=low,
        accuracy_high=high,
        majority=float(answers.max() / n),
        counts=counts,
        mistakes=mistakes,
        multilabel=true.ndim == 2,
        intervals=intervals,
        **figures,
    )


def _mistakes(true: NDArray[np.intp], named: NDArray[np.intp], classes: int) -> NDArray[np.int64]:
    """(m, 3) true class, named class and count, the most frequent first."""
    pairs, counts = np.unique(true * classes + named, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return np.stack([pairs[order] // classes, pairs[order] % classes, counts[order]], axis=1).astype(np.int64)


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> Float:
    ratio: Float = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return ratio


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _refuse_non_finite(probabilities: NDArray[Any]) -> None:
    sound = np.isfinite(probabilities).all(axis=1)
    if not sound.all():
        raise HeadError(
            f"the head gives scores that are no numbers (NaN or infinity) for "
            f"{counted(int((~sound).sum()), 'image')} of {len(sound):,}, first in row {int((~sound).argmax())}. "
            "Train it again, with a lower learning rate or more regularization."
        )
