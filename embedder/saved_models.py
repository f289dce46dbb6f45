"""TF-Hub modules and SavedModel folders as backbones, through tensorflow-hub."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from embedder.errors import EngineError, RecipeError, WeightsError
from embedder.keras_models import BuiltModel, check_own_precision, reason_of
from embedder.own_models import (
    SAVED_MODELS_EXPECT,
    OwnModel,
    check_is_there,
    folder_digest,
    is_handle,
    square_size,
)
from embedder.recipe import Recipe
from embedder.user_cache import cache_directory
from store.keras_setup import load_keras, standard_error_held_back

# In the order in which they are looked for: what TensorFlow, hub modules of TF1 and Keras 3 call the one to use.
_SIGNATURES = ("serving_default", "default", "serve")
_OUTPUT = "default"  # of hub modules that put out their inner layers, too


def build_saved_model(recipe: Recipe) -> BuiltModel:
    """Loads the backbone of a recipe that names a TF-Hub handle or a SavedModel folder.

    Raises WeightsError if it cannot be had or loaded, RecipeError if it does not turn one picture into one
    vector, EngineError for bfloat16: a SavedModel computes in the precision that it was saved in.
    """
    check_own_precision(recipe)
    module, folder = _load(recipe.backbone)
    entry = _entry(module, recipe.backbone)
    facts = OwnModel(folder_digest(folder), square_size(recipe.backbone, entry.shape), SAVED_MODELS_EXPECT)
    settled = recipe.settled(facts)
    return BuiltModel(SavedModel(entry.function, settled, keep=module), facts.digest, facts)


class SavedModel:
    """A SavedModel as a function from pictures to vectors, with what engines ask of a Keras model."""

    def __init__(self, function: Callable[[Any], Any], recipe: Recipe, keep: object) -> None:
        import tensorflow as tf

        self._function, self._recipe = function, recipe
        self.module = keep  # TensorFlow frees the variables with the object that was loaded
        size = recipe.image_size or 0
        shape = (None, size, size, 3)
        self._compiled = tf.function(
            self, input_signature=[tf.TensorSpec(shape, tf.float32)], autograph=False
        )
        try:
            made = self.predict_on_batch(np.zeros((2, size, size, 3), np.float32))
            self.output_shape: tuple[int | None, ...] = (None, *made.shape[1:])
        except RecipeError:
            raise
        except (ValueError, TypeError, tf.errors.OpError) as error:
            raise RecipeError(
                f"{recipe.backbone} does not take batches of RGB pictures of {recipe.image_size} pixels "
                f"({reason_of(error)}). Another size is set with --image-size."
            ) from error

    def __call__(self, pictures: Any, training: bool = False) -> Any:  # noqa: ANN401
        """Vectors (n, dim) or maps (n, h, w, c) float32 of preprocessed pictures, as tensors."""
        import tensorflow as tf

        output = self._one_output(self._function(pictures))
        output = tf.cast(output, tf.float32)
        places = tuple(range(1, output.shape.rank - 1))
        if places and self._recipe.pooling != "none":
            output = {"avg": tf.reduce_mean, "max": tf.reduce_max}[self._recipe.pooling](output, places)
        return output

    def predict_on_batch(self, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same for arrays."""
        return np.asarray(self._compiled(pictures))

    def _one_output(self, outputs: Any) -> Any:  # noqa: ANN401
        if not isinstance(outputs, (Mapping, list, tuple)):
            return outputs
        named = dict(outputs) if isinstance(outputs, Mapping) else {str(n): o for n, o in enumerate(outputs)}
        layer = self._recipe.layer
        chosen = layer or (next(iter(named)) if len(named) == 1 else _OUTPUT)
        if chosen not in named:
            has = f"has no output {layer!r}" if layer else "has several outputs"
            raise RecipeError(
                f"{self._recipe.backbone} {has}: name one with --layer, of {', '.join(sorted(named))}."
            )
        return named[chosen]


class _Entry(NamedTuple):
    """How a module is called: a function of one tensor, and the shape that it takes."""

    function: Callable[[Any], Any]
    shape: list[int | None]


def _load(place: str) -> tuple[Any, Path]:
    """The loaded module, and the folder that it lies in."""
    check_is_there(place)
    if load_keras().backend.backend() != "tensorflow":
        raise EngineError(f"{place} is a TensorFlow model: unset KERAS_BACKEND to run it.")
    hub = _tensorflow_hub()
    try:
        with redirect_stdout(sys.stderr), standard_error_held_back():
            folder = Path(hub.resolve(place))
            return hub.load(str(folder)), folder
    except Exception as error:  # the network, archives and TensorFlow's reader raise all kinds
        if is_handle(place):
            raise WeightsError(
                f"the module {place} could not be fetched and loaded ({reason_of(error)}). On a machine with a "
                "connection, download and unpack it, bring the folder here and pass its path in place of the handle."
            ) from error
        raise WeightsError(f"{place} could not be loaded as a SavedModel ({reason_of(error)}).") from error


def _tensorflow_hub() -> ModuleType:
    os.environ.setdefault(
        "TFHUB_CACHE_DIR", str(cache_directory("hub"))
    )  # its own choice is a temporary folder
    with warnings.catch_warnings(), standard_error_held_back():
        warnings.simplefilter(
            "ignore"
        )  # of setuptools, about pkg_resources, which this release still imports
        import tensorflow_hub
    module: ModuleType = tensorflow_hub
    return module


def _entry(module: Any, place: str) -> _Entry:  # noqa: ANN401
    signatures = getattr(module, "signatures", {})
    known = [name for name in _SIGNATURES if name in signatures] or list(signatures)
    if known and (known[0] in _SIGNATURES or len(known) == 1):
        signature = signatures[known[0]]
        inputs = signature.structured_input_signature[1]
        if len(inputs) != 1:
            raise RecipeError(
                f"{place} takes {len(inputs)} inputs ({', '.join(sorted(inputs))}): expected one picture."
            )
        ((name, spec),) = inputs.items()
        return _Entry(lambda pictures: signature(**{name: pictures}), _shape(spec))
    if callable(module):
        functions = getattr(module.__call__, "concrete_functions", [])
        specs = [function.structured_input_signature[0][0] for function in functions]
        return _Entry(module, _shape(specs[0]) if specs else [None, None, None, 3])
    raise RecipeError(
        f"{place} is neither callable nor has it a signature called {_SIGNATURES[0]} or a single one; it has "
        f"{', '.join(signatures) or 'none'}. Export it again with one signature from pictures to vectors."
    )


def _shape(spec: Any) -> list[int | None]:  # noqa: ANN401
    return [None] * 3 + [3] if spec.shape.rank is None else spec.shape.as_list()
