"""Figures of rankings: means over the positive rows of how well each is placed, and what the other rows do to them.

`rest` is the derivative of such a figure by each row's weight beyond the row's part in the mean. A figure of
resampled rows is, to first order, the mean of the values of the positive rows drawn plus the `rest` of all rows
drawn: for ROC-AUC that is DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44, 837.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Ranked:
    """`values` (n,) of the positive rows, 0 for the others, whose mean is the figure, and `rest` (n,), 0 in sum."""

    values: Float
    rest: Float


def roc_auc(scores: NDArray[Any], positive: NDArray[np.bool_]) -> Ranked | None:
    """The area under the ROC curve of scores (n,); None if all rows are of one kind.

    It is the share of pairs of a positive and a negative row in which the positive one has the higher score, ties
    counting half (Hanley and McNeil 1982, Radiology 143, 29).
    """
    above, below = scores[positive], scores[~positive]
    high, low = np.sort(above), np.sort(below)
    if not len(high) or not len(low):
        return None
    values, rest = np.zeros(len(scores)), np.zeros(len(scores))
    values[positive] = _share_below(low, above)
    won = 1 - _share_below(high, below)
    rest[~positive] = (won - won.mean()) / len(low)
    return Ranked(values, rest)


def average_precision(scores: NDArray[Any], positive: NDArray[np.bool_]) -> Ranked | None:
    """The mean, over the positive rows, of the precision among all rows with at least their score.

    That is the sum of precision × added recall over all thresholds (Zhu 2004, "Recall, precision and average
    precision"), as scikit-learn's, of scores (n,). None if no row is positive.
    """
    everything, high = np.sort(scores), np.sort(scores[positive])
    if not len(high):
        return None
    named = len(scores) - np.searchsorted(everything, high, "left")
    precision = (len(high) - np.searchsorted(high, high, "left")) / named
    # A row is among those named at each positive row whose score is not above its own.
    at_most = np.searchsorted(high, scores, "right")
    shares, lost = (np.concatenate([[0.0], np.cumsum(each)]) for each in (1 / named, precision / named))
    values = np.zeros(len(scores))
    values[positive] = precision[at_most[positive] - 1]
    return Ranked(values, (positive * shares[at_most] - lost[at_most]) / len(high))


def _share_below(others: NDArray[Any], scores: NDArray[Any]) -> Float:
    """For each score, the share of the sorted `others` below it, ties counting half."""
    both = np.searchsorted(others, scores, "left") + np.searchsorted(others, scores, "right")
    share: Float = both / (2 * len(others))
    return share
