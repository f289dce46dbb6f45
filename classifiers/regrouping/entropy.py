"""How much a label says, in bits (Shannon 1948), and what is lost of it when classes are merged."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from classifiers.targets import Targets, labelled


def label_entropy(codes: Targets) -> float:
    """The entropy in bits of the classes of labelled images: codes (n,), or (n, t) for which sets of labels count."""
    known = codes[labelled(codes)]
    return entropy(np.unique(known, axis=0, return_counts=True)[1])


def entropy(counts: ArrayLike) -> float:
    """The entropy in bits of what occurs this often: log2 of the number of classes if all are as frequent."""
    shares = np.asarray(counts, np.float64)
    shares = shares[shares > 0] / shares.sum()
    return float(-(shares * np.log2(shares)).sum()) + 0.0


def bits_lost(first: ArrayLike, second: ArrayLike, total: float) -> NDArray[np.float64]:
    """By how much the entropy of `total` images falls when classes of `first` and `second` images become one: (m,)."""
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    return np.asarray((_weighted(a + b) - _weighted(a) - _weighted(b)) / total)


def _weighted(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return counts * np.log2(np.maximum(counts, 1.0))
