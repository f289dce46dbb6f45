"""What heads are trained towards: codes of classes, or an indicator matrix for several labels an image.

Codes are (n,) integers, -1 for no label. An indicator is (n, t) integers, 1 where the image has the label and 0
where it has not; a row of -1 is an image of which nothing is known, which is left out as one of code -1 is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Targets: TypeAlias = NDArray[np.integer[Any]]


def labelled(targets: Targets) -> NDArray[np.bool_]:
    """Which images are labelled: (n,). One with none of a scheme's labels is, if that is known."""
    known = np.asarray(targets >= 0)
    if known.ndim == 2 and not known.shape[1]:
        return np.zeros(len(known), bool)  # a scheme without labels says nothing of any image
    return known if known.ndim == 1 else np.asarray(known.all(axis=1))


def only(targets: Targets, rows: NDArray[np.bool_]) -> Targets:
    """A copy in which the images that are not in `rows` (n,) bool have no label."""
    left = targets.copy()
    left[~rows] = -1
    return left


def occurring(targets: Targets) -> NDArray[np.intp]:
    """The classes or labels that some image has, ascending."""
    if targets.ndim == 2:
        return np.flatnonzero((targets == 1).any(axis=0))
    return np.unique(targets[targets >= 0]).astype(np.intp)


def agreeing(targets: NDArray[Any], others: NDArray[Any]) -> NDArray[np.bool_]:
    """Which images have the same class in both, or all labels the same: (n,)."""
    same = np.asarray(targets == others)
    return same if same.ndim == 1 else np.asarray(same.all(axis=1))


def members(targets: Targets) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """(class, its rows), both ascending; of several labels an image the most frequent first, the rarest last."""
    if targets.ndim == 2:
        counts = (targets == 1).sum(axis=0)
        for label in np.argsort(-counts, kind="stable"):
            if counts[label]:
                yield int(label), np.flatnonzero(targets[:, label] == 1)
        return
    order = np.argsort(targets, kind="stable")
    codes, starts = np.unique(targets[order], return_index=True)
    for code, rows in zip(codes, np.split(order, starts[1:]), strict=True):
        if code >= 0:
            yield int(code), rows
