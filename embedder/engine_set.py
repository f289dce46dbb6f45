"""The engines of a job: its recipes frozen, and each backbone opened when it is first needed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from embedder.canary import is_known, sing
from embedder.engines import Engine, open_engine
from embedder.machine import usable_processors
from embedder.recipe import FrozenRecipe, Recipe
from embedder.settings import JobSettings
from embedder.sources import Source
from embedder.weights import known_recipe


class EngineSet:
    """One engine a recipe. `frozen`: the recipes by their space, in the order in which they were given.

    A recipe whose weights this machine has not seen is frozen by opening its engine; the others wait for `open`.
    Raises WeightsError, RecipeError or EngineError.
    """

    def __init__(self, recipes: Sequence[Recipe], settings: JobSettings) -> None:
        self._settings = settings
        self._engines: dict[str, Engine] = {}
        by_recipe = {self._freeze(recipe): recipe for recipe in recipes}
        self.frozen: dict[str, FrozenRecipe] = {recipe.space: recipe for recipe in by_recipe}
        self._recipes = {recipe.space: settings for recipe, settings in by_recipe.items()}

    def open(self) -> dict[str, Engine]:
        """The engines by space; those that were not opened before are now."""
        for space, recipe in self._recipes.items():
            if space not in self._engines:
                self._open_engine(recipe)
        return self._engines

    def sing(self, store: Path, source: Source) -> list[str]:
        """Compares each engine with what is banked, where it was not compared before and anything is.

        Returns what a person should know of it. Raises EngineError if they do not agree.
        """
        notes = []
        for space, engine in self._engines.items():
            if is_known(store / "spaces" / space, engine):
                continue
            reference = None
            if engine.recipe.precision != "float32":
                settings = dataclasses.replace(self._recipes[space], precision="float32")
                reference = open_engine(settings, self._settings.engine, self._settings.batch_size)
            canary = sing(store, source, engine, reference)
            if canary:
                notes.append(f"{space}: {canary}.")
        return notes

    def _freeze(self, recipe: Recipe) -> FrozenRecipe:
        return known_recipe(recipe) or self._open_engine(recipe).recipe

    def _open_engine(self, recipe: Recipe) -> Engine:
        threads = self._settings.threads or usable_processors()
        engine = open_engine(recipe, self._settings.engine, self._settings.batch_size, threads)
        self._engines[engine.recipe.space] = engine
        return engine
