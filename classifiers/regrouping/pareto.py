"""Accuracy against how much the label says: which schemes, and which merges of them, are worth looking at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from classifiers.regrouping.entropy import label_entropy
from classifiers.regrouping.merges import MergePath
from classifiers.results import Result


@dataclass(frozen=True)
class Point:
    """One scheme by one head on one space, or one step of the merges of it.

    classes: how many; merged: of how many classes of the scheme these are groups, None for the scheme itself.
    entropy: of the labels, in bits. on_front: whether no other point has as much of both, and more of one.
    """

    scheme: str
    head: str
    space: str
    classes: int
    merged: int | None
    entropy: float
    accuracy: float
    on_front: bool

    def to_dict(self) -> dict[str, object]:
        """The fields as plain values."""
        return asdict(self)


def front(results: Sequence[Result], paths: Mapping[int, MergePath] | None = None) -> list[Point]:
    """A point a result, and one for each step of the paths, by the number of the result that they start from.

    In the order of results, steps after theirs. The front is that of all points together.
    """
    rows: list[tuple[Result, int, int | None, float, float]] = []
    for number, result in enumerate(results):
        leaves = len(result.labels.classes)
        rows.append((result, leaves, None, label_entropy(result.labels.codes), result.figures.accuracy))
        path = (paths or {}).get(number)
        for left, step in enumerate(path.steps if path else (), 1):
            rows.append((result, leaves - left, leaves, step.entropy, step.accuracy))
    best = on_front([row[3] for row in rows], [row[4] for row in rows])
    return [
        Point(result.scheme, result.head, result.space, classes, merged, bits, accuracy, bool(best[i]))
        for i, (result, classes, merged, bits, accuracy) in enumerate(rows)
    ]


def on_front(first: ArrayLike, second: ArrayLike) -> NDArray[np.bool_]:
    """Which of n points (first, second), both the more the better, no other point is better than: (n,)."""
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    order = np.lexsort([-b, -a])
    best = np.zeros(len(a), bool)
    highest = -np.inf
    for place, i in enumerate(order):
        equal = place > 0 and a[i] == a[order[place - 1]] and b[i] == b[order[place - 1]]
        best[i] = best[order[place - 1]] if equal else b[i] > highest
        highest = max(highest, b[i])
    return best
