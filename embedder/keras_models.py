"""Builds a backbone of keras.applications as a Keras model that gives vectors, and digests its weights."""

from __future__ import annotations

import difflib
import hashlib
import math
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from embedder.backbones import Backbone, find_backbone
from embedder.errors import EngineError, RecipeError, WeightsError
from embedder.own_models import OwnModel
from embedder.recipe import FrozenRecipe, Recipe
from store.errors import first_line
from store.keras_setup import load_keras

IMAGENET = "imagenet"
NONE = "none"


class BuiltModel(NamedTuple):
    """A backbone ready to use.

    model: from (n, size, size, 3) preprocessed float32 to float32 vectors (n, dim), or to feature maps
    (n, height, width, channels); a keras.Model, or what offers its `__call__(pictures, training)`,
    `predict_on_batch` and `output_shape`. digest: what its recipe records of its weights. own: what was found
    in a model from outside the table.
    """

    model: Any
    digest: str
    own: OwnModel | None = None

    def freeze(self, recipe: Recipe) -> FrozenRecipe:
        """The recipe of this model with every value filled in. Raises RecipeError if they do not go together."""
        return (recipe.settled(self.own) if self.own else recipe).freeze(self.digest)


def build_model(recipe: Recipe) -> BuiltModel:
    """Builds the backbone of a recipe of keras.applications, with its weights.

    Raises WeightsError if the weights cannot be had or do not fit, RecipeError for an unknown layer.
    """
    keras = load_keras()
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if recipe.precision == "bfloat16" else "float32")
    try:
        with _names_of_a_fresh_process():
            base = _with_weights(recipe, find_backbone(recipe.backbone))
            digest = random_digest(recipe.seed) if recipe.weights == NONE else _weights_digest(base)
            output = base.output if recipe.layer is None else layer_output(base, recipe)
            return BuiltModel(vector_model(base, output, recipe.pooling), digest)
    finally:
        keras.config.set_dtype_policy(policy)


def check_own_precision(recipe: Recipe) -> None:
    """Raises EngineError if Keras is to run a model from outside the table in another precision than it has."""
    if recipe.precision == "bfloat16":
        raise EngineError(
            f"the keras engine runs {recipe.backbone} in the precision that it was saved in: use --engine openvino "
            "for bfloat16."
        )


def layer_output(base: Any, recipe: Recipe) -> Any:  # noqa: ANN401
    """What the recipe's layer of a model puts out. Raises RecipeError if there is no such layer."""
    names = [layer.name for layer in base.layers]
    if recipe.layer not in names:
        near = difflib.get_close_matches(str(recipe.layer), names, n=3, cutoff=0.3)
        raise RecipeError(
            f"{recipe.backbone} has no layer {recipe.layer!r}. Nearest: {', '.join(near) or 'none'}."
        )
    return output_of(base.get_layer(recipe.layer))


def output_of(layer: Any) -> Any:  # noqa: ANN401
    """What a layer of a model puts out there."""
    if hasattr(layer, "layers"):  # a model within the model: its own `output` belongs to another graph
        return layer._inbound_nodes[-1].output_tensors[0]
    return layer.output


def vector_model(base: Any, output: Any, pooling: str) -> Any:  # noqa: ANN401
    """The part of a model up to `output`, pooled over all places of a map or sequence (not with `none`)."""
    keras = load_keras()
    if isinstance(output, (list, tuple, dict)):
        raise RecipeError(
            f"{base.name} puts out {len(output)} tensors there: name a layer that puts out one."
        )
    places = len(output.shape) - 2
    if places > 0 and pooling != "none":
        kind = {"avg": "Average", "max": "Max"}[pooling]
        output = getattr(keras.layers, f"Global{kind}Pooling{places}D")()(output)
    if output.dtype != "float32":
        output = keras.layers.Activation("linear", dtype="float32")(output)
    return keras.Model(base.inputs[0], output)


@contextmanager
def _names_of_a_fresh_process() -> Iterator[None]:
    """Keras numbers unnamed layers (Xception's `add_3`) through a process; a recipe has to find them in each."""
    state = load_keras().src.backend.common.global_state
    kept = state.get_global_attribute("object_name_uids")
    state.set_global_attribute("object_name_uids", defaultdict(int))
    try:
        yield
    finally:
        state.set_global_attribute("object_name_uids", kept)


