"""`.keras` files: a user's own as a backbone, loaded in safe mode and cut where its feature vector is; and ours."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from embedder.errors import RecipeError, WeightsError
from embedder.keras_models import (
    BuiltModel,
    check_own_precision,
    layer_output,
    output_of,
    reason_of,
    vector_model,
)
from embedder.own_models import read_keras_file
from embedder.recipe import Recipe
from store.commit import write_file
from store.keras_setup import load_keras


def build_keras_file(recipe: Recipe) -> BuiltModel:
    """Builds the backbone of a recipe that names a `.keras` file.

    Without a layer it is cut at its last global pooling, or else at its last feature map or sequence. Raises
    WeightsError if it cannot be loaded, RecipeError if it cannot be cut, EngineError for bfloat16: a model of
    one's own computes in the precision that it was saved in.
    """
    facts = read_keras_file(recipe.backbone)
    settled = recipe.settled(facts)
    check_own_precision(recipe)
    base = _with_input(_load(recipe.backbone), settled)
    output = _last_features(base, recipe) if recipe.layer is None else layer_output(base, recipe)
    return BuiltModel(vector_model(base, output, recipe.pooling), facts.digest, facts)


def write_keras_file(model: Any, out: Path, members: Mapping[str, str] = MappingProxyType({})) -> None:  # noqa: ANN401
    """Writes a Keras model, with texts as further members of its archive. The file appears only when it is whole.

    Raises StoreWriteError if it cannot be written.
    """
    with tempfile.TemporaryDirectory(dir=out.absolute().parent, prefix=".saving-") as place:
        file = Path(place, "model.keras")
        model.save(file)
        with zipfile.ZipFile(file, "a") as archive:
            for name, text in members.items():
                archive.writestr(name, text)
        write_file(out, file.read_bytes())


def _load(path: str) -> Any:  # noqa: ANN401
    try:
        return load_keras().models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises ValueError, TypeError and others, and what layers raise
        if "Lambda" in str(error):
            raise WeightsError(
                f"{path} has a Lambda layer, which is code in a file, and is not loaded. Build the model with a "
                "layer such as Rescaling in its place, copy the weights over, and save that."
            ) from error
        raise WeightsError(
            f"{path} could not be loaded ({reason_of(error)}). Expected a model of Keras's own layers, saved by "
            "Keras 3 with model.save('NAME.keras')."
        ) from error


def _with_input(model: Any, recipe: Recipe) -> Any:  # noqa: ANN401
    """The same model for any number of pictures of the recipe's size: a saved one may be tied to one batch."""
    keras = load_keras()
    if not isinstance(model, (keras.Sequential, keras.src.models.functional.Functional)):
        raise RecipeError(
            f"{recipe.backbone} is a model whose layers cannot be taken apart: expected one made with the "
            "functional API or keras.Sequential."
        )
    shape = (None, recipe.image_size, recipe.image_size, 3)
    if tuple(model.input_shape) == shape:
        return model
    copy = keras.models.clone_model(model, input_tensors=keras.Input(shape[1:]))
    copy.set_weights(model.get_weights())
    return copy


def _last_features(base: Any, recipe: Recipe) -> Any:  # noqa: ANN401
    """The output of the last global pooling, or what it pools if the recipe pools otherwise."""
    keras = load_keras()
    for layer in reversed(base.layers):
        if _pools_globally(layer):
            return (
                layer.input if recipe.pooling != "avg" and not hasattr(layer, "layers") else output_of(layer)
            )
    for layer in reversed(base.layers):
        if not isinstance(layer, keras.layers.InputLayer) and len(output_of(layer).shape) > 2:
            return output_of(layer)
    raise RecipeError(
        f"{recipe.backbone} has neither a global pooling nor a feature map: name a layer with --layer."
    )


def _pools_globally(layer: Any) -> bool:  # noqa: ANN401
    if hasattr(layer, "layers"):
        return _pools_globally(layer.layers[-1])
    return type(layer).__name__.startswith(("GlobalAveragePooling", "GlobalMaxPooling"))
