"""Which images a label would help most: those that the labels so far say least about, and unlike one another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from classifiers.live.result import LiveResult
from classifiers.splits import Rows

_CANDIDATES = 2000  # the least sure images, of which some unlike one another are taken
_MANY = 20_000  # images that are looked at; of more, as many at random


def proposals(
    vectors: NDArray[np.float32],
    codes: Rows,
    result: LiveResult | None,
    count: int,
    code: int | None = None,
    seed: int = 0,
) -> Rows:
    """At most `count` of the images that have no label, by codes (n,) and vectors (n, d), the most helpful first.

    With a result: the least sure by the gap between the two likeliest classes ("margin", Scheffer et al. 2001); with
    the `code` of a class, the likeliest of that class that are not sure. Among the 2,000 first of these, each next
    one is the farthest from those before it and from those that are labelled, times its doubt (k-center greedy, Sener
    & Savarese 2018). Without a result only distance counts, from an image in the middle on.
    """
    rows = _some(np.flatnonzero(codes < 0), _MANY, seed)
    if not len(rows):
        return rows
    doubt = np.ones(len(rows)) if result is None else _doubt(result, rows, code)
    order = np.argsort(-doubt, kind="stable")[:_CANDIDATES] if result is not None else np.arange(len(rows))
    rows, doubt = rows[order], doubt[order]
    units = _units(vectors[rows])
    far = np.full(len(rows), 2.0)
    for known in np.array_split(_some(np.flatnonzero(codes >= 0), _CANDIDATES, seed), 8):
        if len(known):
            far = np.minimum(far, 1 - (units @ _units(vectors[known]).T).max(axis=1))
    taken: list[int] = []
    free = np.ones(len(rows), bool)
    for number in range(min(count, len(rows))):
        worth = np.maximum(far, 1e-9) * (doubt + 1e-9)
        if not number and (codes < 0).all():
            worth = 2 + units @ units.mean(axis=0)  # begin with what most others are like
        best = int(np.where(free, worth, -1).argmax())
        taken.append(best)
        free[best] = False
        far = np.minimum(far, 1 - units @ units[best])
    return rows[taken]


def _doubt(result: LiveResult, rows: Rows, code: int | None) -> NDArray[np.float64]:
    chances = result.probabilities[rows].astype(np.float64)
    top = np.partition(chances, -2, axis=1)[:, -2:]
    margin = 1 - (top[:, 1] - top[:, 0])
    return np.asarray(margin if code is None else chances[:, code] * (margin + 0.05))


def _some(rows: Rows, most: int, seed: int) -> Rows:
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def _units(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
