"""The table of backbones: names as people write them, and each row compared with Keras itself."""

import importlib
import inspect
import pkgutil

import numpy as np
import pytest

from embedder.backbones import BACKBONES, find_backbone
from embedder.errors import EmbedderError, UnknownBackboneError

CHEAP = ["MobileNetV2_0.35", "MobileNetV2_1.4", "MobileNet_0.25", "MobileNetV3Small", "ResNet50V2", "VGG16"]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("ResNet50", "ResNet50"),
        ("resnet-50", "ResNet50"),
        ("RESNET_50", "ResNet50"),
        ("resnet101v2", "ResNet101V2"),
        ("Inception v3", "InceptionV3"),
        ("vgg16", "VGG16"),
        ("MobileNetV2", "MobileNetV2"),
        ("mobilenetv2_1.0", "MobileNetV2"),
        ("MobileNetV2(alpha=1)", "MobileNetV2"),
        ("MobileNetV2_1.00", "MobileNetV2"),
        ("MobileNetV2_1.4", "MobileNetV2_1.4"),
        ("mobilenet_v2_1.40", "MobileNetV2_1.4"),
        ("MobileNetV2(alpha=1.4)", "MobileNetV2_1.4"),
        ("mobilenetv2_0.35", "MobileNetV2_0.35"),
        ("mobilenet_1.0", "MobileNet"),
        ("MobileNet(alpha=0.50)", "MobileNet_0.5"),
        ("mobilenet_0.25", "MobileNet_0.25"),
        ("efficientnet-b0", "EfficientNetB0"),
        ("EfficientNetV2-S", "EfficientNetV2S"),
    ],
)
def test_names_are_found_however_they_are_written(written: str, name: str) -> None:
    assert find_backbone(written).name == name


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_is_found_by_its_own_name(name: str) -> None:
    assert find_backbone(name) is BACKBONES[name]
    assert find_backbone(name.upper()) is BACKBONES[name]


@pytest.mark.parametrize(
    ("written", "near"),
    [
        ("ResNet5O", "ResNet50"),
        ("Xeption", "Xception"),
        ("mobilnetv2_1.4", "MobileNetV2_1.4"),
        ("InceptionV4", "InceptionV3"),
    ],
)
def test_the_nearest_name_is_suggested(written: str, near: str) -> None:
    with pytest.raises(UnknownBackboneError) as raised:
        find_backbone(written)
    assert f"{written!r}. Did you mean {near}?" in str(raised.value)


def test_an_unlike_name_gets_no_suggestion() -> None:
    with pytest.raises(KeyError, match="embank backbones") as raised:
        find_backbone("qqq")
    assert isinstance(raised.value, EmbedderError)
    assert "Did you mean" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "size", "dim"),
    [
        ("ResNet50", 224, 2048),
        ("ResNet101V2", 224, 2048),
        ("Xception", 299, 2048),
        ("InceptionV3", 299, 2048),
        ("VGG16", 224, 512),
        ("MobileNetV2", 224, 1280),
        ("MobileNetV2_1.4", 224, 1792),
    ],
)
def test_sizes_that_people_rely_on(name: str, size: int, dim: int) -> None:
    """What builds on these, without Keras; that Keras agrees on the dimensions is in test_embedder_engines."""
    assert (BACKBONES[name].size, BACKBONES[name].dim) == (size, dim)


def test_what_a_backbone_expects_is_said_in_words() -> None:
    described = {name: row.preprocessing.describe() for name, row in BACKBONES.items()}
    assert described["Xception"] == "RGB in [-1, 1]"
    assert described["ResNet50"] == "BGR, minus ImageNet's mean"
    assert described["EfficientNetB0"] == "RGB in [0, 255]"
    assert "deviation" in described["DenseNet121"]


@pytest.mark.keras
def test_every_row_preprocesses_as_keras_does() -> None:
    from embedder.keras_engine import preprocess
    from embedder.recipe import Recipe

    pictures = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    given = pictures.copy()
    wrong = {}
    for name, row in BACKBONES.items():
        module = importlib.import_module(f"keras.applications.{row.module}")
        expected = module.preprocess_input(pictures.astype(np.float32))
        ours = preprocess(pictures, Recipe(name).freeze("any"))
        assert ours.dtype == np.float32
        wrong[name] = float(np.abs(ours - expected).max())
    assert {name: error for name, error in wrong.items() if error > 1e-5} == {}
    assert np.array_equal(pictures, given)


@pytest.mark.keras
def test_every_model_of_keras_has_a_row() -> None:
    """A model is what keras.applications or a submodule of it offers that takes `include_top` and `weights`."""
    import keras

    models = {}
    names = [module.name for module in pkgutil.iter_modules(keras.applications.__path__)]
    modules = [importlib.import_module(f"keras.applications.{name}") for name in names]
    for offered in [keras.applications, *modules]:
        for name, each in vars(offered).items():
            if callable(each) and {"include_top", "weights"} <= set(inspect.signature(each).parameters):
                models[name] = each
    assert models.keys() >= {name for name in dir(keras.applications) if name[0].isupper()}
    assert models.keys() == {row.builder for row in BACKBONES.values()}
    for row in BACKBONES.values():
        assert models[row.builder] is getattr(keras.applications, row.builder)
        assert models[row.builder].__module__.rpartition(".")[2] == row.module


@pytest.mark.keras
@pytest.mark.parametrize("name", CHEAP)
def test_cheap_rows_have_the_size_and_dimensions_of_keras(name: str) -> None:
    """Keras gives a model with classifier its native size, when it is told nothing else (MobileNetV3 none)."""
    import keras

    row = BACKBONES[name]
    builder = getattr(keras.applications, row.builder)
    whole = builder(weights=None, **row.options)
    assert whole.input_shape[1] in ((None,) if row.module == "mobilenet_v3" else (row.size,))
    assert whole.output_shape == (None, 1000)
    pooled = builder(weights=None, include_top=False, pooling="avg", **row.options)
    assert pooled.output_shape == (None, row.dim)
