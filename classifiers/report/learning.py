"""Learning curves: over the epochs of a dense head, and over the number of labelled images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from classifiers.report.charts import Axis, Chart, Float, Series, band, line, room, x_axis, y_axis
from classifiers.report.formats import count, percent, span

if TYPE_CHECKING:
    from classifiers.curves import FewShot

_TARGETS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99, 0.995)
_FURTHER = 4  # times as many images as were tried: how far a law is drawn
_MOST_ROWS = 30
_MOST_CURVES = 4


def epochs(history: Mapping[str, Sequence[float]], head: str) -> list[Chart]:
    """Loss and accuracy by epoch, in training and in validation where there was one."""
    charts = [_by_epoch(history, "loss", "Loss by epoch", head, share=False)]
    if "accuracy" in history:
        charts.append(_by_epoch(history, "accuracy", "Accuracy by epoch", head, share=True))
    return charts


def _by_epoch(history: Mapping[str, Sequence[float]], name: str, title: str, head: str, share: bool) -> Chart:
    lines = {
        said: np.asarray(history[key], np.float64)
        for said, key in (("training", name), ("validation", f"val_{name}"))
        if key in history
    }
    number = len(lines["training"])
    steps = np.arange(1, number + 1)
    most = 1.0 if share else np.inf
    x = x_axis("epoch", 1, max(2, number))
    y = y_axis(name, *room(np.concatenate(list(lines.values())), 0.0, most), percent=share)
    series = [
        Series(
            said, colour, line(x(steps), y(values)), dots=_marks(x(steps), y(values)) if number < 3 else ()
        )
        for colour, (said, values) in enumerate(lines.items())
    ]
    chosen = np.unique(np.linspace(0, number - 1, min(number, _MOST_ROWS)).astype(int))
    shown = percent if share else "{:.4g}".format
    return Chart(
        title=title,
        about=f"{head}, in training, with its dropout if it has some."
        + (" In validation on images held out of the training." if "validation" in lines else ""),
        x=x,
        y=y,
        series=tuple(series),
        columns=("epoch", *lines),
        rows=tuple((str(i + 1), *(shown(float(values[i])) for values in lines.values())) for i in chosen),
    )


def _marks(x: Float, y: Float) -> tuple[tuple[float, float, str], ...]:
    return tuple((float(one), float(other), "") for one, other in zip(x, y, strict=True))


def few_shot(curves: Sequence[FewShot]) -> Chart | None:
    """Accuracy by the number of labelled images: the draws' mean and range, and the law that was fitted to them."""
    curves = [one for one in curves if len(one.sizes)][:_MOST_CURVES]
    if not curves:
        return None
    sizes = np.concatenate([one.sizes for one in curves])
    laws = any(one.law is not None for one in curves)
    x = x_axis(
        "labelled images", float(sizes.min()), float(sizes.max()) * (_FURTHER if laws else 1.2), log=True
    )
    y = y_axis("accuracy", *_heights(curves, x.high), percent=True)
    series = [part for i, one in enumerate(curves) for part in _series(one, i, x, y)]
    return Chart(
        title="How many labels?",
        about="Accuracy on the held-out images after training on this many, on average over random draws; bars from "
        "the worst to the best draw."
        + (" Dashed: a fitted power law, with its 95 % band." if laws else "")
        + "".join(filter(None, map(_needed, curves))),
        x=x,
        y=y,
        series=tuple(series),
        columns=("head", "images", "accuracy", "worst to best draw", "by the law"),
        rows=tuple(row for one in curves for row in _few_shot_rows(one)),
    )


def _needed(curve: FewShot) -> str | None:
    """What the next round accuracy would take; None without a law."""
    if curve.law is None:
        return None
    reached = float(curve.accuracy[-1].mean())
    target = next((one for one in _TARGETS if one > reached + 0.002), None)
    return None if target is None else f" {curve.head}: {curve.law.describe(target)}"


def _heights(curves: Sequence[FewShot], furthest: float) -> tuple[float, float]:
    values = [one.accuracy.ravel() for one in curves]
    values += [np.atleast_1d(one.law.at(furthest)) for one in curves if one.law is not None]
    return room(np.concatenate(values))


def _series(curve: FewShot, colour: int, x: Axis, y: Axis) -> list[Series]:
    mean, worst, best = curve.accuracy.mean(axis=1), curve.accuracy.min(axis=1), curve.accuracy.max(axis=1)
    places = x(curve.sizes)
    name = f"{curve.head} on {curve.space}"
    dots = tuple(
        (float(px), float(y(value)), f"{count(n)} images: {percent(value)}")
        for px, n, value in zip(places, curve.sizes, mean, strict=True)
    )
    bars = tuple(zip(places.tolist(), y(worst).tolist(), y(best).tolist(), strict=True))
    law = curve.law
    if law is None:
        return [Series(name, colour, line(places, y(mean)), dots=dots, bars=bars)]
    fine = np.geomspace(float(curve.sizes[0]), x.high, 60)
    fitted = line(x(fine), y(law.at(fine)))
    low, high = law.band(fine)
    around = band(x(fine), y(low), y(high))
    return [Series(name, colour, fitted, dashed="5 4", band=around, dots=dots, bars=bars)]


def _few_shot_rows(curve: FewShot) -> list[tuple[str, ...]]:
    law = None if curve.law is None else curve.law.at(curve.sizes)
    return [
        (
            curve.head,
            count(n),
            percent(draws.mean()),
            span(draws.min(), draws.max()),
            "" if law is None else percent(law[i]),
        )
        for i, (n, draws) in enumerate(zip(curve.sizes, curve.accuracy, strict=True))
    ]
