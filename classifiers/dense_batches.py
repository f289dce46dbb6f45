"""Vectors a batch at a time for dense heads: a first look at them, and the batches of a store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from classifiers.errors import HeadError
from classifiers.scaling import Moments
from store import FeatureStore, Vectors
from store.columns import hashes_from_hex

if TYPE_CHECKING:
    from classifiers.dense import DenseHead

IN_MEMORY = 1 << 30  # bytes of vectors; of more, a dense head is trained in batches
_RUN = 512  # rows that lie side by side on disk and are read together
_BATCH = 8192

Batch = tuple[ArrayLike, ArrayLike]  # vectors (m, d), labels (m,)
Batches = Callable[[int], Iterable[Batch]]


def fit_on_store(
    head: DenseHead,
    store: FeatureStore,
    space: str,
    images: pd.DataFrame,
    labels: NDArray[Any],
    views: int,
    test: tuple[pd.DataFrame, NDArray[Any]],
) -> None:
    """Fits a dense head on all views of some images, in batches where they are too large for memory.

    Its learning curves are tested on the images and labels of `test`, or with early stopping on training images
    that it holds out: what a figure is to be measured on must not decide when training ends.
    """
    chosen = store.space(space)
    if len(images) * views * chosen.dim * 4 <= IN_MEMORY:
        vectors = np.concatenate([store.vectors(space, images, view=view) for view in range(views)])
        head.fit(
            Vectors.of(vectors, chosen.id, chosen.recipe),
            np.concatenate([labels] * views),
            groups=np.tile(np.arange(len(images)), views),
            validation=None if head.early_stopping else (store.vectors(space, test[0]), test[1]),
        )
        return
    if labels.ndim > 1:
        raise HeadError(
            f"the {len(images):,} images are too many for a dense head of several labels an image, whose vectors must "
            "fit in memory. Use ridge or logistic."
        )
    training = np.arange(len(images))
    if head.early_stopping:
        training, held = head.hold_out(labels)
        test = images.iloc[held], labels[held]
    head.fit_batches(
        store_batches(store, space, images.iloc[training], labels[training], views, head.seed),
        store_batches(store, space, *test),
    )


def survey(head: DenseHead, batches: Iterable[Batch]) -> tuple[NDArray[np.intp], Moments]:
    """Looks at all rows once: the number of rows of each class, and the moments of the vectors.

    Sets `classes_`, `n_features_in_`, `space_` and `recipe_` of the head. Raises HeadError.
    """
    moments, counts, seen = Moments(), dict[Any, int](), 0
    for X, y in batches:
        vectors, labels = head._checked_rows(X, y, first=not seen)
        if not seen:
            head.space_, head.recipe_ = getattr(X, "space", None), getattr(X, "recipe", None)
        moments.add(vectors)
        for label, count in zip(*np.unique(labels, return_counts=True), strict=True):
            counts[label] = counts.get(label, 0) + int(count)
        seen += len(labels)
    if len(counts) < 2:
        raise HeadError(
            f"the {seen:,} rows of all batches are of {len(counts)} class{'' if len(counts) == 1 else 'es'}; two are "
            "needed."
        )
    head.classes_, head.multilabel_ = np.array(sorted(counts)), False
    return np.array([counts[label] for label in head.classes_.tolist()], np.intp), moments


def store_batches(
    store: FeatureStore, space: str, images: pd.DataFrame, labels: NDArray[Any], views: int = 1, seed: int = 0
) -> Batches:
    """Batches of the vectors of some images for `DenseHead.fit_batches`, in another order each epoch.

    labels: (n,) one for each row of `images`. views: how many versions of each image. What lies side by side on
    disk is read together: an epoch is a shuffle of such runs, and a batch holds many of them.
    """
    places = store.space(space).find(hashes_from_hex(images["hash"]))
    order = np.argsort(places, kind="stable")
    runs = [order[start : start + _RUN] for start in range(0, len(order), _RUN)]

    def batches(epoch: int) -> Iterator[tuple[Vectors, NDArray[Any]]]:
        rng = np.random.default_rng((seed, epoch))
        parts: list[tuple[int, NDArray[np.intp]]] = []
        for view in range(views):
            shuffled = np.concatenate([runs[number] for number in rng.permutation(len(runs))])
            parts += [(view, shuffled[start : start + _BATCH]) for start in range(0, len(shuffled), _BATCH)]
        for number in rng.permutation(len(parts)):
            view, rows = parts[number]
            yield store.vectors(space, images.iloc[rows], view=view), labels[rows]

    return batches
