"""Held-out pictures: what was said, and what is true."""

from __future__ import annotations

from typing import Any

import numpy as np

from classifiers.labels import class_names
from classifiers.report.shown import Shown
from classifiers.results import Result

_GRID = 24
_MISTAKES = 16  # of them at most; the rest is left for right ones
_NONE = "none"


def gallery(result: Result, shown: Shown, most: int) -> list[dict[str, Any]]:
    """The most confident mistakes first, then right ones spread over the test rows."""
    size = min(_GRID, most)
    labels, scores = result.labels, result.confidence
    mistakes, right = np.flatnonzero(~result.right), np.flatnonzero(result.right)
    if scores is not None:
        mistakes = mistakes[np.argsort(-scores[mistakes], kind="stable")]
    mistakes = mistakes[: max(size * _MISTAKES // _GRID, size - len(right))]
    spread = np.linspace(0, len(right) - 1, min(size - len(mistakes), len(right))).astype(int)
    chosen = np.concatenate([mistakes, right[spread]])
    truth, said = (
        class_names(labels.classes, codes[chosen], f"{labels.separator} ")
        for codes in (labels.codes[result.test], result.predicted)
    )
    cells = []
    for i, true, predicted in zip(chosen, truth, said, strict=True):
        cell: dict[str, Any] = {**shown.cell(int(result.test[i]), true or _NONE)}
        cell |= {"right": bool(result.right[i]), "true": true or _NONE, "predicted": predicted or _NONE}
        cell["score"] = None if scores is None else float(scores[i])
        cells.append(cell)
    return cells
