"""Two heads on the same images: is one better, or was it luck?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from classifiers.intervals import Clusters, Float
from classifiers.threads import few_threads

if TYPE_CHECKING:
    from classifiers.results import Result


@dataclass(frozen=True)
class Pair:
    """How the most accurate head of a scheme compares with another on the `n` images that both were tested on.

    `difference` is the accuracy of the first minus that of the second, `low` to `high` its 95 % interval by paired
    bootstrap; `only_first` and `only_second` count the images that only one has right. `p_value`: McNemar's test
    that such images are as often the one's as the other's. It takes images as independent and is not corrected for
    how many pairs are looked at.
    """

    scheme: str
    head: str
    space: str
    other_head: str
    other_space: str
    n: int
    difference: float
    low: float | None
    high: float | None
    only_first: int
    only_second: int
    p_value: float

    @property
    def level(self) -> bool:
        """Whether the difference may well be none: its interval holds 0, or there is no interval."""
        return self.low is None or self.high is None or self.low <= 0 <= self.high

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values."""
        return asdict(self)


def paired(results: Sequence[Result], groups: NDArray[Any] | None = None) -> tuple[Pair, ...]:
    """The most accurate result of each scheme (the first of equals) against each of the others.

    Of several numbers of training images the largest of each head and space stands for it. `groups` (all images,):
    images of the same value are resampled together.
    """
    schemes: dict[str, list[Result]] = {}
    for result in _largest(results):
        schemes.setdefault(result.scheme, []).append(result)
    pairs: list[Pair] = []
    for members in schemes.values():
        best = max(members, key=lambda one: one.figures.accuracy)
        pairs += [_pair(best, other, groups) for other in members if other is not best]
    return tuple(pairs)


def _largest(results: Sequence[Result]) -> list[Result]:
    """Of each scheme, head and space the result with the most training images."""
    found: dict[tuple[str, str, str], Result] = {}
    for one in results:
        key = (one.scheme, one.head, one.space)
        if key not in found or one.n_train > found[key].n_train:
            found[key] = one
    return list(found.values())


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p-value of McNemar's test (1947, Psychometrika 12, 153): binomial, whatever the counts."""
    from scipy.special import bdtr

    discordant = only_first + only_second
    return float(min(1.0, 2 * bdtr(min(only_first, only_second), discordant, 0.5))) if discordant else 1.0


def difference_interval(
    first: NDArray[np.bool_], second: NDArray[np.bool_], groups: NDArray[Any] | None = None
) -> tuple[float, float] | None:
    """The 95 % paired bootstrap interval of mean(first) - mean(second), both (n,); None for one image or group."""
    clusters = Clusters.of(len(first), groups)
    sums = clusters.sums(first.astype(np.float64) - second)

    # In the precision of the weights: whole numbers, so that nothing is rounded but in the largest sums.
    both = np.stack([sums, clusters.sizes]).astype(np.float32)

    def difference(weights: NDArray[np.float32]) -> dict[str, Float]:
        found, rows = both @ weights
        return {"difference": (found / rows).astype(np.float64)}

    with few_threads(True):
        return clusters.bootstrap(difference).get("difference")


def compared(
    first: NDArray[np.bool_], second: NDArray[np.bool_], groups: NDArray[Any] | None = None
) -> dict[str, Any]:
    """What a `Pair` says of two heads that are right on these of the same images, both (n,): its fields from `n` on.

    `groups` (n,): images of the same value are resampled together.
    """
    n = len(first)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    low, high = (difference_interval(first, second, groups) if n else None) or (None, None)
    return {
        "n": n,
        "difference": (only_first - only_second) / max(1, n),
        "low": low,
        "high": high,
        "only_first": only_first,
        "only_second": only_second,
        "p_value": mcnemar(only_first, only_second),
    }


def _pair(best: Result, other: Result, groups: NDArray[Any] | None) -> Pair:
    rows, here, there = np.intersect1d(best.test, other.test, assume_unique=True, return_indices=True)
    found = compared(best.right[here], other.right[there], None if groups is None else groups[rows])
    return Pair(best.scheme, best.head, best.space, other.head, other.space, **found)
