"""The recipe of the backbone that is to be tuned: by its name, or as a space of a store was made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from embedder import FinetuneError, FrozenRecipe, Recipe
from embedder.weights import recipe_settings
from store import FeatureStore

_OF_THE_SPACE = ("image_size", "fit", "preprocessing")


def tuning_recipe(
    store: FeatureStore,
    backbone: str | None,
    space: str | None,
    options: Mapping[str, Any],
    weights: str | None = None,
) -> Recipe:
    """The recipe to tune: of a named backbone, or as a space of the store was made, with `options` of `Recipe` on top.

    With neither it is the store's only space.

    weights: those of the space's backbone, if they are not known on this machine. Raises FinetuneError.
    """
    given = {name: value for name, value in options.items() if value is not None}
    only = list(store.pooled_spaces)
    if backbone is None and space is None and len(only) == 1:
        (space,) = only
    if (backbone is None) == (space is None):
        raise FinetuneError("say what to tune: either --backbone NAME, or --space SPACE of the store.")
    if backbone is not None:
        return Recipe(backbone, weights or "imagenet", **given)
    chosen = store.space(str(space))
    recipe = FrozenRecipe.from_dict(chosen.recipe)
    settings = recipe_settings(dataclasses.replace(recipe, augment=None, views=1), weights)
    given.pop("seed", None)
    clashing = [name for name, value in given.items() if name in _OF_THE_SPACE]
    if clashing:
        raise FinetuneError(
            f"{chosen.id} has its {', '.join(clashing)} already: leave that out, or name the backbone "
            "with --backbone."
        )
    return dataclasses.replace(settings, **given)
