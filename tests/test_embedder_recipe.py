"""Recipes: what a fingerprint stands for never changes unnoticed, and everything that decides a vector is in it."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedder.backbones import BACKBONES
from embedder.errors import RecipeError, UnknownBackboneError
from embedder.geometry import Geometry
from embedder.recipe import DTYPES, FITS, POOLINGS, PRECISIONS, FrozenRecipe, Recipe

recipes = st.builds(
    Recipe,
    backbone=st.sampled_from(sorted(BACKBONES)),
    layer=st.none() | st.sampled_from(["conv_1", "block_3_expand_relu"]),
    pooling=st.sampled_from(POOLINGS),
    image_size=st.none() | st.integers(32, 2048),
    fit=st.sampled_from(FITS),
    precision=st.sampled_from(PRECISIONS),
    dtype=st.sampled_from(DTYPES),
)


@pytest.mark.parametrize(
    ("recipe", "space"),
    [
        (Recipe("ResNet50"), "ResNet50-9ae176e3af03"),
        (Recipe("MobileNetV2_1.4", pooling="max", precision="bfloat16"), "MobileNetV2_1.4-709f41f1760f"),
        (
            Recipe("xception", layer="add_3", image_size=160, fit="crop", dtype="float16"),
            "Xception-97125056b7e7",
        ),
    ],
)
def test_spaces_keep_their_names(recipe: Recipe, space: str) -> None:
    """These were written down when the format was fixed: stores on people's disks are named so."""
    assert recipe.freeze("sha256-00112233445566778899aabbccddeeff").space == space


def test_freezing_fills_in_the_backbones_own_values() -> None:
    frozen = Recipe("xception").freeze("sha256-1234")
    assert (frozen.backbone, frozen.image_size, frozen.weights) == ("Xception", 299, "sha256-1234")
    assert (frozen.color_order, frozen.mean, frozen.scale) == ("rgb", (127.5,) * 3, (127.5,) * 3)
    assert frozen.geometry == Geometry(299, "squash")
    assert not frozen.is_random
    other = Recipe("ResNet50", image_size=160, fit="crop").freeze("random-3")
    assert (other.color_order, other.mean) == ("bgr", (103.939, 116.779, 123.68))
    assert other.geometry == Geometry(160, "crop")
    assert other.is_random


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe("xception"),
        Recipe("ResNet50", image_size=160, fit="pad"),
        Recipe("VGG16", augment="flip", views=2),
    ],
)
def test_the_geometry_is_known_before_the_weights(recipe: Recipe) -> None:
    assert recipe.geometry == recipe.freeze("sha256-1234").geometry
    assert recipe.geometry.views == 1 + (recipe.views or 0)


OTHER_VALUES: dict[str, Any] = {
    "backbone": "ResNet101",
    "weights": "sha256-0",
    "layer": "conv4_block1_out",
    "pooling": "max",
    "image_size": 225,
    "fit": "pad",
    "resize": "pillow-bicubic",
    "color_order": "rgb",
    "mean": (103.939, 116.779, 123.681),
    "scale": (1.0, 1.0, 2.0),
    "precision": "bfloat16",
    "dtype": "float16",
    "augment": "flip",
    "views": 2,
    "scores": True,
}


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(FrozenRecipe)])
def test_every_field_is_in_the_fingerprint(field: str) -> None:
    frozen = Recipe("ResNet50").freeze("sha256-1234")
    changed = dataclasses.replace(frozen, **{field: OTHER_VALUES[field]})
    assert changed.fingerprint != frozen.fingerprint
    assert changed.space != frozen.space


@given(recipes, st.sampled_from(["random-0", "sha256-1234"]))
def test_a_recipe_survives_json(recipe: Recipe, weights: str) -> None:
    frozen = recipe.freeze(weights)
    again = FrozenRecipe.from_dict(json.loads(json.dumps(frozen.to_dict())))
    assert again == frozen
    assert again.space == frozen.space


