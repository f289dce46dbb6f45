"""Own `.keras` files as backbones: cut where the features are, told apart by what they compute, never running code."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from embedder.engines import open_engine, open_engine_for
from embedder.errors import EngineError, RecipeError, WeightsError
from embedder.own_models import read_keras_file
from embedder.recipe import Recipe
from embedder.weights import known_recipe, recipe_settings

pytestmark = pytest.mark.keras

SIZE = 32
BATCH = 4


def pictures(count: int = 5) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)


def run(engine: Any, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
    starts = range(0, len(batch), engine.batch_size)
    return np.concatenate([engine(batch[start : start + engine.batch_size]) for start in starts])


def same(ours: NDArray[np.float32], expected: NDArray[np.float32]) -> bool:
    return ours.shape == expected.shape and bool(np.allclose(ours, expected, rtol=1e-3, atol=1e-3))


def network(*first: Any, seed: int = 0, size: int | None = SIZE, activation: str = "relu") -> Any:
    """A classifier of three classes: convolutions, a global pooling called `pool`, a dense layer."""
    import keras

    keras.utils.set_random_seed(seed)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            *first,
            layers.Conv2D(4, 3, activation=activation, name="low"),
            layers.Conv2D(6, 3, strides=2, name="high"),
            layers.GlobalAveragePooling2D(name="pool"),
            layers.Dense(3, name="classes"),
        ]
    )


def saved(model: Any, path: Path) -> str:
    model.save(path)
    return str(path)


@pytest.fixture(scope="module")
def model() -> Any:
    return network()


@pytest.fixture(scope="module")
def place(model: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    return saved(model, tmp_path_factory.mktemp("models") / "my net.keras")


def output(model: Any, layer: str, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    import keras

    part = keras.Model(model.inputs[0], model.get_layer(layer).output)
    return np.asarray(part.predict_on_batch(pixels))


@pytest.mark.parametrize("engine", ["openvino", "keras"])
def test_it_is_cut_at_its_last_global_pooling(model: Any, place: str, engine: str) -> None:
    recipe = Recipe(place, preprocessing="unit")
    opened = open_engine(recipe, engine, BATCH)
    pixels = pictures().astype(np.float32) / np.float32(255)
    assert same(run(opened, pictures()), output(model, "pool", pixels))
    assert (opened.recipe.backbone, opened.recipe.image_size, opened.shape) == ("my_net", SIZE, (6,))
    assert known_recipe(recipe) == opened.recipe
    maps = output(model, "high", pixels)
    for pooling, expected in (("max", maps.max((1, 2))), ("none", maps.reshape(5, -1))):
        other = open_engine(Recipe(place, pooling=pooling, preprocessing="unit"), engine, BATCH)
        assert same(run(other, pictures()), expected)
        assert other.shape == (maps.shape[1:] if pooling == "none" else (6,))


@pytest.mark.parametrize(
    ("layer", "pooling"),
    [("low", "avg"), ("low", "max"), ("low", "none"), ("classes", "avg"), ("classes", "none")],
)
def test_it_is_cut_at_a_named_layer(model: Any, place: str, layer: str, pooling: str) -> None:
    opened = open_engine(
        Recipe(place, layer=layer, pooling=pooling, preprocessing="symmetric"), "keras", BATCH
    )
    expected = output(model, layer, pictures().astype(np.float32) / np.float32(127.5) - 1)
    if layer == "low":
        expected = {
            "avg": expected.mean((1, 2)),
            "max": expected.max((1, 2)),
            "none": expected.reshape(5, -1),
        }[pooling]
    assert same(run(opened, pictures()), expected)
    assert opened.dim == expected.shape[1]


def test_an_unknown_layer(place: str) -> None:
    with pytest.raises(RecipeError, match=r"no layer 'hihg'. Nearest: high"):
        open_engine(Recipe(place, layer="hihg", preprocessing="unit"), "keras")


def test_models_within_models_and_without_a_pooling(tmp_path: Path) -> None:
    import keras

    layers = keras.layers
    pixels = pictures().astype(np.float32)

    def base(*last: Any) -> Any:
        start = keras.Input((SIZE, SIZE, 3))
        end = layers.Conv2D(5, 3, activation="relu", name="inner_conv")(start)
        for layer in last:
            end = layer(end)
        return keras.Model(start, end, name="base")

    whole = keras.Sequential(
        [keras.Input((SIZE, SIZE, 3)), base(layers.GlobalMaxPooling2D()), layers.Dense(2)]
    )
    maps = keras.Sequential([keras.Input((SIZE, SIZE, 3)), base(), layers.Flatten(), layers.Dense(2)])
    tokens = keras.Sequential(
        [keras.Input((SIZE, SIZE, 3)), base(), layers.Reshape((-1, 5)), layers.Dense(4, name="tokens"),
         layers.Flatten(), layers.Dense(2)]
    )  # fmt: skip
    cases = [
        (whole, whole.get_layer("base")(pixels)),
        (maps, np.asarray(maps.get_layer("base")(pixels)).mean((1, 2))),
        (tokens, output(tokens, "tokens", pixels).mean(1)),
    ]
    for number, (each, expected) in enumerate(cases):
        recipe = Recipe(saved(each, tmp_path / f"{number}.keras"), preprocessing="raw")
        engine = open_engine(recipe, "openvino", BATCH)
        assert np.allclose(run(engine, pictures()), np.asarray(expected), rtol=1e-3, atol=1e-1)
    flat = keras.Sequential([keras.Input((SIZE, SIZE, 3)), layers.Flatten(), layers.Dense(2)])
    with pytest.raises(RecipeError, match="neither a global pooling nor a feature map: name a layer"):
        open_engine(Recipe(saved(flat, tmp_path / "flat.keras"), preprocessing="raw"))


def test_a_model_of_any_size_or_of_a_fixed_batch(tmp_path: Path) -> None:
    import keras

    any_size = network(size=None)
    recipe = Recipe(saved(any_size, tmp_path / "any.keras"), preprocessing="unit", image_size=SIZE)
    expected = output(any_size, "pool", pictures().astype(np.float32) / np.float32(255))
    assert same(run(open_engine(recipe, "keras", BATCH), pictures()), expected)
    assert known_recipe(Recipe(recipe.backbone, preprocessing="unit")).image_size == 224  # type: ignore[union-attr]
    called = keras.Sequential([keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D(name="pool")])
    called(np.zeros((1, SIZE, SIZE, 3), np.float32))
    recipe = Recipe(saved(called, tmp_path / "one.keras"), preprocessing="unit")
    expected = np.concatenate([called(row[None] / np.float32(255)) for row in pictures()])
    assert same(run(open_engine(recipe, "keras", BATCH), pictures()), expected)
    fixed = Recipe(saved(network(), tmp_path / "fixed.keras"), preprocessing="unit", image_size=64)
    with pytest.raises(RecipeError, match="takes pictures of 32 pixels, not of 64"):
        known_recipe(fixed)


def test_preprocessing_must_be_said_unless_the_model_does_it(place: str, tmp_path: Path) -> None:
    import keras

    with pytest.raises(RecipeError, match=r"wrong ones give bad vectors without any error.*--preprocessing"):
        known_recipe(Recipe(place))
    with pytest.raises(RecipeError, match="--preprocessing"):
        open_engine(Recipe(place))
    layers = keras.layers
    own = {
        "rescaling": [layers.Rescaling(1 / 255)],
        "normalization": [layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 4.0, 4.0])],
        "augmented": [layers.RandomFlip(), layers.RandomRotation(0.1), layers.Rescaling(1 / 255)],
        "nested": [keras.Sequential([keras.Input((SIZE, SIZE, 3)), layers.Rescaling(1 / 255)])],
    }
    for name, first in own.items():
        model = network(*first)
        engine = open_engine(Recipe(saved(model, tmp_path / f"{name}.keras")), "keras", BATCH)
        assert engine.recipe.preprocessing == "raw"
        assert same(run(engine, pictures()), output(model, "pool", pictures().astype(np.float32)))


def test_digests_tell_models_apart_by_what_they_compute(tmp_path: Path) -> None:
    model = network()
    first = read_keras_file(saved(model, tmp_path / "first.keras"))
    assert first.digest.startswith("model-")
    model.compile("adam", "mse")
    model.fit(np.zeros((2, SIZE, SIZE, 3)), np.zeros((2, 3)), verbose=0)
    model.set_weights(network().get_weights())
    assert read_keras_file(saved(model, tmp_path / "compiled.keras")).digest == first.digest
    shutil.copy(tmp_path / "first.keras", tmp_path / "renamed.keras")
    assert read_keras_file(str(tmp_path / "renamed.keras")) == first
    others = {
        read_keras_file(saved(other, tmp_path / f"other{number}.keras")).digest
        for number, other in enumerate([network(seed=1), network(activation="tanh")])
    }
    assert len(others | {first.digest}) == 3


def test_a_recipe_finds_its_file_again(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBANK_CACHE", str(tmp_path / "cache"))
    mine = shutil.copy(place, tmp_path / "mine.keras")
    opened = open_engine(
        Recipe(str(mine), layer="low", pooling="max", preprocessing="VGG16"), "openvino", BATCH
    )
    frozen = opened.recipe
    settings = recipe_settings(frozen)
    assert (settings.backbone, settings.preprocessing, settings.layer) == (str(mine), "caffe", "low")
    assert open_engine_for(frozen, settings, "openvino", BATCH).recipe == frozen
    Path(mine).unlink()
    with pytest.raises(
        WeightsError, match=r"the model that mine-\w+ was made with .* not known on this machine"
    ):
        recipe_settings(frozen)
    other = saved(network(seed=9), tmp_path / "mine2.keras")
    with pytest.raises(WeightsError, match=r"mine2\.keras are not those that mine-"):
        open_engine_for(frozen, recipe_settings(frozen, other), "openvino", BATCH)


def test_every_damage_of_a_compressed_file_is_said(place: str, tmp_path: Path) -> None:
    packed = tmp_path / "packed.keras"
    with zipfile.ZipFile(place) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("config.json", "model.weights.h5"):
            archive.writestr(name, source.read(name))
        weights = archive.getinfo("model.weights.h5")
    whole = packed.read_bytes()
    assert read_keras_file(str(packed)).digest == read_keras_file(place).digest
    start = weights.header_offset + 30 + len(weights.filename)  # APPNOTE.TXT 4.3.7
    for number in range(start, start + weights.compress_size, 97):
        damaged = bytearray(whole)
        damaged[number] ^= 0xFF
        packed.write_bytes(damaged)
        with pytest.raises(WeightsError, match="not a model that Keras 3 saved, or is damaged"):
            read_keras_file(str(packed))


def test_files_that_are_refused(tmp_path: Path, place: str) -> None:
    import keras

    layers = keras.layers
    code = network(layers.Rescaling(1.0), layers.Lambda(lambda pixels: pixels * 2))
    with pytest.raises(WeightsError, match="has a Lambda layer, which is code in a file, and is not loaded"):
        open_engine(Recipe(saved(code, tmp_path / "code.keras")))
    with pytest.raises(RecipeError, match=r"old\.h5 is not read as a model: .*hold code.*\.keras"):
        Recipe("old.h5")
    (tmp_path / "text.keras").write_text("no model")
    with zipfile.ZipFile(tmp_path / "empty.keras", "w") as archive:
        archive.writestr("config.json", "[]")
    (tmp_path / "cut.keras").write_bytes(Path(place).read_bytes()[:-300])
    for name in ("text", "empty", "cut"):
        with pytest.raises(
            WeightsError, match=rf"{name}\.keras is not a model that Keras 3 saved, or is damaged"
        ):
            open_engine(Recipe(str(tmp_path / f"{name}.keras"), preprocessing="raw"))
    grey = keras.Sequential([keras.Input((SIZE, SIZE, 1)), layers.Conv2D(2, 3)])
    with pytest.raises(RecipeError, match=r"takes \(None, 32, 32, 1\): expected"):
        open_engine(Recipe(saved(grey, tmp_path / "grey.keras"), preprocessing="raw"))
    two = [keras.Input((SIZE, SIZE, 3)), keras.Input((SIZE, SIZE, 3))]
    both = keras.Model(two, layers.Add()(two))
    with pytest.raises(RecipeError, match="does not take one picture"):
        open_engine(Recipe(saved(both, tmp_path / "both.keras"), preprocessing="raw"))
    with pytest.raises(EngineError, match="--engine openvino"):
        open_engine(Recipe(place, preprocessing="raw", precision="bfloat16"), "keras")
