"""What other groupings of the classes would come to, and which schemes say most."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from classifiers.regrouping import Point, front, merge_path, merges
from classifiers.report.charts import Axis, Chart, Series, line, room, x_axis, y_axis
from classifiers.report.formats import percent
from classifiers.results import Result

_MOST_MERGES = 6
_LONGEST_PATH = 20  # classes
_MOST_NAMED = 8


def merge_rows(result: Result) -> list[dict[str, Any]]:
    """The single merges that gain most: two classes, accuracy after it, its gain with interval, bits left."""
    names = result.labels.classes
    if result.labels.multilabel or len(names) < 3:
        return []
    return [
        {"classes": [names[i] for i in one.classes], "accuracy": one.accuracy, "gain": one.gain}
        | {"low": one.low, "high": one.high, "entropy": one.entropy}
        for one in merges(result, _MOST_MERGES)
    ]


def path_rows(result: Result) -> list[dict[str, Any]]:
    """Merges one after the other: how many classes are left, which were put together, the accuracy."""
    names = result.labels.classes
    if result.labels.multilabel or not 3 < len(names) <= _LONGEST_PATH:
        return []
    path = merge_path(result)
    return [
        {
            "left": path.leaves - 1 - i,
            "together": [names[member] for member in path.members(path.leaves + i)],
            "accuracy": step.accuracy,
            "entropy": step.entropy,
        }
        for i, step in enumerate(path.steps)
    ]


def schemes_chart(results: Sequence[Result]) -> Chart | None:
    """Accuracy against label entropy, a point a scheme; None for a single one."""
    if len(results) < 2:
        return None
    points = front(results)
    best = sorted((one for one in points if one.on_front), key=lambda one: one.entropy)
    x = x_axis("what the label says, bits", 0, max(1.0, 1.08 * max(one.entropy for one in points)))
    y = y_axis("accuracy", *room([one.accuracy for one in points]), percent=True)
    dots = [_dots([one for one in points if one.on_front is here], x, y) for here in (True, False)]
    named = best[:: -(-len(best) // _MOST_NAMED)] if best else []
    return Chart(
        title="Accuracy against what the label says",
        about="Each point is a scheme with its best head. To the right the label says more (entropy), upwards it is "
        "easier. On the line no other scheme says as much and is as accurate.",
        x=x,
        y=y,
        series=(
            Series(
                "on the front",
                0,
                _steps(best, x, y),
                dots=dots[0],
            ),
            Series("other schemes", 6, dots=dots[1]),
        ),
        columns=("scheme", "head", "classes", "entropy, bits", "accuracy", "on the front"),
        rows=tuple(_told(one) for one in sorted(points, key=lambda one: -one.entropy)),
        names=tuple(_name(one, x, y) for one in named),
    )


def _dots(points: Sequence[Point], x: Axis, y: Axis) -> tuple[tuple[float, float, str], ...]:
    return tuple(
        (
            float(x(one.entropy)),
            float(y(one.accuracy)),
            f"{one.scheme}: {percent(one.accuracy)}, {one.entropy:.2f} bits",
        )
        for one in points
    )


def _steps(best: Sequence[Point], x: Axis, y: Axis) -> str:
    """The front from the left: each accuracy holds as far as its scheme's entropy."""
    ends, levels = [x.low, *(one.entropy for one in best)], [one.accuracy for one in best]
    across = [end for pair in pairwise(ends) for end in pair]
    return line(x(across), y([level for level in levels for _ in range(2)]))


def _name(point: Point, x: Axis, y: Axis) -> tuple[float, float, str, str]:
    """A name beside its point, on the side where there is more room."""
    here = float(x(point.entropy))
    left = here > (x.start + x.end) / 2
    return here + (-2 if left else 6), float(y(point.accuracy)) - 8, "end" if left else "start", point.scheme


def _told(point: Point) -> tuple[str, ...]:
    front = "yes" if point.on_front else ""
    return (
        point.scheme,
        point.head,
        str(point.classes),
        f"{point.entropy:.2f}",
        percent(point.accuracy),
        front,
    )
