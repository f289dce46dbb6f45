"""Figures as functions of how often each row counts: once each for the figure, resampled for its interval."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from classifiers.intervals import Clusters, Float
from classifiers.ranking import average_precision, roc_auc

BINS = 15  # of the calibration error; Guo et al. 2017, "On calibration of modern neural networks"
TOP = 5
_FEW_CLASSES = 256  # a dense matrix product is quicker up to about here
_SMALLEST = float(np.finfo(np.float64).eps)  # of a probability in the log-loss, as in scikit-learn


Columns: TypeAlias = Any  # an array, or a sparse one of SciPy, which has no types


@dataclass(frozen=True)
class Ranking:
    """(count, c) sums by class of the positive rows' values and of the positive rows; (count,) sums of the rest."""

    values: Columns
    positive: Columns
    rest: Float


@dataclass(frozen=True)
class Statistics:
    """What the rows of each cluster add up to.

    `actual`, `named`, `right`: (count, k) rows of each class, rows named so, and both. `means`: by name, (count,)
    sums of what is averaged over rows. `calibration`: (count, bins) sums of right minus confidence, for each of
    `per_row` decisions a row.
    """

    clusters: Clusters
    actual: Columns
    named: Columns
    right: Columns
    multilabel: bool
    means: dict[str, Float] = field(default_factory=dict)
    rankings: dict[str, Ranking] = field(default_factory=dict)
    calibration: Float | None = None
    per_row: int = 1

    def figures(self) -> dict[str, float]:
        """The figures by name; those that are not defined are left out."""
        found = self(np.ones((self.clusters.count, 1)))
        return {name: float(values[0]) for name, values in found.items() if np.isfinite(values[0])}

    def intervals(self) -> dict[str, tuple[float, float]]:
        """95 % intervals by name, each widened to hold its figure if need be."""
        figures, found = self.figures(), self.clusters.bootstrap(self)
        return {
            name: (min(low, figures[name]), max(high, figures[name]))
            for name, (low, high) in found.items()
            if name in figures
        }

    def __call__(self, weights: NDArray[Any]) -> dict[str, Float]:
        """(b,) values by name for weights (count, b) of the clusters; NaN where a value is not defined."""
        rows = _sums(self.clusters.sizes, weights)
        found = self._of_counts(weights, rows)
        for name, means in self.means.items():
            found[name] = _sums(means, weights) / rows
        for name, one in self.rankings.items():
            values, positive = _sums(one.values, weights), _sums(one.positive, weights)
            found[name] = np.clip(_mean(values, positive, positive > 0) + _sums(one.rest, weights), 0.0, 1.0)
        if self.calibration is not None:
            gaps = np.abs(_sums(self.calibration, weights)).sum(axis=0)
            found["calibration_error"] = gaps / (rows * self.per_row)
        return found

    def _of_counts(self, weights: NDArray[Any], rows: Float) -> dict[str, Float]:
        actual, named, right = (_sums(one, weights) for one in (self.actual, self.named, self.right))
        occurs = actual > 0
        f1 = _mean(2 * right, actual + named, occurs)
        if not self.multilabel:
            return {"balanced_accuracy": _mean(right, actual, occurs), "macro_f1": f1}
        absent = rows - actual
        found, whole = np.concatenate([right, absent - named + right]), np.concatenate([actual, absent])
        everything = (actual + named).sum(axis=0, keepdims=True)
        return {
            "balanced_accuracy": _mean(found, whole, whole > 0),
            "macro_f1": f1,
            "micro_f1": _mean(2 * right.sum(axis=0, keepdims=True), everything, everything > 0),
        }


def statistics_of_codes(
    true: NDArray[np.intp],
    predicted: NDArray[np.intp],
    k: int,
    probabilities: NDArray[Any] | None,
    clusters: Clusters,
) -> Statistics:
    """The statistics of predicted codes (n,), with probabilities (n, k) or none."""
    hit = true == predicted
    kept = np.flatnonzero(np.bincount(true, minlength=k))  # what never occurs is in no mean over classes
    place = np.full(k, len(kept))
    place[kept] = np.arange(len(kept))
    actual = _by_class(clusters, place[true], len(kept))
    named = _by_class(clusters, place[predicted], len(kept))
    right = _by_class(clusters, np.where(hit, place[true], len(kept)), len(kept))
    if probabilities is None:
        return Statistics(clusters, actual, named, right, False)
    rows = np.arange(len(true))
    means = {"log_loss": clusters.sums(-_log(probabilities[rows, true]))}
    if k > TOP:
        means[f"top_{TOP}_accuracy"] = clusters.sums(_in_top(probabilities, true))
    return Statistics(
        clusters,
        actual,
        named,
        right,
        False,
        means,
        _one_against_rest(clusters, probabilities, place[true], kept),
        _calibration(clusters, probabilities[rows, predicted][:, None], hit[:, None]),
    )


