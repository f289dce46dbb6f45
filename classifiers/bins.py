"""Bins: numbers to classes that are named after their range, such as `10–100` and `≥ 100`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from classifiers.errors import SchemeError
from classifiers.suggestions import counted
from classifiers.values import Texts, as_text, given

Numbers = NDArray[np.float64]
MOST_BINS = 1000
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)


def normalized_edges(bins: Sequence[float | str], name: str) -> tuple[float, ...]:
    """The edges of bins as numbers. Raises SchemeError unless they are finite, ascending, and at least one."""
    if isinstance(bins, str) or not isinstance(bins, Sequence | np.ndarray) or not len(bins):
        raise SchemeError(f"scheme {name!r}: bins is a list of edges such as [0, 10, 100]; got {bins!r}.")
    if len(bins) > MOST_BINS:
        raise SchemeError(f"scheme {name!r}: bins has {len(bins):,} edges; {MOST_BINS:,} are allowed.")
    edges = [_number(str(edge)) for edge in bins]
    for edge, given_as in zip(edges, bins, strict=True):
        if math.isnan(edge):
            raise SchemeError(f"scheme {name!r}: the edge {given_as!r} of bins is no number.")
    for low, high in pairwise(edges):
        if low >= high:
            raise SchemeError(
                f"scheme {name!r}: the edges of bins must ascend, but {_shown(high)} comes after {_shown(low)}."
            )
    return tuple(edges)


def normalized_count(quantiles: int | str, name: str) -> int:
    """The number of quantiles. Raises SchemeError unless it is a whole number from 2."""
    count = int(quantiles) if re.fullmatch(r"\d{1,9}", str(quantiles), re.ASCII) else 0
    if not 2 <= count <= MOST_BINS:
        raise SchemeError(
            f"scheme {name!r}: quantiles is a whole number from 2 to {MOST_BINS:,}, such as 4; got {quantiles!r}."
        )
    return count


def as_numbers(texts: Texts, name: str, source: str, strict: bool) -> Numbers:
    """The number that each text is, NaN for None: (m,).

    Raises SchemeError, with an example, for a text that is no finite number; without `strict` it is NaN too.
    """
    known = {text: _number(text) for text in set(given(texts))}
    wrong = sorted(text for text, number in known.items() if math.isnan(number))
    if strict and wrong:
        count = sum(math.isnan(known[text]) for text in given(texts))
        raise SchemeError(
            f"scheme {name!r}: {counted(count, 'value')} of {source!r} {'is' if count == 1 else 'are'} no number, "
            f"such as {wrong[0]!r}. Leave them out with drop: [{', '.join(map(repr, wrong[:3]))}"
            f"{', …' if len(wrong) > 3 else ''}], or find the number in them with a regex."
        )
    return np.array([math.nan if text is None else known[text] for text in texts], np.float64)


def binned(numbers: Numbers, edges: Sequence[float]) -> Texts:
    """The name of the bin of each number, None for NaN: (m,) object. A bin holds its lower edge, not its upper one."""
    names = np.array([*bin_names(edges), None], object)
    place = np.searchsorted(np.asarray(edges, np.float64), numbers, side="right")
    texts: Texts = names[np.where(np.isnan(numbers), len(names) - 1, place)]
    return texts


def bin_names(edges: Sequence[float]) -> tuple[str, ...]:
    """Of k edges the names of k + 1 bins, ascending: `< 0`, `0–10`, `10–100`, `≥ 100`."""
    shown = [_shown(edge) for edge in edges]
    between = [f"{low}–{high}" for low, high in pairwise(shown)]
    return (f"< {shown[0]}", *between, f"≥ {shown[-1]}")


def quantile_edges(numbers: Numbers, count: int) -> tuple[float, ...]:
    """The count - 1 edges between as many bins of equal size, as short as numbers between their neighbours can be.

    Equal numbers stay in one bin, so that there are fewer edges where many are equal; none if all are.
    """
    ordered = np.sort(numbers[~np.isnan(numbers)])
    changes = np.flatnonzero(np.diff(ordered) > 0) + 1  # a bin may begin at these places only
    if not len(changes):
        return ()
    wanted = len(ordered) * np.arange(1, count) / count
    right = np.minimum(np.searchsorted(changes, wanted), len(changes) - 1)
    left = np.maximum(right - 1, 0)
    nearer = np.where(np.abs(wanted - changes[left]) <= np.abs(changes[right] - wanted), left, right)
    chosen = np.unique(changes[nearer])
    return tuple(_shortest(float(ordered[place - 1]), float(ordered[place])) for place in chosen)


def _shortest(low: float, high: float) -> float:
    """The number of fewest digits that is above `low` and not above `high`."""
    for digits in range(1, 17):
        for near in (high, low / 2 + high / 2):
            rounded = float(f"{near:.{digits}g}")
            if low < rounded <= high:
                return rounded
    return high


def _number(text: str) -> float:
    """The finite number that a text is, else NaN."""
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    return number if math.isfinite(number) else math.nan


def _shown(edge: float) -> str:
    return as_text(edge) if abs(edge) < 1e15 else repr(edge)
