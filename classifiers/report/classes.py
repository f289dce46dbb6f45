"""The classes of a scheme: how many images, how well each is found, what they look like, what they are taken for."""

from __future__ import annotations

from typing import Any

import numpy as np

from classifiers.evaluation import Counts
from classifiers.intervals import wilson_interval
from classifiers.report.shown import Shown
from classifiers.results import Result

LONGEST_LIST = 60  # classes listed a scheme
_WIDEST_MATRIX = 20  # classes; beyond that a list of the most frequent confusions says more
_LONGEST_MISTAKES = 15
_SHADES = 10

Share = dict[str, float | None]


def class_rows(result: Result, shown: Shown, samples: int) -> list[dict[str, Any]]:
    """The classes with their counts, figures and a few pictures, spread over the images of the class."""
    labels, counts = result.labels, result.figures.counts
    each = int(np.clip(samples // max(1, len(labels.classes)), 1, 6))
    rows = []
    for code, name in enumerate(labels.classes[:LONGEST_LIST]):
        of_class = labels.codes[:, code] == 1 if labels.multilabel else labels.codes == code
        members = np.flatnonzero(of_class)
        chosen = members[np.linspace(0, len(members) - 1, min(each, len(members))).astype(int)]
        row = {"name": name, "n_train": int(of_class[result.train].sum()), "n_test": int(counts.actual[code])}
        row |= class_figures(counts, code)
        row["samples"] = [shown.cell(int(i), name) for i in chosen] if code < samples else []
        rows.append(row)
    return rows


def class_figures(counts: Counts, code: int) -> dict[str, Share]:
    """Recall, precision and F1 of a class, each with Wilson's 95 % interval, images taken as independent.

    F1 is 2 J / (1 + J) of J, the share of the images that are of the class or named so which are both; its ends
    are those of J.
    """
    right, actual, named = (int(one[code]) for one in (counts.right, counts.actual, counts.named))
    overlap = _share(right, actual + named - right)
    return {
        "recall": _share(right, actual),
        "precision": _share(right, named),
        "f1": {end: None if value is None else 2 * value / (1 + value) for end, value in overlap.items()},
    }


def matrix(result: Result) -> list[list[dict[str, int]]] | None:
    """The cells of the confusion matrix, with their share of the row in tenths for the shading; None if too wide."""
    if result.labels.multilabel or len(result.labels.classes) > _WIDEST_MATRIX:
        return None
    confusion = result.figures.confusion
    totals = np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    shades = np.ceil(confusion / totals * _SHADES).astype(int)
    return [
        [{"count": count, "shade": shade} for count, shade in zip(*row, strict=True)]
        for row in zip(confusion.tolist(), shades.tolist(), strict=True)
    ]


def confusions(result: Result) -> list[dict[str, Any]]:
    """The most frequent mistakes."""
    names = result.labels.classes
    return [
        {"true": names[i], "predicted": names[j], "count": count}
        for i, j, count in result.figures.mistakes[:_LONGEST_MISTAKES].tolist()
    ]


def _share(part: int, whole: int) -> Share:
    if not whole:
        return {"value": None, "low": None, "high": None}
    low, high = wilson_interval(part, whole)
    return {"value": part / whole, "low": low, "high": high}
