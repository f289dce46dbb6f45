"""Ridge heads on more vectors than fit in memory: rows are read from the store, a block at a time."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from classifiers.errors import HeadError
from classifiers.factor_cache import FactorCache, KeptFactors
from classifiers.factorization import factorize
from classifiers.fitting import label_vector, same_rows
from classifiers.ridge import RidgeHead, by_weights, left_out_codes, solve_ridges
from classifiers.row_weights import sample_weights
from classifiers.targets import agreeing
from store import FeatureStore
from store.columns import hashes_from_hex

_MAPPED = 1 << 28  # bytes; pages of mapped parts count as resident memory until they are let go


class BankedRows:
    """The vectors of some images of a space, float32 (n, dim), read when rows are taken, as of an array.

    Raises HeadError if an image has no vector there.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, store: FeatureStore, space: str, images: pd.DataFrame) -> None:
        self.space = store.space(space)
        self._rows = self.space.find(hashes_from_hex(images["hash"]))
        if (self._rows < 0).any():
            raise HeadError(
                f"{int((self._rows < 0).sum()):,} of {len(images):,} images have no vector in {self.space.id}. Leave "
                "them out, or embed them."
            )
        self.shape = (len(images), self.space.dim)
        self._taken = 0

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: Any) -> NDArray[np.float32]:  # noqa: ANN401 (as arrays are)
        wanted = self._rows[rows]
        block = np.empty((len(wanted), self.space.dim), np.float32)
        self.space.read(wanted, block)
        self._taken += block.nbytes
        if self._taken > _MAPPED:
            self.space.release()
            self._taken = 0
        if not np.isfinite(block.sum()) and not np.isfinite(block).all():
            raise HeadError(
                f"{self.space.id} has NaN or infinity values; `embank verify` finds them. Leave these images out."
            )
        return block

    def order(self) -> NDArray[np.intp]:
        """The rows in the order in which they lie in the parts: (n,)."""
        return np.argsort(self._rows, kind="stable")


@dataclass(frozen=True)
class LeftOut:
    """A ridge head, and for each image the code that it would be given had it been left out.

    predicted: (n,) indices of `head.classes_`, or (n, t) bool of labels; -1 (False) where it has no label.
    accuracy: the share of labelled images whose code is right, all labels of them if there are several.
    """

    head: RidgeHead
    predicted: NDArray[Any]
    accuracy: float


def fits_in_memory(store: FeatureStore, space: str, images: pd.DataFrame) -> bool:
    """Whether the vectors of some images, all views of them, take at most half of the memory that is free now."""
    chosen = store.space(space)
    return 2 * 4 * len(images) * chosen.dim * chosen.views <= _free_memory()


def _free_memory() -> float:
    """Bytes; without a bound where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return math.inf


def fit_ridge_on_store(
    store: FeatureStore,
    space: str,
    images: pd.DataFrame,
    label_vectors: Sequence[NDArray[Any]],
    *,
    sample_weight: ArrayLike | None = None,
    **options: Any,  # noqa: ANN401 (of RidgeHead)
) -> list[LeftOut]:
    """A ridge head for each label vector, on the images where it is not missing, without reading all at once.

    label_vectors: (n,) each, or (n, t) of 0 and 1. sample_weight: (n,) from 0 up; images that weigh 0 are left out.
    Those with labels on the same images share a factorization, which is kept in the store's cache; with
    `class_weight` each label vector has its own. Each pass over the vectors holds one block of rows; beside it, memory
    goes with images × strengths and dimensions². `options` are those of RidgeHead. Raises HeadError.
    """
    labels = [label_vector(y, len(images), number) for number, y in enumerate(label_vectors)]
    weights = None if sample_weight is None else sample_weights(sample_weight, len(images))
    found: list[LeftOut | None] = [None] * len(labels)
    for rows, group in same_rows(labels):
        chosen = np.flatnonzero(rows if weights is None else rows & (weights > 0))
        if not len(chosen):
            raise HeadError(f"label vector {group[0]} has no labels.")
        order = chosen[BankedRows(store, space, images.iloc[chosen]).order()]
        X = BankedRows(store, space, images.iloc[order])
        heads = [RidgeHead(**options) for _ in group]
        codes = [head.learn_labels(labels[i][order], X) for head, i in zip(heads, group, strict=True)]
        given = [None if weights is None else weights[order]] * len(heads)
        kept = FactorCache.of(store).rows(X.space.id, hashes_from_hex(images["hash"].iloc[order]))
        for weighed, indices in by_weights(heads, codes, given):
            some = [heads[i] for i in indices], [codes[i] for i in indices]
            for i, one in zip(indices, _left_out(X, *some, weighed, kept), strict=True):
                found[group[i]] = _of_all(one, codes[i], order, len(images))
    return [one for one in found if one is not None]


def _left_out(
    X: BankedRows,
    heads: Sequence[RidgeHead],
    codes: Sequence[NDArray[Any]],
    weights: NDArray[np.float64] | None,
    kept: KeptFactors,
) -> list[tuple[RidgeHead, NDArray[Any]]]:
    """Fits heads that have the same weights of rows; with each what it would say of each row left out."""
    intercept = bool(heads[0].fit_intercept)
    factor = kept.factorization(X, intercept) if weights is None else factorize(X, weights, intercept)
    known = len(factor.known_gaps)
    solve_ridges(factor, heads, codes)
    if weights is None:
        kept.keep(factor, known)
    for head in heads:
        head.space_, head.recipe_ = X.space.id, X.space.recipe
    return list(zip(heads, left_out_codes(factor, heads, codes), strict=True))


def _of_all(
    found: tuple[RidgeHead, NDArray[Any]], codes: NDArray[Any], rows: NDArray[np.intp], images: int
) -> LeftOut:
    """A head and its predictions, those of the given rows among so many images."""
    head, predicted = found
    everywhere = np.full((images, *predicted.shape[1:]), -1 if predicted.ndim == 1 else 0, predicted.dtype)
    everywhere[rows] = predicted
    return LeftOut(head, everywhere, float(agreeing(predicted, codes).mean()))
