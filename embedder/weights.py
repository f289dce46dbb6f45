"""Remembers which weights have which digest, so that a known recipe is frozen without loading Keras."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from embedder.backbones import Backbone, find_backbone, find_preprocessing
from embedder.errors import WeightsError
from embedder.keras_models import IMAGENET, NONE, BuiltModel, random_digest
from embedder.own_models import (
    SAVED_MODELS_EXPECT,
    ModelKind,
    OwnModel,
    check_is_there,
    folder_digest,
    is_handle,
    is_own,
    read_keras_file,
    short_name,
)
from embedder.recipe import FrozenRecipe, Recipe
from embedder.user_cache import cache_directory
from store.commit import checksum, write_file
from store.errors import StoreWriteError


def known_recipe(recipe: Recipe) -> FrozenRecipe | None:
    """The recipe frozen, if this machine has seen its weights before, else None.

    Raises WeightsError if they are a file that does not exist, RecipeError if they do not go with the recipe.
    """
    if recipe.kind is not ModelKind.TABLE:
        model = _known_model(recipe)
        return model and recipe.settled(model).freeze(model.digest)
    digest = known_digest(recipe)
    return recipe.freeze(digest) if digest else None


def known_digest(recipe: Recipe) -> str | None:
    """The digest of the recipe's weights if this machine has seen them before, else None.

    Raises WeightsError if they are a file that does not exist.
    """
    if recipe.kind is not ModelKind.TABLE:
        model = _known_model(recipe)
        return model and model.digest
    if recipe.weights == NONE:
        return random_digest(recipe.seed)
    if recipe.weights != IMAGENET and not Path(recipe.weights).is_file():
        raise WeightsError(
            f"there is no weights file at {recipe.weights}; --weights takes imagenet, none or the path of a file."
        )
    with suppress(OSError, ValueError, KeyError):
        return str(json.loads(_note(recipe).read_bytes())["digest"])
    return None


def remember(recipe: Recipe, built: BuiltModel) -> None:
    """Notes the digest of the recipe's weights, once they have been loaded, and where they are."""
    if recipe.weights == NONE:
        return
    place = recipe.weights if recipe.kind is ModelKind.TABLE else recipe.backbone
    note: dict[str, str | int | None] = {
        "backbone": built.freeze(recipe).backbone,
        "digest": built.digest,
        "weights": place if place == IMAGENET or is_handle(place) else str(Path(place).resolve()),
    }
    if built.own:
        note["image_size"] = built.own.image_size
    with suppress(StoreWriteError):  # a cache that cannot be written costs time, no more
        write_file(_note(recipe), json.dumps(note).encode())


def recipe_settings(frozen: FrozenRecipe, weights: str | None = None) -> Recipe:
    """The settings that make `frozen` again, with its weights found on this machine or given as a file.

    The weights that are named may turn out to be others: whoever loads them compares the digest.
    """
    own = is_own(frozen.weights)
    place = NONE if frozen.is_random else weights or next(_places_of(frozen), None)
    if place is None:
        what = "model" if own else "weights"
        raise WeightsError(
            f"the {what} that {frozen.space} was made with ({frozen.weights}) {'is' if own else 'are'} not known on "
            f"this machine; pass {'its place' if own else 'their file'} with --weights."
        )
    expected = frozen.preprocessing
    as_the_table = not own and find_preprocessing(expected) == find_backbone(frozen.backbone).preprocessing
    return Recipe(
        backbone=place if own else frozen.backbone,
        weights=IMAGENET if own else place,
        layer=frozen.layer,
        pooling=frozen.pooling,
        image_size=frozen.image_size,
        fit=frozen.fit,
        precision=frozen.precision,
        dtype=frozen.dtype,
        seed=int(frozen.weights.removeprefix("random-")) if frozen.is_random else 0,
        preprocessing=None if as_the_table else expected,
        scores=frozen.scores,
        augment=frozen.augment,
        views=frozen.views - 1 if frozen.augment else None,
    )


def _places_of(frozen: FrozenRecipe) -> Iterator[str]:
    directory = cache_directory("weights")
    for path in sorted(directory.glob("*.json")) if directory.is_dir() else []:
        with suppress(OSError, ValueError, KeyError):
            note = json.loads(path.read_bytes())
            same = (note["backbone"], note["digest"]) == (frozen.backbone, frozen.weights)
            place = note["weights"]
            if same and (place == IMAGENET or is_handle(place) or Path(place).exists()):
                yield place


def _known_model(recipe: Recipe) -> OwnModel | None:
    """What is known of a model from outside the table; of a SavedModel only what was noted when it was loaded."""
    check_is_there(recipe.backbone)
    if recipe.kind is ModelKind.KERAS_FILE:
        return read_keras_file(recipe.backbone)
    with suppress(OSError, ValueError, KeyError):
        note = json.loads(_note(recipe).read_bytes())
        return OwnModel(note["digest"], note["image_size"], SAVED_MODELS_EXPECT)
    return None


def imagenet_is_here(backbone: Backbone) -> bool:
    """Whether Keras has downloaded the ImageNet weights of this backbone already."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    return (home / "models" / backbone.weights_file).is_file()


def _note(recipe: Recipe) -> Path:
    """Where the note is: named by what decides the weights, their bytes or the name of what is downloaded."""
    name, place = recipe.backbone, recipe.weights
    if recipe.kind is not ModelKind.TABLE:
        name, place = short_name(recipe.backbone), recipe.backbone
    if recipe.kind is ModelKind.KERAS_FILE:
        key = read_keras_file(place).digest
    elif is_handle(place):
        key = checksum(place.encode())
    elif recipe.kind is ModelKind.SAVED_MODEL:
        key = folder_digest(Path(place))
    elif place == IMAGENET:  # some backbones have other weights at other sizes
        key = f"{IMAGENET}-{recipe.image_size or find_backbone(recipe.backbone).size}"
    else:
        status = Path(place).stat()
        key = _checksum_of_file(place, status.st_size, status.st_mtime_ns)
    return cache_directory("weights", f"{name}-{key}{'-scores' if recipe.scores else ''}.json")


@lru_cache(maxsize=8)  # a job asks several times, and the whole file is read
def _checksum_of_file(place: str, *_as_it_is: int) -> str:
    return checksum(Path(place).read_bytes())