def random_digest(seed: int) -> str:
    """What stands for random weights in a recipe; `_fill_with_random` makes them the same everywhere."""
    return f"random-{seed}"


def _weights_digest(model: Any) -> str:  # noqa: ANN401
    """A digest of all weights in order, their shapes and their values as float32, whatever file they came in."""
    digest = hashlib.sha256()
    for value in model.get_weights():
        digest.update(str(value.shape).encode())
        digest.update(np.ascontiguousarray(value, np.float32).data)
    return f"sha256-{digest.hexdigest()[:32]}"


def _with_weights(recipe: Recipe, backbone: Backbone) -> Any:  # noqa: ANN401
    if recipe.weights == NONE:
        base = _build(recipe, backbone, weights=None, include_top=recipe.scores)
        _fill_with_random(base, recipe.seed)
        return base
    if recipe.weights == IMAGENET:
        return _with_imagenet(recipe, backbone)
    return _with_file(recipe, backbone, Path(recipe.weights))


def _with_imagenet(recipe: Recipe, backbone: Backbone) -> Any:  # noqa: ANN401
    try:
        with redirect_stdout(sys.stderr):  # Keras prints its downloads, and standard output is for results
            return _build(recipe, backbone, weights=IMAGENET, include_top=recipe.scores)
    except RecipeError:
        raise
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise WeightsError(
            f"the ImageNet weights of {backbone.name} could not be downloaded ({first_line(error)}). "
            "On a machine with a connection, download that file (see https://keras.io/api/applications), bring "
            "it here and pass it with --weights FILE; or use --weights none to try things with random weights."
        ) from error


def _with_file(recipe: Recipe, backbone: Backbone, path: Path) -> Any:  # noqa: ANN401
    """Loads a file saved without the classifier on top, or with it; class scores need the latter."""
    base = _build(recipe, backbone, weights=None)
    try:
        base.load_weights(path)
    except Exception as error:  # Keras raises ValueError, OSError, KeyError and others here
        try:
            whole = _build(recipe, backbone, weights=None, include_top=True)
            whole.load_weights(path)
        except Exception:
            raise WeightsError(
                f"the weights file {path} does not fit {backbone.name} ({reason_of(error)}). "
                "Expected a .h5 or .weights.h5 file that Keras saved from this very backbone, with or without "
                "its ImageNet classifier."
            ) from error
        if recipe.scores:
            return whole
        base.set_weights(whole.get_weights()[: len(base.get_weights())])
    if recipe.scores:
        raise WeightsError(
            f"the weights file {path} holds {backbone.name} without its classifier, and class scores come from "
            "that: pass the file with it, which Keras names like this one but for `notop` or `no_top`."
        )
    return base


def _build(recipe: Recipe, backbone: Backbone, weights: str | None, include_top: bool = False) -> Any:  # noqa: ANN401
    keras = load_keras()
    size = backbone.size if include_top else recipe.image_size or backbone.size
    arguments = dict(backbone.options) | {"weights": weights, "include_top": include_top}
    if not include_top and recipe.layer is None and recipe.pooling != "none":
        arguments["pooling"] = recipe.pooling  # a builder may normalize after pooling (ConvNeXt does)
    try:
        return getattr(keras.applications, backbone.builder)(input_shape=(size, size, 3), **arguments)
    except ValueError as error:
        if "input_shape" in str(error) or "Input size" in str(error):
            raise RecipeError(f"{backbone.name} cannot work at {size} pixels: {reason_of(error)}") from error
        raise


def _fill_with_random(model: Any, seed: int) -> None:  # noqa: ANN401
    """Kernels from a normal distribution scaled by fan-in (He et al. 2015), the rest as Keras starts it.

    Numbers come from numpy in the order of the weights, so they are the same on every machine and backend.
    """
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        shape = tuple(variable.shape)
        if len(shape) >= 2:
            fan_in = math.prod(shape[:2] if "depthwise" in variable.path else shape[:-1])
            values = rng.standard_normal(shape, dtype=np.float32) * np.float32(math.sqrt(2.0 / fan_in))
            variable.assign(values)


def reason_of(error: BaseException) -> str:
    """What a library says, in one line that is not too long."""
    text = " ".join(str(error).split())
    return text if len(text) <= 160 else text[:157] + "..."