@given(recipes, recipes)
def test_recipes_share_a_space_only_if_equal(one: Recipe, other: Recipe) -> None:
    assert (one.freeze("w") == other.freeze("w")) == (one.freeze("w").space == other.freeze("w").space)


def test_the_seed_matters_only_through_the_weights() -> None:
    assert Recipe("VGG16", seed=1).freeze("random-1") == Recipe("VGG16", seed=2).freeze("random-1")


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("pooling", "average", "Did you mean avg"),
        ("pooling", "maps", "expected avg, max, none"),
        ("fit", "sqash", "Did you mean squash"),
        ("precision", "bfloat", "Did you mean bfloat16"),
        ("precision", "float16", "expected float32, bfloat16"),
        ("dtype", "bfloat16", "expected float32, float16"),
        ("image_size", 31, "expected 32 to 2048"),
        ("image_size", 2049, "expected 32 to 2048"),
        ("image_size", -1, "expected 32 to 2048"),
        ("image_size", 0, "expected 32 to 2048"),
        (
            "preprocessing",
            "imagenet",
            r"raw \(0 to 255\), unit \(0 to 1\), symmetric \(-1 to 1\), caffe, torch",
        ),
    ],
)
def test_values_that_do_not_exist_are_refused(setting: str, value: Any, told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        Recipe("ResNet50", **{setting: value})


@pytest.mark.parametrize(
    ("said", "as_one_expects"),
    [
        ("raw", "EfficientNetB0"),
        ("symmetric", "Xception"),
        ("caffe", "VGG16"),
        ("torch", "DenseNet121"),
        ("resnet-50", "ResNet152"),
    ],
)
def test_preprocessing_can_be_said(said: str, as_one_expects: str) -> None:
    frozen = Recipe("MobileNetV2", preprocessing=said).freeze("sha256-1234")
    other = Recipe(as_one_expects).freeze("sha256-1234")
    assert (frozen.color_order, frozen.mean, frozen.scale) == (other.color_order, other.mean, other.scale)
    assert frozen.preprocessing == other.preprocessing
    assert Recipe("MobileNetV2", preprocessing="symmetric").freeze("w") == Recipe("MobileNetV2").freeze("w")


def test_a_preprocessing_without_a_name() -> None:
    frozen = dataclasses.replace(Recipe("VGG16").freeze("sha256-1234"), mean=(1.0, 2.0, 3.0))
    with pytest.raises(RecipeError, match=rf"{frozen.space} has no name"):
        _ = frozen.preprocessing


def test_class_scores_are_a_space_of_their_own_and_leave_other_recipes_alone() -> None:
    plain = Recipe("VGG16").freeze("sha256-1234")
    scores = Recipe("VGG16", scores=True, image_size=224).freeze("sha256-1234")
    assert "scores" not in plain.to_dict()
    assert scores.to_dict() == plain.to_dict() | {"scores": True}
    assert FrozenRecipe.from_dict(scores.to_dict()) == scores
    assert scores.space != plain.space


@pytest.mark.parametrize("setting", [{"layer": "block5_conv1"}, {"pooling": "none"}, {"image_size": 96}])
def test_class_scores_are_those_of_the_whole_backbone(setting: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="the whole VGG16 at 224 pixels"):
        Recipe("VGG16", scores=True, **setting)


def test_an_unknown_backbone_is_refused_at_once() -> None:
    with pytest.raises(UnknownBackboneError, match="Did you mean ResNet50"):
        Recipe("ResNet55")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"interpolation": "cubic"}, "interpolation"),
        ({"resize": "pillow-bicubic"}, "pillow-bicubic"),
        ({"augment": "flip"}, "1 views by flip"),
        ({"views": 2}, "Upgrade"),
    ],
)
def test_recipes_of_other_versions_are_refused(change: dict[str, Any], told: str) -> None:
    values = Recipe("ResNet50").freeze("sha256-1234").to_dict()
    with pytest.raises(RecipeError, match=told):
        FrozenRecipe.from_dict(values | change)
    del values["pooling"]
    with pytest.raises(RecipeError, match="pooling"):
        FrozenRecipe.from_dict(values)
