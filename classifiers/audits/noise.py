"""How high an accuracy can be, and which labels are likely wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from classifiers.audits.ground import Ground
from classifiers.audits.label_errors import label_errors
from classifiers.factorization import Factorization
from classifiers.leave_one_out import left_out
from classifiers.ridge import RidgeHead, solve_ridges
from classifiers.signs import Signs, batches
from classifiers.splits import Rows

_SHOWN = 200
_MOST_PROBABILITIES = 1 << 22  # at a time


@dataclass(frozen=True)
class Noise:
    """`nearest_accuracy`: how often an image has the label of its nearest other one; `ceiling`: the bound on any
    classifier's accuracy that follows, if there were images without end (Cover & Hart 1967, IEEE Trans. Inf. Theory
    13, 21), but at least what the best head reaches.

    `errors` (e,): rows of likely label errors, the likeliest first, at most 200; `suggested` (e,) codes; `margin` (e,):
    probability of the suggested class minus that of the given one. `count`: how many there are estimated to be.
    """

    nearest_accuracy: float
    ceiling: float
    errors: NDArray[np.intp]
    suggested: NDArray[np.intp]
    margin: NDArray[np.float64]
    count: int


def noises(
    ground: Ground, nearest: Rows, schemes: Sequence[NDArray[np.intp]], reached: Sequence[float]
) -> Iterator[Noise]:
    """The noise of each scheme, given its codes (n,) of the ground's rows and the accuracy of its best head.

    nearest (n,): the nearest other row of each.
    """
    if not schemes:
        return
    factor = ground.factorization(np.arange(len(ground.rows)))
    widths = [int(codes.max()) + 1 for codes in schemes]
    for batch in batches(widths, len(ground.rows), _MOST_PROBABILITIES):
        dense = [np.unique(codes, return_inverse=True) for codes in schemes[batch]]
        found = _left_out(factor, [codes for _, codes in dense])
        for (classes, codes), probabilities, best in zip(dense, found, reached[batch], strict=True):
            share = float((codes[nearest] == codes).mean())
            errors = label_errors(probabilities, codes)
            yield Noise(
                share,
                max(best, _ceiling(share, len(classes))),
                ground.rows[errors.rows[:_SHOWN]],
                classes[errors.suggested[:_SHOWN]],
                errors.margin[:_SHOWN],
                errors.count,
            )


def _ceiling(nearest: float, classes: int) -> float:
    """1 - R, with R the least error that has 1 - nearest = R (2 - R c / (c - 1)) or less."""
    most = 1 - 1 / classes
    return 1 - most * (1 - math.sqrt(max(0.0, 1 - (1 - nearest) / most)))


def _left_out(factor: Factorization, schemes: Sequence[Rows]) -> list[NDArray[np.float32]]:
    """For each scheme the probabilities (n, k) that a ridge gives each row where it is left out."""
    heads = [RidgeHead() for _ in schemes]
    for head, codes in zip(heads, schemes, strict=True):
        head.learn_labels(codes, factor.X)
    solve_ridges(factor, heads, schemes)
    targets = Signs.of(schemes, [len(head.classes_) for head in heads])
    means, columns = factor.means(targets), targets.slices()
    strengths = targets.repeated([head.alpha_ for head in heads])
    projected, rows = factor.project(targets, means), np.arange(len(factor.X))
    blocks = list(left_out(factor, targets, means, projected, strengths, rows))
    scores = np.concatenate([block.astype(np.float32) for block in blocks])
    return [_probabilities(scores[:, c], head.temperature_) for head, c in zip(heads, columns, strict=True)]


def _probabilities(scores: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    both = np.concatenate([np.zeros_like(scores), scores], axis=1) if scores.shape[1] == 1 else scores
    return np.asarray(softmax(both * np.float32(temperature), axis=1))
