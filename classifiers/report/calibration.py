"""Whether a head is as often right as it says: the reliability diagram."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from classifiers.intervals import wilson_interval
from classifiers.report.charts import Axis, Chart, Series, line, x_axis, y_axis
from classifiers.report.formats import count, percent, span
from classifiers.results import Result

_BINS = 10
_TALLEST = 46  # pixels of the histogram's tallest bar


def reliability(result: Result) -> Chart | None:
    """The share that is right by confidence, in ten bins, of all held-out decisions; None without probabilities."""
    decisions = _decisions(result)
    if decisions is None:
        return None
    confidence, right = decisions
    bins = np.clip((confidence * _BINS).astype(np.intp), 0, _BINS - 1)
    counts = np.bincount(bins, minlength=_BINS)
    hits = np.bincount(bins, right, _BINS)
    sums = np.bincount(bins, confidence, _BINS)
    used = np.flatnonzero(counts)
    mean, share = sums[used] / counts[used], hits[used] / counts[used]
    intervals = [wilson_interval(float(hits[i]), float(counts[i])) for i in used]
    x, y = x_axis("confidence", 0, 1, percent=True), y_axis("share right", 0, 1, percent=True)
    told = [
        (f"{i * 100 // _BINS} to {(i + 1) * 100 // _BINS}\u202f%", count(counts[i]), percent(m), percent(s))
        for i, m, s in zip(used, mean, share, strict=True)
    ]
    dots = [
        (float(x(m)), float(y(s)), f"said {row[2]}, right {row[3]}, of {row[1]}")
        for m, s, row in zip(mean, share, told, strict=True)
    ]
    bars = [
        (float(x(m)), float(y(low)), float(y(high))) for m, (low, high) in zip(mean, intervals, strict=True)
    ]
    return Chart(
        title="Calibration",
        about="How often the head is right, by how sure it says it is, with 95 % intervals. On the dashed diagonal "
        "it is as often right as it says; below it is too sure of itself. Grey columns: how many decisions.",
        x=x,
        y=y,
        series=(Series("share right", 0, line(x(mean), y(share)), dots=tuple(dots), bars=tuple(bars)),),
        columns=("confidence", "decisions", "said", "right", "95 % interval"),
        rows=tuple((*row, span(*ends)) for row, ends in zip(told, intervals, strict=True)),
        histogram=_histogram(counts, x, y),
        diagonal=True,
    )


def _decisions(result: Result) -> tuple[NDArray[np.float64], NDArray[np.bool_]] | None:
    """What was said with which confidence, and whether it was right: of several labels each by itself."""
    if not result.labels.multilabel:
        return None if result.confidence is None else (result.confidence, result.right)
    if result.probabilities is None:
        return None
    said, true = result.predicted == 1, result.labels.codes[result.test] == 1
    sure = np.where(said, result.probabilities, 1 - result.probabilities)
    return np.asarray(sure, np.float64).ravel(), (said == true).ravel()


def _histogram(counts: NDArray[np.intp], x: Axis, y: Axis) -> tuple[tuple[float, float, float, float], ...]:
    wide = (x.end - x.start) / _BINS
    tall = counts / counts.max() * _TALLEST
    return tuple(
        (
            round(x.start + i * wide + 1, 1),
            round(y.start - tall[i], 1),
            round(wide - 2, 1),
            round(float(tall[i]), 1),
        )
        for i in range(_BINS)
        if counts[i]
    )
