"""Engines run a backbone on batches of pictures. All of them give the same vectors for the same recipe."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from embedder.errors import EngineError, WeightsError
from embedder.keras_models import BuiltModel, build_model
from embedder.recipe import FrozenRecipe, Recipe
from embedder.weights import known_digest, remember_digest

ENGINES = ("auto", "openvino", "keras")
Pictures = NDArray[np.uint8]


class Engine(Protocol):
    """A loaded backbone. It may be called from `streams` threads at once."""

    description: str
    recipe: FrozenRecipe
    dim: int
    batch_size: int
    streams: int

    def __call__(self, pictures: Pictures) -> NDArray[np.float32]:
        """(n, size, size, 3) uint8 RGB, n at most `batch_size`, to (n, dim) float32 in the same order."""


def check_engine(name: str) -> None:
    """Raises EngineError unless there is an engine of this name."""
    if name not in ENGINES:
        raise EngineError(f"engine {name!r} does not exist: expected {', '.join(ENGINES)}.")


def open_engine(recipe: Recipe, engine: str = "auto", batch_size: int = 16, threads: int = 1) -> Engine:
    """Loads the backbone of `recipe`; `auto` is OpenVINO.

    A backbone that was converted before starts without Keras. Raises WeightsError, RecipeError or EngineError.
    """
    check_engine(engine)
    digest = known_digest(recipe)
    if engine == "keras":
        return _open_keras(recipe, batch_size)
    from embedder.openvino_engine import OpenVinoEngine, cached_model, convert_and_cache

    cached = cached_model(recipe.freeze(digest)) if digest else None
    if cached is None or digest is None:
        noted = digest
        built = _build(dataclasses.replace(recipe, precision="float32"))  # precision is set when it is loaded
        digest = built.digest
        if noted not in (None, digest):
            raise WeightsError(
                f"the weights {recipe.weights} of {recipe.backbone} are not those that this machine saw before: "
                f"their digest is {digest}, it was {noted}. Run the same command again to make a space of their own."
            )
        cached = convert_and_cache(recipe.freeze(digest), built)
    return OpenVinoEngine(recipe.freeze(digest), cached, batch_size, threads)


def open_engine_for(
    frozen: FrozenRecipe, settings: Recipe, engine: str = "auto", batch_size: int = 16, threads: int = 1
) -> Engine:
    """An engine that makes exactly the vectors of `frozen`. Raises WeightsError if the weights are others."""
    opened = open_engine(settings, engine, batch_size, threads)
    if opened.recipe != frozen:
        raise WeightsError(
            f"the weights in {settings.weights} are not those that {frozen.space} was made with: their digest is "
            f"{opened.recipe.weights}, expected {frozen.weights}. Pass the right file with --weights FILE."
        )
    return opened


def _open_keras(recipe: Recipe, batch_size: int) -> Engine:
    from embedder.keras_engine import KerasEngine

    built = _build(recipe)
    return KerasEngine(recipe.freeze(built.digest), built.model, batch_size)


def _build(recipe: Recipe) -> BuiltModel:
    built = build_model(recipe)
    remember_digest(recipe, built.digest)
    return built
