"""A backbone that is opened to be tuned: cut in two, its lower layers frozen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedder.engines import build_backbone
from embedder.errors import FinetuneError
from embedder.finetuning.cut import Cut, find_cut, first_trained
from embedder.keras_models import output_of
from embedder.own_models import ModelKind
from embedder.recipe import FrozenRecipe, Recipe
from store.keras_setup import load_keras


@dataclass(frozen=True)
class Tunable:
    """recipe: of the pooled vectors, as it was asked for; frozen: the same, with every value filled in.

    model: from preprocessed pictures (n, size, size, 3) to vectors (n, dim). upper: the part of it above the cut, which
    shares its layers; the whole model where there is no cut. cut: None if the photos themselves are trained on.
    """

    recipe: Recipe
    frozen: FrozenRecipe
    model: Any
    upper: Any
    cut: Cut | None

    @property
    def banked_at(self) -> Cut:
        """The cut. Raises FinetuneError if there is none."""
        if self.cut is None:
            raise FinetuneError("there is no cut, so there is nothing to bank.")
        return self.cut

    @property
    def activations(self) -> Recipe:
        """The recipe of what is banked: the feature maps at the cut."""
        return dataclasses.replace(self.recipe, layer=self.banked_at.layer, pooling="none")

    @property
    def space(self) -> str:
        """The id of the space that `activations` makes."""
        return dataclasses.replace(self.frozen, layer=self.banked_at.layer, pooling="none").space

    @property
    def dim(self) -> int:
        """The length of a pooled vector."""
        return int(self.model.output_shape[-1])

    def vectors(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """What `upper` takes, to pooled vectors (n, dim), as the layers are now. Raises FinetuneError."""
        return np.asarray(run(self._upper, inputs), np.float32)

    @cached_property
    def _upper(self) -> Any:  # noqa: ANN401
        import tensorflow as tf

        spec = tf.TensorSpec((None, *self.upper.input_shape[1:]), tf.float32)
        return tf.function(
            lambda inputs: self.upper(inputs, training=False), input_signature=(spec,), autograph=False
        )

    def weights_of(self, trained: bool) -> int:
        """How many numbers are trained, or are not."""
        all_of = sum(int(variable.shape.num_elements()) for variable in self.model.variables)
        moving = sum(int(variable.shape.num_elements()) for variable in self.upper.trainable_variables)
        return moving if trained else all_of - moving

    def describe(self) -> str:
        """One sentence: where it is cut, and how much is trained."""
        layers, cut = self.model.layers, self.cut
        moving, still = self.weights_of(trained=True), self.weights_of(trained=False)
        first = next(number for number, layer in enumerate(layers) if layer.trainable)
        where = f"it is trained from layer {first} ({layers[first].name}) on"
        if cut is None:
            how = ", end to end"
        else:
            above = cut.frozen_above
            between = f", and {above} more frozen layers run with what is trained" if above else ""
            how = f" and cut after {cut.layer}{between}"
        return (
            f"{self.frozen.backbone} has {len(layers)} layers; {where}{how}: {moving:,} weights are trained, "
            f"{still:,} stay as they are."
        )


def open_tunable(recipe: Recipe, from_layer: int | str, plain: bool = False) -> Tunable:
    """Builds the backbone of `recipe`, in float32, and freezes the layers before `from_layer`.

    plain: without a cut, to train on photos. Raises FinetuneError if it cannot be cut there, and what
    `build_backbone` raises.
    """
    check_tunable(recipe)
    built = build_backbone(dataclasses.replace(recipe, precision="float32", augment=None, views=None))
    keras, model = load_keras(), built.model
    if keras.backend.backend() != "tensorflow":
        raise FinetuneError(
            f"fine-tuning runs on TensorFlow, and Keras runs on {keras.backend.backend()} here: unset KERAS_BACKEND."
        )
    first = first_trained(model, from_layer, recipe.backbone)
    cut = None if plain else find_cut(model, first)
    if cut is None and not plain:
        raise FinetuneError(
            f"--from-layer {from_layer}: no frozen layer below it carries everything that is above, so there is "
            "nothing to bank. Name a later layer, or train end to end with --plain."
        )
    upper = model
    if cut is not None:
        upper = keras.Model(output_of(model.get_layer(cut.layer)), model.outputs[0])
    for number, layer in enumerate(model.layers):
        layer.trainable = number >= first
    return Tunable(recipe, built.freeze(recipe), model, upper, cut)


def check_tunable(recipe: Recipe) -> None:
    """Raises FinetuneError for a recipe whose backbone cannot be tuned, before anything is loaded."""
    if recipe.kind is ModelKind.SAVED_MODEL:
        raise FinetuneError(
            f"{recipe.backbone} is a SavedModel, whose layers cannot be taken apart: fine-tune a name of `embank "
            "backbones` or a .keras file."
        )
    if recipe.layer is not None or recipe.scores or recipe.pooling != "avg":
        what = "of class scores" if recipe.scores else f"cut at {recipe.layer} or not pooled by average"
        raise FinetuneError(
            f"fine-tuning takes a whole backbone with average pooling; this recipe is {what}. Name the backbone with "
            "--backbone, or a space of its pooled vectors."
        )


def run(function: Callable[..., Any], *arrays: NDArray[Any]) -> Any:  # noqa: ANN401
    """What a compiled function makes of arrays. Raises FinetuneError if they are too much for the memory."""
    import tensorflow as tf

    try:
        return function(*arrays)
    except tf.errors.ResourceExhaustedError as error:
        raise FinetuneError(
            f"there is not enough memory for a batch of {len(arrays[0])} images: lower --batch-size, or train fewer "
            "layers with a later --from-layer."
        ) from error
