"""The keras engine: the model itself, on CPU or GPU, on whichever backend Keras runs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedder.engines import Pictures
from embedder.recipe import FrozenRecipe
from store.keras_setup import load_keras

_LEAST = 2  # for one picture alone TensorFlow adds up in another order, and the last bits differ


class KerasEngine:
    """Runs a Keras model compiled for one batch shape; a short batch is filled up with zeros."""

    streams = 1

    def __init__(self, recipe: FrozenRecipe, model: Any, batch_size: int) -> None:  # noqa: ANN401
        keras = load_keras()
        self.recipe, self.batch_size = recipe, batch_size
        self.shape = tuple(int(length) for length in model.output_shape[1:])
        self.dim = math.prod(self.shape)
        self.description = f"keras {keras.__version__} on {keras.backend.backend()}"
        self._model = model

    def __call__(self, pictures: Pictures) -> NDArray[np.float32]:
        batch = np.zeros((max(self.batch_size, _LEAST), *pictures.shape[1:]), np.float32)
        batch[: len(pictures)] = preprocess(pictures, self.recipe)
        vectors = np.asarray(self._model.predict_on_batch(batch), np.float32)
        return vectors[: len(pictures)].reshape(len(pictures), self.dim)


def preprocess(pictures: Pictures, recipe: FrozenRecipe) -> NDArray[np.float32]:
    """What the recipe's backbone expects, float32: colour order, minus mean, by scale. Leaves its input alone."""
    pixels = pictures[..., ::-1] if recipe.color_order == "bgr" else pictures
    mean, scale = np.asarray(recipe.mean, np.float32), np.asarray(recipe.scale, np.float32)
    result: NDArray[np.float32] = (pixels.astype(np.float32) - mean) / scale
    return result


def preprocessing_layers(pictures: Any, recipe: FrozenRecipe) -> Any:  # noqa: ANN401
    """The same as layers on a Keras tensor of RGB pictures. A Rescaling comes first: `embed` knows by it that a model
    takes raw pixels.
    """
    keras = load_keras()
    mean, scale = np.array(recipe.mean), np.array(recipe.scale)
    order = slice(None, None, -1) if recipe.color_order == "bgr" else slice(None)
    factors, offsets = (1 / scale)[order].tolist(), (-mean / scale)[order].tolist()
    pixels = keras.layers.Rescaling(factors, offsets, name="preprocessing")(pictures)
    return keras.ops.flip(pixels, axis=-1) if recipe.color_order == "bgr" else pixels
