"""Builds a backbone as a Keras model that gives pooled vectors, and digests its weights."""

from __future__ import annotations

import difflib
import hashlib
import math
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from embedder.backbones import Backbone, find_backbone
from embedder.errors import RecipeError, WeightsError
from embedder.recipe import Recipe
from store.keras_setup import load_keras

IMAGENET = "imagenet"
NONE = "none"
_TOP_CLASSES = 1000


class BuiltModel(NamedTuple):
    """A backbone ready to use.

    model: a keras.Model from (n, size, size, 3) preprocessed float32 to (n, dim) float32. digest: what its
    recipe records of its weights.
    """

    model: Any
    digest: str


def build_model(recipe: Recipe) -> BuiltModel:
    """Builds the backbone of a recipe with its weights.

    Raises WeightsError if the weights cannot be had or do not fit, RecipeError for an unknown layer.
    """
    keras = load_keras()
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if recipe.precision == "bfloat16" else "float32")
    try:
        base = _with_weights(recipe, find_backbone(recipe.backbone))
        digest = random_digest(recipe.seed) if recipe.weights == NONE else _weights_digest(base)
        return BuiltModel(_cut_and_pool(keras, base, recipe), digest)
    finally:
        keras.config.set_dtype_policy(policy)


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
        base = _build(recipe, backbone, weights=None)
        _fill_with_random(base, recipe.seed)
        return base
    if recipe.weights == IMAGENET:
        return _with_imagenet(recipe, backbone)
    return _with_file(recipe, backbone, Path(recipe.weights))


def _with_imagenet(recipe: Recipe, backbone: Backbone) -> Any:  # noqa: ANN401
    try:
        with redirect_stdout(sys.stderr):  # Keras prints its downloads, and standard output is for results
            return _build(recipe, backbone, weights=IMAGENET)
    except RecipeError:
        raise
    except Exception as error:  # Keras raises a bare Exception when a download fails
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(
            f"the ImageNet weights of {backbone.name} could not be downloaded ({reason}). "
            "On a machine with a connection, download that file (see https://keras.io/api/applications), bring "
            "it here and pass it with --weights FILE; or use --weights none to try things with random weights."
        ) from error


def _with_file(recipe: Recipe, backbone: Backbone, path: Path) -> Any:  # noqa: ANN401
    """Loads a file saved without the classifier on top, or with it."""
    base = _build(recipe, backbone, weights=None)
    try:
        base.load_weights(path)
    except Exception as error:  # Keras raises ValueError, OSError, KeyError and others here
        try:
            whole = _build(recipe, backbone, weights=None, include_top=True, classes=_TOP_CLASSES)
            whole.load_weights(path)
        except Exception:
            raise WeightsError(
                f"the weights file {path} does not fit {backbone.name} ({_reason(error)}). "
                "Expected a .h5 or .weights.h5 file that Keras saved from this very backbone, with or without "
                "its ImageNet classifier."
            ) from error
        base.set_weights(whole.get_weights()[: len(base.get_weights())])
    return base


def _build(
    recipe: Recipe, backbone: Backbone, weights: str | None, include_top: bool = False, **more: int
) -> Any:  # noqa: ANN401
    keras = load_keras()
    size = backbone.size if include_top else recipe.image_size or backbone.size
    arguments = dict(backbone.options) | more | {"weights": weights, "include_top": include_top}
    if not include_top:  # a builder may normalize after pooling (ConvNeXt does): let it pool itself
        arguments["pooling"] = recipe.pooling if recipe.layer is None else None
    try:
        return getattr(keras.applications, backbone.builder)(input_shape=(size, size, 3), **arguments)
    except ValueError as error:
        if "input_shape" in str(error) or "Input size" in str(error):
            raise RecipeError(f"{backbone.name} cannot work at {size} pixels: {_reason(error)}") from error
        raise


def _cut_and_pool(keras: Any, base: Any, recipe: Recipe) -> Any:  # noqa: ANN401
    output = base.output
    if recipe.layer is not None:
        names = [layer.name for layer in base.layers]
        if recipe.layer not in names:
            near = difflib.get_close_matches(recipe.layer, names, n=3, cutoff=0.3)
            raise RecipeError(
                f"{recipe.backbone} has no layer {recipe.layer!r}. Nearest: {', '.join(near) or 'none'}."
            )
        output = base.get_layer(recipe.layer).output
        if len(output.shape) == 4:
            pool = {"avg": keras.layers.GlobalAveragePooling2D, "max": keras.layers.GlobalMaxPooling2D}
            output = pool[recipe.pooling]()(output)
    if output.dtype != "float32":
        output = keras.layers.Activation("linear", dtype="float32")(output)
    return keras.Model(base.input, output)


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


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 160 else text[:157] + "..."
