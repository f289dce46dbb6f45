"""Ridge heads on more vectors than fit in memory: rows are read from the store, a block at a time."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from classifiers.by_parts import LeftOut, PartedRidges, Runner, ThreadRunner
from classifiers.errors import HeadError
from classifiers.factor_cache import FactorCache, KeptFactors
from classifiers.factorization import factorize
from classifiers.fitting import label_vector, same_rows
from classifiers.ridge import RidgeHead, by_weights, left_out_codes, solve_ridges
from classifiers.row_weights import sample_weights
from classifiers.space_rows import SpaceRows
from classifiers.targets import agreeing
from store import FeatureStore
from store.columns import Hashes, hashes_from_hex
from store.space import Space


def banked_rows(store: FeatureStore, space: str, images: pd.DataFrame) -> SpaceRows:
    """The vectors of some images of a space, read when rows are taken, as of an array.

    Raises HeadError if an image has no vector there.
    """
    chosen = store.space(space)
    return _checked_rows(chosen, chosen.find(hashes_from_hex(images["hash"])))


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
    images: pd.DataFrame | None,
    label_vectors: Sequence[NDArray[Any]],
    *,
    sample_weight: ArrayLike | None = None,
    runner: Runner | None = None,
    tell: Callable[[str], None] | None = None,
    leave_out: bool = True,
    **options: Any,  # noqa: ANN401 (of RidgeHead)
) -> list[LeftOut]:
    """A ridge head for each label vector, on the images where it is not missing, without reading all at once.

    images: None for all of the space, in the order of `Space.banked`. label_vectors: (n,) each, or (n, t) of 0 and 1.
    sample_weight: (n,) from 0 up; images that weigh 0 are left out. Those with labels on the same images share a
    factorization, which is kept in the store's cache, and two passes over their vectors (`PartedRidges`); with
    `class_weight` each label vector has its own. runner: who works on the parts, threads by default; `tell` is told how
    far a pass is. Without `leave_out` nothing is said of rows that are left out, and strengths are chosen by leaving
    out 262,144 of them at most: one pass instead of two. `options` are those of RidgeHead. Raises HeadError.
    """
    chosen_space = store.space(space)
    hashes, places = _places(chosen_space, images)
    labels = [label_vector(y, len(places), number) for number, y in enumerate(label_vectors)]
    weights = None if sample_weight is None else sample_weights(sample_weight, len(places))
    found: list[LeftOut | None] = [None] * len(labels)
    for rows, group in same_rows(labels):
        order = _in_parts(places, rows if weights is None else rows & (weights > 0))
        if not len(places[order]):
            raise HeadError(f"label vector {group[0]} has no labels.")
        X = _checked_rows(chosen_space, places[order])
        heads = [RidgeHead(**options) for _ in group]
        codes = [learn_codes(head, labels[i][order], X) for head, i in zip(heads, group, strict=True)]
        kept = FactorCache.of(store).rows(X.space.id, hashes[order])
        given = None if weights is None else weights[order]
        for i, left in zip(
            group, fit_ridges_on_rows(heads, X, codes, given, kept, runner, tell, leave_out), strict=True
        ):
            found[i] = _of_all(left, order, len(places))
    return [one for one in found if one is not None]


def learn_codes(head: RidgeHead, labels: NDArray[Any], X: SpaceRows) -> NDArray[Any]:
    """The codes of labels, in as few bytes as the classes need."""
    codes = head.learn_labels(labels, X)
    if codes.ndim == 2:
        return codes
    return codes.astype(np.promote_types(np.min_scalar_type(len(head.classes_)), np.int8))


def _places(space: Space, images: pd.DataFrame | None) -> tuple[Hashes, NDArray[np.int64]]:
    """Hashes (n, 16) of images and their rows (n,), -1 where there is none; of all images of the space if None."""
    if images is None:
        return space.banked()
    hashes = hashes_from_hex(images["hash"])
    return hashes, space.find(hashes)


def _in_parts(places: NDArray[np.int64], chosen: NDArray[np.bool_]) -> slice | NDArray[np.intp]:
    """The numbers of the chosen images in the order in which they lie in the parts."""
    if chosen.all() and (places[1:] >= places[:-1]).all():
        return slice(None)
    rows = np.flatnonzero(chosen)
    return rows[np.argsort(places[rows], kind="stable")]


def _checked_rows(space: Space, rows: NDArray[np.int64]) -> SpaceRows:
    absent = int((rows < 0).sum())
    if absent:
        raise HeadError(
            f"{absent:,} of {len(rows):,} images have no vector in {space.id}. Leave them out, or embed them."
        )
    return SpaceRows(space, rows)


def fit_ridges_on_rows(
    heads: Sequence[RidgeHead],
    X: SpaceRows,
    codes: Sequence[NDArray[Any]],
    weights: NDArray[np.float64] | None,
    kept: KeptFactors,
    runner: Runner | None = None,
    tell: Callable[[str], None] | None = None,
    with_codes: bool = True,
) -> list[LeftOut]:
    """Fits heads that know their classes; their options are the same. What is left out is of the rows of X.

    Of no more rows than dimensions the vectors are read: they are few.
    """
    found: list[LeftOut | None] = [None] * len(heads)
    for weighed, indices in by_weights(heads, codes, [weights] * len(heads)):
        some = [heads[i] for i in indices], [codes[i] for i in indices]
        if len(X) <= X.shape[1]:
            left = _in_memory(X, *some, weighed)
        else:
            parted = PartedRidges(X, runner or ThreadRunner(), tell)
            left = parted.fit(*some, weighed, kept, with_codes)
        for i, one in zip(indices, left, strict=True):
            found[i] = one
    return [one for one in found if one is not None]


def _in_memory(
    X: SpaceRows,
    heads: Sequence[RidgeHead],
    codes: Sequence[NDArray[Any]],
    weights: NDArray[np.float64] | None,
) -> list[LeftOut]:
    factor = factorize(X[:], weights, bool(heads[0].fit_intercept))
    solve_ridges(factor, heads, codes)
    for head in heads:
        head.space_, head.recipe_ = X.space.id, X.space.recipe
    predicted = left_out_codes(factor, heads, codes)
    return [
        LeftOut(head, one, float(agreeing(one, code).mean()))
        for head, one, code in zip(heads, predicted, codes, strict=True)
    ]


def _of_all(left: LeftOut, rows: slice | NDArray[np.intp], images: int) -> LeftOut:
    """A head and its predictions, those of the given rows among so many images."""
    found = left.predicted
    if not len(found):
        return left
    everywhere = np.full((images, *found.shape[1:]), -1 if found.ndim == 1 else 0, found.dtype)
    everywhere[rows] = found
    return LeftOut(left.head, everywhere, left.accuracy)
