"""Where networks are cut: after the latest frozen layer that everything above passes through."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from embedder.errors import FinetuneError
from embedder.finetuning.cut import find_cut, first_trained
from embedder.keras_models import build_model, output_of
from embedder.recipe import Recipe

pytestmark = pytest.mark.keras


def residual() -> Any:
    """stem, then a block `a` (two convolutions beside a shortcut), then `b`: tensors lie side by side within each."""
    import keras

    layers = keras.layers
    pixels = keras.Input((8, 8, 3), name="pictures")
    x = layers.Conv2D(4, 3, padding="same", name="stem")(pixels)
    for name in "ab":
        inner = layers.Conv2D(4, 3, padding="same", name=f"{name}_1")(x)
        inner = keras.ops.relu(inner)  # an operation that is no layer
        inner = layers.Conv2D(4, 3, padding="same", name=f"{name}_2")(inner)
        x = layers.Add(name=f"{name}_add")([x, inner])
    return keras.Model(pixels, layers.GlobalAveragePooling2D(name="pool")(x))


@pytest.fixture(scope="module")
def model() -> Any:
    return residual()


@pytest.mark.parametrize(
    ("from_layer", "cut", "frozen_above"),
    [
        ("a_1", "stem", 0),
        ("a_2", "stem", 1),
        ("a_add", "stem", 2),
        ("b_1", "a_add", 0),
        ("b_2", "a_add", 1),
        (5, "a_add", 0),
        (6, "a_add", 1),
    ],
)
def test_it_is_cut_where_tensors_meet(model: Any, from_layer: str | int, cut: str, frozen_above: int) -> None:
    names = [layer.name for layer in model.layers]
    assert names == ["pictures", "stem", "a_1", "a_2", "a_add", "b_1", "b_2", "b_add", "pool"]
    first = first_trained(model, from_layer, "mine")
    found = find_cut(model, first)
    assert found is not None
    assert (found.layer, found.shape, found.frozen_above) == (cut, (8, 8, 4), frozen_above)
    assert names.index(cut) + frozen_above + 1 == first


@pytest.mark.parametrize("first", [0, 1])
def test_the_pictures_themselves_are_no_cut(model: Any, first: int) -> None:
    assert find_cut(model, first) is None


def test_both_halves_make_the_whole(model: Any) -> None:
    import keras

    pixels = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    whole = np.asarray(model(pixels))
    tensor = output_of(model.get_layer("a_add"))
    lower, upper = keras.Model(model.inputs[0], tensor), keras.Model(tensor, model.outputs[0])
    assert np.allclose(whole, np.asarray(upper(lower(pixels))))


def test_a_layer_that_is_used_twice_is_no_cut() -> None:
    import keras

    pixels = keras.Input((8, 8, 3))
    twice = keras.layers.Conv2D(3, 1, name="twice")
    x = twice(twice(keras.layers.Conv2D(3, 1, name="once")(pixels)))
    model = keras.Model(pixels, keras.layers.Conv2D(2, 1, name="top")(x))
    found = find_cut(model, first_trained(model, "top", "mine"))
    assert found is not None
    assert found.layer == "once"


@pytest.mark.parametrize(
    ("from_layer", "sentence"),
    [
        (9, "--from-layer 9: mine has 9 layers, so expected 0 to 8"),
        ("b_3", r"--from-layer b_3: mine has no such layer. Nearest: b_2, b_1"),
        ("pool", "nothing to tune"),
    ],
)
def test_a_layer_that_cannot_be_the_first_is_refused(
    model: Any, from_layer: str | int, sentence: str
) -> None:
    with pytest.raises(FinetuneError, match=sentence):
        first_trained(model, from_layer, "mine")


def test_layers_that_keras_numbers_keep_their_names_in_one_process() -> None:
    """Xception's `add_3` would be called `add_15` the second time, and a recipe that names it would not find it."""
    names = [
        [layer.name for layer in build_model(Recipe("Xception", "none", image_size=71)).model.layers]
        for _ in range(2)
    ]
    assert names[0] == names[1]
    assert "add_3" in names[0]
