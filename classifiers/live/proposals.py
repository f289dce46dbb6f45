"""Which images a label would help most: those that stand for many others that the labels so far say little about."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from classifiers.live.result import LiveResult
from classifiers.splits import Rows

_CANDIDATES = 1000  # the least sure images, of which those that stand for most are taken
_MANY = 20_000  # images whose doubt is looked at; of more, as many at random

Floats = NDArray[np.float32]


def proposals(
    vectors: Floats,
    codes: Rows,
    result: LiveResult | None,
    count: int,
    code: int | None = None,
    seed: int = 0,
) -> Rows:
    """At most `count` of the images that have no label, by codes (n,) and vectors (n, d), the most helpful first.

    With a result, an image's doubt is how close its two likeliest classes are ("margin", Scheffer et al. 2001). Of the
    1,000 with most of it, each next one is that whose label would take most doubt from the others around it: the less
    the farther they are, and nothing that a label took before ("uncertainty herding", Bae et al. 2025). With the
    `code` of a class, times how likely it is of the class. Without a result all are in doubt alike, so that typical
    images of many kinds come first ("MaxHerding", Bae et al. 2024), of 1,000 at random.
    """
    rows = _some(np.flatnonzero(codes < 0), _CANDIDATES if result is None else _MANY, seed)
    if not len(rows):
        return rows
    doubt, wanted = _doubt_and_wanted(result, rows, code)
    order = np.argsort(-doubt * wanted, kind="stable")[:_CANDIDATES]
    rows, doubt, wanted = rows[order], doubt[order], wanted[order]
    known = _some(np.flatnonzero(codes >= 0), _CANDIDATES, seed)
    near, covered = _nearness(vectors[rows], vectors[known])
    return rows[_herded(near, covered, doubt, wanted, min(count, len(rows)))]


def _herded(near: Floats, covered: Floats, doubt: Floats, wanted: Floats, count: int) -> list[int]:
    """The greedy choice: its numbers in order."""
    taken: list[int] = []
    free = np.ones(len(doubt), bool)
    while len(taken) < count:
        worth = wanted * (np.maximum(near - covered, 0) @ doubt)
        best = int(np.where(free, worth, -1).argmax())
        taken.append(best)
        free[best] = False
        covered = np.maximum(covered, near[best])
    return taken


def _nearness(vectors: Floats, known: Floats) -> tuple[Floats, Floats]:
    """Of images to one another (m, m), and to the nearest known one (m,): 1 at the same place, falling to 0.

    By the cosine around their mean: around zero, features without negative values are all alike. It falls by e over
    the median distance to a known one, which shrinks as labels come (Bae et al. 2025); without any over a half, where
    two images are 1 apart on average.
    """
    middle = vectors.mean(axis=0)
    units = _units(vectors - middle)
    alike = units @ units.T
    known_alike = (units @ _units(known - middle).T).max(axis=1, initial=-np.inf)
    reach = max(1 - float(np.median(known_alike)), 1e-6) if len(known) else 0.5
    return _falling(alike, reach), _falling(known_alike, reach)


def _falling(alike: Floats, reach: float) -> Floats:
    return np.exp((np.minimum(alike, 1) - 1) / np.float32(reach))


def _doubt_and_wanted(result: LiveResult | None, rows: Rows, code: int | None) -> tuple[Floats, Floats]:
    """Of each row its doubt, 0 to 1, and how likely it is of the class that is asked for; 1 where nothing is known."""
    ones = np.ones(len(rows), np.float32)
    if result is None:
        return ones, ones
    chances = result.probabilities[rows]
    top = np.partition(chances, -2, axis=1)[:, -2:]
    return 1 - (top[:, 1] - top[:, 0]), ones if code is None else chances[:, code]


def _some(rows: Rows, most: int, seed: int) -> Rows:
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def _units(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
