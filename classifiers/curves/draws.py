"""Which training images a learning curve takes: how many, and in what order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from classifiers.splits import Rows
from classifiers.targets import Targets

_ENOUGH = 6  # sizes; the largest ones take nearly all of the time
_HALVINGS = 64


def ladder(rows: int, classes: int) -> NDArray[np.intp]:
    """Sizes from all rows down to two a class, ascending: each half of the next, or 0.7 where they would be few."""
    for step in (1.0, 0.5):
        sizes = np.unique(np.round(rows * 0.5 ** np.arange(0, _HALVINGS, step)).astype(np.intp))
        sizes = sizes[(sizes >= 2 * classes) | (sizes == rows)]
        if len(sizes) >= _ENOUGH:
            break
    return np.asarray(sizes)


def spread_order(codes: Sequence[Targets], generator: np.random.Generator) -> Rows:
    """An order of the rows, random but so that its start, of any length, has all kinds of labels about in proportion.

    codes: the labels (n,) or (n, t) of the same rows by several schemes. The rows are sorted by their labels, those of
    the scheme with most classes first, at random where these are equal, and taken from everywhere in turn: by the
    reversed bits of their place (van der Corput 1935), of which some are flipped at random. So one order serves all
    schemes, and their sizes share one factorization.
    """
    kinds = [np.unique(one, axis=0, return_inverse=True)[1].ravel() for one in codes]
    kinds.sort(key=lambda kind: int(kind.max()))
    rows = len(kinds[0])
    ranks = np.lexsort([generator.random(rows), *kinds])  # the last key counts first
    bits = max(1, (rows - 1).bit_length())
    turns = np.arange(1 << bits)
    places = np.zeros_like(turns)
    for bit in range(bits):
        places |= ((turns >> bit) & 1) << (bits - 1 - bit)
    places ^= int(generator.integers(0, 1 << bits))
    visited = places * rows >> bits
    firsts = np.unique(visited, return_index=True)[1]  # there are more places than rows
    return np.asarray(ranks[visited[np.sort(firsts)]], np.intp)
