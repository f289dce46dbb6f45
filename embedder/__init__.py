"""Images in, vectors out: sources, decoding, recipes, backbones, engines and the batch job.

Names are loaded when they are first used, as in `store`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

import store

if not hasattr(store, "FORMAT_VERSION"):
    raise ImportError(
        f"the module 'store' at {store.__file__} hides embank's own: rename it, or take its folder off the "
        "Python path (the folder you run in counts)."
    )

if TYPE_CHECKING:
    from embedder.errors import EmbedderError as EmbedderError
    from embedder.errors import EngineError as EngineError
    from embedder.errors import FinetuneError as FinetuneError
    from embedder.errors import RecipeError as RecipeError
    from embedder.errors import RunnerError as RunnerError
    from embedder.errors import SourceError as SourceError
    from embedder.errors import UnknownBackboneError as UnknownBackboneError
    from embedder.errors import WeightsError as WeightsError
    from embedder.job import embed as embed
    from embedder.recipe import FrozenRecipe as FrozenRecipe
    from embedder.recipe import Recipe as Recipe
    from embedder.report import EmbedReport as EmbedReport
    from embedder.settings import JobSettings as JobSettings

_HOMES = {
    "EmbedReport": "embedder.report",
    "EmbedderError": "embedder.errors",
    "EngineError": "embedder.errors",
    "FinetuneError": "embedder.errors",
    "FrozenRecipe": "embedder.recipe",
    "JobSettings": "embedder.settings",
    "Recipe": "embedder.recipe",
    "RecipeError": "embedder.errors",
    "RunnerError": "embedder.errors",
    "SourceError": "embedder.errors",
    "UnknownBackboneError": "embedder.errors",
    "WeightsError": "embedder.errors",
    "embed": "embedder.job",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'embedder' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
