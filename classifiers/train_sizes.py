"""Fewer training images of a split: nested, the same ones for all schemes as far as can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from classifiers.errors import SplitError
from classifiers.splits import Split
from classifiers.suggestions import counted
from classifiers.targets import Targets, members


def smaller(
    split: Split, codes: Targets, positions: NDArray[np.float64], size: int, sizes: Sequence[int] = ()
) -> Split:
    """The split with `size` of its training rows, fewer than there are. Raises SplitError if there are more classes.

    Rows are taken in the order of their positions (all images,), as splits are: the rows of a size are among those
    of a larger one, schemes with the same training rows share theirs, and classes keep their shares up to chance.
    Where a class has none among the smallest of `sizes` that can have all classes, its first row is taken for the
    last row of the class with most.
    """
    order = split.train[np.argsort(positions[split.train], kind="stable")]
    firsts = [rows[0] for _, rows in members(codes[order])] if codes.ndim == 1 else []  # places in `order`
    if len(firsts) > size:
        raise SplitError(
            f"{counted(size, 'training image')} are too few for {counted(len(firsts), 'class')}."
        )
    least = min(one for one in (*sizes, size) if one >= len(firsts))
    chosen = order[:least].copy()
    for place in sorted(firsts):
        if place >= least:
            most = np.bincount(codes[chosen]).argmax()
            chosen[np.flatnonzero(codes[chosen] == most)[-1]] = order[place]
    order = np.concatenate([chosen, order[~np.isin(order, chosen)]])
    return replace(split, train=np.sort(order[:size]), notes=())
