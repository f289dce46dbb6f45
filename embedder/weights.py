"""Remembers which weights have which digest, so that a known recipe is frozen without loading Keras."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from embedder.backbones import Backbone, find_backbone
from embedder.errors import WeightsError
from embedder.keras_models import IMAGENET, NONE, random_digest
from embedder.recipe import FrozenRecipe, Recipe
from embedder.user_cache import cache_directory
from store.commit import checksum, write_file
from store.errors import StoreWriteError


def known_digest(recipe: Recipe) -> str | None:
    """The digest of the recipe's weights if this machine has seen them before, else None.

    Raises WeightsError if they are a file that does not exist.
    """
    if recipe.weights == NONE:
        return random_digest(recipe.seed)
    if recipe.weights != IMAGENET and not Path(recipe.weights).is_file():
        raise WeightsError(
            f"there is no weights file at {recipe.weights}; --weights takes imagenet, none or the path of a file."
        )
    with suppress(OSError, ValueError, KeyError):
        return str(json.loads(_note(recipe).read_bytes())["digest"])
    return None


def remember_digest(recipe: Recipe, digest: str) -> None:
    """Notes the digest of the recipe's weights, once they have been loaded."""
    if recipe.weights == NONE:
        return
    where = IMAGENET if recipe.weights == IMAGENET else str(Path(recipe.weights).resolve())
    note = {"backbone": recipe.backbone, "digest": digest, "weights": where}
    with suppress(StoreWriteError):  # a cache that cannot be written costs time, no more
        write_file(_note(recipe), json.dumps(note).encode())


def recipe_settings(frozen: FrozenRecipe, weights: str | None = None) -> Recipe:
    """The settings that make `frozen` again, with its weights found on this machine or given as a file.

    The weights that are named may turn out to be others: whoever loads them compares the digest.
    """
    if weights is None:
        weights = next(_places_of(frozen), None)
    if frozen.is_random:
        weights = NONE
    if weights is None:
        raise WeightsError(
            f"the weights that {frozen.space} was made with ({frozen.weights}) are not known on this machine; "
            "pass their file with --weights FILE."
        )
    return Recipe(
        backbone=frozen.backbone,
        weights=weights,
        layer=frozen.layer,
        pooling=frozen.pooling,
        image_size=frozen.image_size,
        fit=frozen.fit,
        precision=frozen.precision,
        dtype=frozen.dtype,
        seed=int(frozen.weights.removeprefix("random-")) if frozen.is_random else 0,
    )


def _places_of(frozen: FrozenRecipe) -> Iterator[str]:
    directory = cache_directory("weights")
    for path in sorted(directory.glob("*.json")) if directory.is_dir() else []:
        with suppress(OSError, ValueError, KeyError):
            note = json.loads(path.read_bytes())
            same = (note["backbone"], note["digest"]) == (frozen.backbone, frozen.weights)
            if same and (note["weights"] == IMAGENET or Path(note["weights"]).is_file()):
                yield note["weights"]


def imagenet_is_here(backbone: Backbone) -> bool:
    """Whether Keras has downloaded the ImageNet weights of this backbone already."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    return (home / "models" / backbone.weights_file).is_file()


def _note(recipe: Recipe) -> Path:
    if recipe.weights == IMAGENET:  # some backbones have other weights at other sizes
        key = f"{IMAGENET}-{recipe.image_size or find_backbone(recipe.backbone).size}"
    else:
        key = checksum(Path(recipe.weights).read_bytes())
    return cache_directory("weights", f"{recipe.backbone}-{key}.json")
