"""What runs a backbone for pictures that go with vectors or a head, with a warning where its weights are random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from embank.console import say

if TYPE_CHECKING:
    from embedder import FrozenRecipe, Recipe
    from embedder.engines import Engine


def warn_of_random_weights(recipes: Sequence[Recipe]) -> None:
    """Says loudly that vectors of random weights have learned nothing."""
    names = ", ".join(recipe.backbone for recipe in recipes if recipe.weights == "none")
    if names:
        say(
            f"WARNING: {names} runs with random weights. Its vectors are good for trying things out, "
            "not for results: nothing in them was learned from images."
        )


def known_settings(recipe: Mapping[str, Any], weights: str | None) -> tuple[FrozenRecipe, Recipe]:
    """A recipe as a space or a head has it, and the settings that make it again, with the warning.

    weights: where those of the backbone are, if they are not known on this machine. Raises RecipeError, WeightsError.
    """
    from embedder import FrozenRecipe
    from embedder.weights import recipe_settings

    frozen = FrozenRecipe.from_dict(recipe)
    settings = recipe_settings(frozen, weights)
    warn_of_random_weights([settings])
    return frozen, settings


def open_engine_of(
    recipe: Mapping[str, Any], weights: str | None, engine: str, batch_size: int | None
) -> Engine:
    """An engine that makes exactly the vectors of a space or a head, on all processors. Raises as above."""
    from embedder.engines import open_engine_for
    from embedder.machine import usable_processors

    frozen, settings = known_settings(recipe, weights)
    return open_engine_for(frozen, settings, engine, batch_size, usable_processors())
