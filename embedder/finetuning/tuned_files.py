"""A tuned backbone as a `.keras` file with its preprocessing inside, so that `embed` takes it as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from embedder.engines import build_backbone
from embedder.errors import FinetuneError
from embedder.finetuning.tunable import Tunable
from embedder.keras_engine import preprocess, preprocessing_layers
from embedder.keras_files import write_keras_file
from embedder.recipe import FrozenRecipe, Recipe
from store.keras_setup import load_keras

_TOLERANCE = 1e-3  # relative to the longest vector: preprocessing inside adds up in another order


def check_place(out: Path) -> None:
    """Raises FinetuneError unless a tuned backbone can be written there."""
    if out.suffix != ".keras":
        raise FinetuneError(f"{out}: a tuned backbone is a .keras file; give --out such a name.")
    if not out.absolute().parent.is_dir():
        raise FinetuneError(f"{out}: there is no folder {out.absolute().parent}. Make it first.")


def save_tuned(tunable: Tunable, out: Path) -> FrozenRecipe:
    """Writes the backbone as it is now, from pixels (0 to 255) to pooled vectors; returns its recipe.

    The file is read back and must give the vectors that it gave in training. Raises FinetuneError.
    """
    check_place(out)
    for layer in tunable.model.layers:
        layer.trainable = True  # how it was tuned is no part of what it computes
    whole = _with_preprocessing(tunable)
    write_keras_file(whole, out)
    settings = tuned_recipe(tunable.frozen, out)
    built = build_backbone(settings)
    frozen = built.freeze(settings)
    _compare(tunable, built.model, frozen)
    return frozen


def tuned_recipe(untouched: FrozenRecipe, out: Path) -> Recipe:
    """The settings that embed with the tuned backbone as the untouched one was."""
    return Recipe(str(out), fit=untouched.fit)


def _with_preprocessing(tunable: Tunable) -> Any:  # noqa: ANN401
    """The model from raw pixels, as `embed` recognises it."""
    keras, frozen, model = load_keras(), tunable.frozen, tunable.model
    if frozen.preprocessing == "raw" and type(model.layers[1]).__name__ in ("Rescaling", "Normalization"):
        return model
    pictures = keras.Input((frozen.image_size, frozen.image_size, 3), name="pictures")
    pixels = preprocessing_layers(pictures, frozen)
    # Layer by layer, not as a model within a model, so that it can be cut and tuned again.
    return keras.Model(pictures, model._run_through_graph(pixels, operation_fn=lambda layer: layer))


def _compare(tunable: Tunable, read: Any, frozen: FrozenRecipe) -> None:  # noqa: ANN401
    size = frozen.image_size
    pictures = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    ours = np.asarray(tunable.model(preprocess(pictures, tunable.frozen), training=False))
    theirs = np.asarray(read(preprocess(pictures, frozen), training=False))
    if not np.allclose(ours, theirs, rtol=_TOLERANCE, atol=_TOLERANCE * float(np.abs(ours).max())):
        raise FinetuneError(
            "the tuned backbone gives other vectors once it is read back from its file. This is a fault of embank's, "
            "please report it with the backbone's name."
        )
