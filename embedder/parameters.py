"""How many numbers a backbone has, all of which stay as they are while a head is trained."""

from __future__ import annotations

from typing import NamedTuple

from embedder.engines import build_backbone
from embedder.keras_models import NONE
from embedder.own_models import ModelKind, model_kind
from embedder.recipe import Recipe


class Parameters(NamedTuple):
    """Of a backbone with its classifier cut off. dim: of its vectors. parameters: moving statistics included."""

    name: str
    dim: int
    parameters: int


def count_parameters(backbone: str, image_size: int | None = None) -> Parameters:
    """Builds a backbone and counts; weights of `keras.applications` are not needed for it, and not downloaded.

    image_size: as in `Recipe`. Raises UnknownBackboneError, RecipeError, and WeightsError for a model that cannot be
    loaded.
    """
    weights = NONE if model_kind(backbone) is ModelKind.TABLE else "imagenet"
    recipe = Recipe(backbone, weights, image_size=image_size, preprocessing="raw")
    built = build_backbone(recipe)
    model = getattr(built.model, "module", built.model)  # of a SavedModel
    count = sum(int(variable.shape.num_elements()) for variable in model.variables)
    return Parameters(built.freeze(recipe).backbone, int(built.model.output_shape[-1]), count)
