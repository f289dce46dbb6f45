"""Likely label errors, by confident learning.

Northcutt, Jiang & Chuang 2021, "Confident learning: estimating uncertainty in dataset labels", J. Artif. Intell. Res.
70, 1373: an image counts to a class if its probability of it is at least the mean of the images that are labelled so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifiers.splits import Rows


@dataclass(frozen=True)
class LabelErrors:
    """`rows` (e,), the likeliest first, the codes that are `suggested` (e,), and by what `margin` (e,) of probability.

    `count`: how many errors there are estimated to be, which may be more.
    """

    rows: Rows
    suggested: Rows
    margin: NDArray[np.float64]
    count: int


def label_errors(probabilities: NDArray[np.floating], codes: Rows) -> LabelErrors:
    """The likely errors among codes (n,), by probabilities (n, k) from heads that were not trained on the image.

    Of each kind of error, one class taken for another, as many are named as are estimated, those of the largest
    margin between the other class's probability and its own ("prune by noise rate"), where the other's is larger.
    Classes of a single image are left alone.
    """
    rows, k = probabilities.shape
    counts = np.bincount(codes, minlength=k)
    own = probabilities[np.arange(rows), codes]
    thresholds = np.where(counts > 1, np.bincount(codes, own, k) / np.maximum(counts, 1), np.inf)
    sure = np.where(probabilities >= thresholds, probabilities, -1.0)
    confident = np.where(sure.max(axis=1) >= 0, sure.argmax(axis=1), -1)
    known = (confident >= 0) & (counts[codes] > 1)
    kinds, joint = np.unique(codes[known] * k + confident[known], return_counts=True)
    given, other = np.divmod(kinds, k)
    sums = np.bincount(given, joint, k)
    estimated = joint * counts[given] / sums[given]  # scaled to all images of the class
    wrong = np.flatnonzero(given != other)
    margins = np.full(rows, 0.0)
    suggested = np.full(rows, -1)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(counts)
    for kind in wrong.tolist():
        members = order[ends[given[kind]] - counts[given[kind]] : ends[given[kind]]]
        margin = probabilities[members, other[kind]] - own[members]
        worst = np.argsort(-margin, kind="stable")[: round(float(estimated[kind]))]
        better = worst[margin[worst] > margins[members[worst]]]
        margins[members[better]], suggested[members[better]] = margin[better], other[kind]
    found = np.flatnonzero(suggested >= 0)
    found = found[np.argsort(-margins[found], kind="stable")]
    return LabelErrors(found, suggested[found], margins[found], round(float(estimated[wrong].sum())))
