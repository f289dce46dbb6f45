"""Engines run a backbone on batches of pictures. All of them give the same vectors for the same recipe."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from embedder.errors import EngineError, WeightsError
from embedder.keras_files import build_keras_file
from embedder.keras_models import BuiltModel, build_model
from embedder.own_models import ModelKind, is_own
from embedder.recipe import FrozenRecipe, Recipe
from embedder.saved_models import build_saved_model
from embedder.weights import known_recipe, remember

ENGINES = ("auto", "openvino", "keras")
# On a processor, what a layer makes of two pictures stays in its cache: MobileNetV2 is a fifth to a quarter quicker
# than with 16 (docs/benchmarks.md). A batch of Keras costs milliseconds to call, and a GPU wants many pictures.
DEFAULT_BATCH = {"auto": 2, "openvino": 2, "keras": 32}
Pictures = NDArray[np.uint8]


class Engine(Protocol):
    """A loaded backbone. It may be called from `streams` threads at once.

    shape: of what it makes of one picture, `(dim,)`, or `(height, width, channels)` for a feature map, of which a
    vector is the row-major form. dim: the length of the vectors.
    """

    description: str
    recipe: FrozenRecipe
    shape: tuple[int, ...]
    dim: int
    batch_size: int
    streams: int

    def __call__(self, pictures: Pictures) -> NDArray[np.float32]:
        """(n, size, size, 3) uint8 RGB, n at most `batch_size`, to (n, dim) float32 in the same order."""


def check_engine(name: str) -> None:
    """Raises EngineError unless there is an engine of this name."""
    if name not in ENGINES:
        raise EngineError(f"engine {name!r} does not exist: expected {', '.join(ENGINES)}.")


def open_engine(
    recipe: Recipe, engine: str = "auto", batch_size: int | None = None, threads: int = 1
) -> Engine:
    """Loads the backbone of `recipe`; `auto` is OpenVINO. batch_size: None is what suits the engine.

    A backbone that was converted before starts without Keras. Raises WeightsError, RecipeError or EngineError.
    """
    check_engine(engine)
    batch_size = batch_size or DEFAULT_BATCH[engine]
    known = known_recipe(recipe)
    if engine == "keras":
        return _open_keras(recipe, batch_size)
    from embedder.openvino_engine import OpenVinoEngine, cached_model, convert_and_cache

    cached = cached_model(known) if known else None
    if cached is None or known is None:
        # The precision of OpenVINO is set when the converted model is loaded.
        built = build_backbone(dataclasses.replace(recipe, precision="float32"))
        frozen = built.freeze(recipe)
        if known not in (None, frozen):
            raise WeightsError(
                f"the {_weights_of(recipe)} are not those that this machine saw before: "
                f"their digest is {frozen.weights}, it was {known and known.weights}. Run the same command again to "
                "make a space of their own."
            )
        known, cached = frozen, convert_and_cache(frozen, built)
    return OpenVinoEngine(known, cached, batch_size, threads)


def open_engine_for(
    frozen: FrozenRecipe,
    settings: Recipe,
    engine: str = "auto",
    batch_size: int | None = None,
    threads: int = 1,
) -> Engine:
    """An engine that makes exactly the vectors of `frozen`. Raises WeightsError if the weights are others."""
    opened = open_engine(settings, engine, batch_size, threads)
    opened.recipe = _checked(opened.recipe, frozen, settings)
    return opened


def build_for(frozen: FrozenRecipe, settings: Recipe) -> BuiltModel:
    """The Keras model of `frozen` in the precision of `settings`. Raises WeightsError if the weights are others."""
    built = build_backbone(settings)
    _checked(built.freeze(dataclasses.replace(settings, precision=frozen.precision)), frozen, settings)
    return built


def _checked(found: FrozenRecipe, frozen: FrozenRecipe, settings: Recipe) -> FrozenRecipe:
    """The recipe of what was opened by `settings`, after seeing that it is `frozen`."""
    if is_own(frozen.weights):  # a model is called after its file, which may have another name by now
        found = dataclasses.replace(found, backbone=frozen.backbone)
    if found != frozen:
        raise WeightsError(
            f"the {_weights_of(settings)} are not those that {frozen.space} was made with: their digest is "
            f"{found.weights}, expected {frozen.weights}. Pass the right file with --weights FILE."
        )
    return found


def _open_keras(recipe: Recipe, batch_size: int) -> Engine:
    from embedder.keras_engine import KerasEngine

    built = build_backbone(recipe)
    return KerasEngine(built.freeze(recipe), built.model, batch_size)


def build_backbone(recipe: Recipe) -> BuiltModel:
    """The Keras model of a recipe, wherever it comes from. Raises WeightsError, RecipeError or EngineError."""
    build = {
        ModelKind.TABLE: build_model,
        ModelKind.KERAS_FILE: build_keras_file,
        ModelKind.SAVED_MODEL: build_saved_model,
    }[recipe.kind]
    built = build(recipe)
    remember(recipe, built)
    return built


def _weights_of(recipe: Recipe) -> str:
    if recipe.kind is ModelKind.TABLE:
        return f"weights {recipe.weights} of {recipe.backbone}"
    return f"weights in {recipe.backbone}"
