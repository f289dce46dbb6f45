"""A small convolutional network that has seen no picture yet: what a frozen backbone has to beat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from embedder.errors import FinetuneError
from embedder.keras_files import write_keras_file
from store.keras_setup import load_keras

IMAGE_SIZE = 150
SMALLEST = 22  # pixels, of which three blocks leave one
_FILTERS = (16, 32, 64)
_NODES = 512


def write_baseline(path: Path, image_size: int = IMAGE_SIZE, seed: int = 0) -> None:
    """Writes the network as a `.keras` backbone, from pixels (0 to 255) to 512 numbers.

    Rescaling by 1/255, three blocks of a 3 x 3 convolution (16, 32, 64 filters, ReLU) and 2 x 2 max-pooling, then a
    dense layer of 512 (ReLU): the network of "Building powerful image classification models using very little data"
    as Google's course on image classification has it. Kernels are Keras's own (Glorot), drawn by `seed`. Raises
    FinetuneError for pictures that are too small.
    """
    if image_size < SMALLEST:
        raise FinetuneError(
            f"the baseline cannot see pictures of {image_size} pixels: expected {SMALLEST} or more."
        )
    write_keras_file(_network(image_size, seed), path)


def _network(image_size: int, seed: int) -> Any:  # noqa: ANN401
    keras = load_keras()
    layers, glorot = keras.layers, keras.initializers.GlorotUniform
    pictures = keras.Input((image_size, image_size, 3), name="pictures")
    x = layers.Rescaling(1 / 255, name="rescaling")(pictures)
    for number, filters in enumerate(_FILTERS, 1):
        kernel = glorot(seed=seed + number)
        x = layers.Conv2D(filters, 3, activation="relu", kernel_initializer=kernel, name=f"conv_{number}")(x)
        x = layers.MaxPooling2D(name=f"pool_{number}")(x)
    x = layers.Flatten(name="flat")(x)
    x = layers.Dense(_NODES, activation="relu", kernel_initializer=glorot(seed=seed), name="dense")(x)
    # A model of one's own is cut at its last global pooling: one over a single place changes nothing.
    x = layers.Reshape((1, 1, _NODES), name="one_place")(x)
    return keras.Model(pictures, layers.GlobalAveragePooling2D(name="vector")(x), name="baseline")