def statistics_of_indicators(
    true: NDArray[np.bool_],
    predicted: NDArray[np.bool_],
    probabilities: NDArray[Any] | None,
    clusters: Clusters,
) -> Statistics:
    """The statistics of predicted indicators (n, t), with probabilities (n, t) or none."""
    actual, named, right = (clusters.sums(some) for some in (true, predicted, true & predicted))
    if probabilities is None:
        return Statistics(clusters, actual, named, right, True)
    shares = np.where(true, probabilities, 1 - probabilities)
    return Statistics(
        clusters,
        actual,
        named,
        right,
        True,
        {"log_loss": clusters.sums(-_log(shares).mean(axis=1))},
        _rankings_of_labels(clusters, probabilities, true),
        _calibration(clusters, probabilities, true),
        true.shape[1],
    )


def _one_against_rest(
    clusters: Clusters, probabilities: NDArray[Any], place: NDArray[np.intp], kept: NDArray[np.intp]
) -> dict[str, Ranking]:
    """ROC-AUC of each class that occurs against the rest; of two classes that of the second."""
    if len(kept) < 2:
        return {}
    codes = kept[1:] if probabilities.shape[1] == 2 else kept
    values, rest = np.zeros(len(place)), np.zeros(len(place))
    for code in codes:
        positive = kept[place] == code
        one = roc_auc(probabilities[:, code], positive)
        if one is not None:  # all have positive and negative rows
            values += one.values
            rest += one.rest
    columns = place + len(codes) - len(kept)
    positive_sums = _by_class(clusters, columns, len(codes))
    value_sums = _by_class(clusters, columns, len(codes), values)
    return {"roc_auc": Ranking(value_sums, positive_sums, clusters.sums(rest / len(codes)))}


def _rankings_of_labels(
    clusters: Clusters, probabilities: NDArray[Any], true: NDArray[np.bool_]
) -> dict[str, Ranking]:
    """ROC-AUC and average precision of each label by itself, and average precision of all decisions together."""
    found: dict[str, Ranking] = {}
    for name, figure in (("roc_auc", roc_auc), ("average_precision", average_precision)):
        each = [figure(probabilities[:, j], true[:, j]) for j in range(true.shape[1])]
        labels = [j for j, one in enumerate(each) if one is not None]
        ranked = [one for one in each if one is not None]
        if ranked:
            values = clusters.sums(np.stack([one.values for one in ranked], axis=1))
            rest = clusters.sums(np.mean([one.rest for one in ranked], axis=0))
            found[name] = Ranking(values, clusters.sums(true[:, labels]), rest)
    flat = average_precision(probabilities.ravel(), true.ravel())
    if flat is not None:
        values, rest = (
            clusters.sums(one.reshape(true.shape).sum(axis=1)) for one in (flat.values, flat.rest)
        )
        positive = clusters.sums(true.sum(axis=1))
        found["micro_average_precision"] = Ranking(values[:, None], positive[:, None], rest)
    return found


def _sums(columns: Columns, weights: NDArray[Any]) -> Float:
    """(c, b) sums of columns (count, c), or (b,) of one (count,), with weights (count, b)."""
    sums: Float = columns.astype(weights.dtype).T @ weights
    return sums


def _mean(part: Float, whole: Float, defined: NDArray[np.bool_]) -> Float:
    """(b,) means of part / whole (c, b) over what is defined; NaN where nothing is."""
    shares = np.divide(part, whole, out=np.zeros_like(part), where=defined)
    counts = defined.sum(axis=0)
    means: Float = np.divide(shares.sum(axis=0), counts, out=np.full(part.shape[1], np.nan), where=counts > 0)
    return means


def _by_class(
    clusters: Clusters, codes: NDArray[np.intp], k: int, values: NDArray[Any] | None = None
) -> Columns:
    """(count, k) how many rows, or the sum of their values, of each class from 0 to k - 1; other codes are left out."""
    rows = np.flatnonzero((codes >= 0) & (codes < k))
    entries = np.ones(len(rows)) if values is None else values[rows]
    matrix = csr_array((entries, (clusters.of_row[rows], codes[rows])), shape=(clusters.count, k))
    return matrix.toarray() if k <= _FEW_CLASSES else matrix


def _log(probabilities: NDArray[Any]) -> Float:
    logs: Float = np.log(np.clip(probabilities.astype(np.float64), _SMALLEST, 1.0))
    return logs


def _in_top(probabilities: NDArray[Any], true: NDArray[np.intp]) -> Float:
    """1.0 where the true class is among the most probable ones; of equals those of the lower code come first."""
    own = probabilities[np.arange(len(true)), true][:, None]
    before = np.arange(probabilities.shape[1]) < true[:, None]
    above = (probabilities > own).sum(axis=1) + ((probabilities == own) & before).sum(axis=1)
    return np.asarray(above < TOP, np.float64)


def _calibration(clusters: Clusters, confidence: NDArray[Any], right: NDArray[np.bool_]) -> Float:
    """(count, bins) sums of right minus confidence over (n, decisions), in bins (i, i + 1] / 15 of confidence."""
    bins = np.clip(np.ceil(confidence * BINS).astype(np.intp) - 1, 0, BINS - 1)
    at = clusters.of_row[:, None] * BINS + bins
    sums = np.bincount(at.ravel(), (right - confidence).ravel(), clusters.count * BINS)
    return np.asarray(sums, np.float64).reshape(clusters.count, BINS)
