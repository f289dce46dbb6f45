"""Vectors a batch at a time for dense heads: a first look at them, and the batches of a store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from classifiers.errors import HeadError
from classifiers.scaling import Moments
from classifiers.space_rows import SpaceRows
from store import FeatureStore, Vectors
from store.columns import hashes_from_hex

if TYPE_CHECKING:
    from classifiers.dense import DenseHead

IN_MEMORY = 1 << 30  # bytes of vectors; of more, a dense head is trained in batches
_RUN = 64  # rows that lie side by side on disk and are read together: 256 KB of 2,048 float16 numbers
_BATCH = 16_384
_BATCH_BYTES = 1 << 27

Batch = tuple[ArrayLike, ArrayLike]  # vectors (m, d), labels (m,) or (m, t) of 0 and 1
Batches = Callable[[int], Iterable[Batch]]


def fit_on_store(
    head: DenseHead,
    store: FeatureStore,
    space: str,
    images: pd.DataFrame,
    labels: NDArray[Any],
    views: int = 1,
    test: tuple[pd.DataFrame, NDArray[Any]] | None = None,
) -> None:
    """Fits a dense head on all views of some images, in batches where they are more than `IN_MEMORY`.

    labels: (n,) or (n, t), one for each row of `images`. Its learning curves are tested on the images and labels of
    `test`, or with early stopping on training images that it holds out: what a figure is to be measured on must not
    decide when training ends. Raises HeadError.
    """
    chosen = store.space(space)
    if 4 * len(images) * views * chosen.dim <= IN_MEMORY:
        vectors = np.concatenate([store.vectors(space, images, view=view) for view in range(views)])
        tested = None if head.early_stopping else test
        head.fit(
            Vectors.of(vectors, chosen.id, chosen.recipe),
            np.concatenate([labels] * views),
            groups=np.tile(np.arange(len(images)), views),
            validation=None if tested is None else (store.vectors(space, tested[0]), tested[1]),
        )
        return
    training = np.arange(len(images))
    if head.early_stopping:
        training, held = head.hold_out(labels)
        test = images.iloc[held], labels[held]
    head.fit_batches(
        store_batches(store, space, images.iloc[training], labels[training], views, head.seed),
        None if test is None else store_batches(store, space, *test),
    )


def survey(head: DenseHead, batches: Iterable[Batch]) -> tuple[NDArray[np.intp], Moments]:
    """Looks at all rows once: the number of rows of each class, or that have each label; the moments of the vectors.

    Sets `classes_`, `multilabel_`, `n_features_in_`, `space_` and `recipe_` of the head. Raises HeadError.
    """
    moments, counts, seen = Moments(), dict[Any, int](), 0
    for X, y in batches:
        vectors, labels = head._checked_rows(X, y, first=not seen)
        if not seen:
            head.space_, head.recipe_ = getattr(X, "space", None), getattr(X, "recipe", None)
            head.multilabel_ = labels.ndim == 2
        moments.add(vectors)
        for label, count in _counted(labels):
            counts[label] = counts.get(label, 0) + count
        seen += len(labels)
    if len(counts) < 2 and not (seen and head.multilabel_):
        raise HeadError(
            f"the {seen:,} rows of all batches are of {len(counts)} class{'' if len(counts) == 1 else 'es'}; two are "
            "needed."
        )
    head.classes_ = np.array(sorted(counts))
    return np.array([counts[label] for label in head.classes_.tolist()], np.intp), moments


def _counted(labels: NDArray[Any]) -> Iterable[tuple[Any, int]]:
    """Each class of labels (m,), or each label of an indicator (m, t), and how many rows have it."""
    if labels.ndim == 2:
        return enumerate(labels.astype(bool).sum(axis=0).tolist())
    values, counts = np.unique(labels, return_counts=True)
    return zip(values.tolist(), counts.tolist(), strict=True)


def store_batches(
    store: FeatureStore, space: str, images: pd.DataFrame, labels: NDArray[Any], views: int = 1, seed: int = 0
) -> Batches:
    """Batches of the vectors of some images for `DenseHead.fit_batches`, in another order each epoch.

    labels: (n,) or (n, t), one for each row of `images`. views: how many versions of each image. What lies side by
    side on disk is read together: an epoch is a shuffle of runs of 64 rows, and a batch of 16,384 rows (128 MB at most)
    holds runs from everywhere, 256 of them, whose rows `DenseHead` shuffles. So two rows of a run are in the same
    batch, and otherwise the order is random: it is decided by `seed` and the number of the epoch alone. Raises
    HeadError if an image has no vector.
    """
    chosen = store.space(space)
    hashes = hashes_from_hex(images["hash"])
    places = [chosen.find(hashes, view) for view in range(views)]
    if any((of_view < 0).any() for of_view in places):
        raise HeadError(
            f"some of {len(images):,} images have no vector in {chosen.id}: embed them, or leave them out."
        )
    order = np.argsort(places[0], kind="stable")
    runs = [order[start : start + _RUN] for start in range(0, len(order), _RUN)]
    size = min(_BATCH, max(_RUN, _BATCH_BYTES // (4 * chosen.dim)))

    def batches(epoch: int) -> Iterator[tuple[Vectors, NDArray[Any]]]:
        rng = np.random.default_rng((seed, epoch))
        parts: list[tuple[int, NDArray[np.intp]]] = []
        for view in range(views):
            shuffled = np.concatenate([runs[number] for number in rng.permutation(len(runs))])
            parts += [(view, shuffled[start : start + size]) for start in range(0, len(shuffled), size)]
        for number in rng.permutation(len(parts)):
            view, rows = parts[number]
            vectors = SpaceRows(chosen, places[view][rows])[:]
            yield Vectors.of(vectors, chosen.id, chosen.recipe), labels[rows]

    return batches
