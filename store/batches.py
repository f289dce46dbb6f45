"""Vectors a batch at a time, for what does not fit in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.vectors import Vectors

if TYPE_CHECKING:
    from store.feature_store import FeatureStore


def iterate_batches(
    store: FeatureStore,
    space: str,
    images: pd.DataFrame | None = None,
    rows: int = 4096,
    shuffle: int | None = None,
    epoch: int = 0,
) -> Iterator[tuple[NDArray[np.intp], Vectors]]:
    """Pairs of row numbers of `images` (m,) and their vectors (m, dim), m at most `rows`; each row once.

    In the order of `images`, or in a random one that the seed `shuffle` and the number of the epoch decide.
    """
    images = store.images() if images is None else images
    order = np.arange(len(images))
    if shuffle is not None:
        order = np.random.default_rng((shuffle, epoch)).permutation(order)
    for start in range(0, len(order), rows):
        some = order[start : start + rows]
        yield some, store.vectors(space, images.iloc[some])


def tf_dataset(
    store: FeatureStore,
    space: str,
    images: pd.DataFrame,
    labels: NDArray[Any],
    batch_size: int = 256,
    shuffle: int | None = None,
) -> Any:  # noqa: ANN401 (tf.data.Dataset, without importing TensorFlow)
    """A tf.data.Dataset of batches (vectors (m, dim) float32, labels (m, …)), for `keras.Model.fit`.

    It reads ahead while the model trains, and shuffles anew each time it is gone through.
    """
    import tensorflow as tf

    labels = np.asarray(labels)
    if len(labels) != len(images):
        raise ValueError(
            f"there are {len(labels)} labels for {len(images)} images: one for each is expected."
        )
    epochs = iter(range(1 << 62))

    def epoch() -> Iterator[tuple[NDArray[np.float32], NDArray[Any]]]:
        number = next(epochs)
        for some, vectors in iterate_batches(store, space, images, batch_size, shuffle, number):
            yield np.asarray(vectors), labels[some]

    signature = (
        tf.TensorSpec((None, store.space(space).dim), tf.float32),
        tf.TensorSpec((None, *labels.shape[1:]), tf.as_dtype(labels.dtype)),
    )
    dataset = tf.data.Dataset.from_generator(epoch, output_signature=signature).prefetch(2)
    return dataset.apply(tf.data.experimental.assert_cardinality(-(-len(images) // batch_size)))
