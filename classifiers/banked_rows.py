"""Ridge heads on more vectors than fit in memory: rows are read from the store, a block at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.errors import HeadError
from classifiers.factor_cache import FactorCache
from classifiers.fitting import label_vector, same_rows
from classifiers.ridge import RidgeHead, left_out_codes, solve_ridges
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


def fit_ridge_on_store(
    store: FeatureStore,
    space: str,
    images: pd.DataFrame,
    label_vectors: Sequence[NDArray[Any]],
    **options: Any,  # noqa: ANN401 (of RidgeHead)
) -> list[LeftOut]:
    """A ridge head for each label vector, on the images where it is not missing, without reading all at once.

    label_vectors: (n,) each, or (n, t) of 0 and 1. Those with labels on the same images share a factorization,
    which is kept in the store's cache. Each pass over the vectors holds one block of rows; beside it, memory goes
    with images × strengths and dimensions². `options` are those of RidgeHead but `class_weight`. Raises HeadError.
    """
    if options.get("class_weight") is not None:
        raise HeadError("class_weight needs the vectors in memory: fit RidgeHead on store.vectors(…).")
    labels = [label_vector(y, len(images), number) for number, y in enumerate(label_vectors)]
    found: list[LeftOut | None] = [None] * len(labels)
    for rows, group in same_rows(labels):
        chosen = np.flatnonzero(rows)
        if not len(chosen):
            raise HeadError(f"label vector {group[0]} has no labels.")
        some = images.iloc[chosen]
        order = BankedRows(store, space, some).order()
        X = BankedRows(store, space, some.iloc[order])
        heads = [RidgeHead(**options) for _ in group]
        codes = [head.learn_labels(labels[i][chosen][order], X) for head, i in zip(heads, group, strict=True)]
        kept = FactorCache.of(store).rows(X.space.id, hashes_from_hex(some["hash"].iloc[order]))
        factor = kept.factorization(X, bool(heads[0].fit_intercept))
        known = len(factor.known_gaps)
        solve_ridges(factor, heads, codes)
        kept.keep(factor, known)
        for head in heads:
            head.space_, head.recipe_ = X.space.id, X.space.recipe
        for head, i, truth, predicted in zip(
            heads, group, codes, left_out_codes(factor, heads, codes), strict=True
        ):
            right = predicted == truth
            accuracy = float((right.all(axis=1) if right.ndim == 2 else right).mean())
            everywhere = np.full(
                (len(images), *predicted.shape[1:]), -1 if predicted.ndim == 1 else 0, predicted.dtype
            )
            everywhere[chosen[order]] = predicted
            found[i] = LeftOut(head, everywhere, accuracy)
    return [one for one in found if one is not None]
