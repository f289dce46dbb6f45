"""SavedModels and hub modules, made here and loaded through the real tensorflow-hub: vectors equal their own output."""

from __future__ import annotations

import functools
import gc
import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from embedder.engines import open_engine, open_engine_for
from embedder.errors import EngineError, RecipeError, WeightsError
from embedder.own_models import folder_digest, short_name
from embedder.recipe import Recipe
from embedder.weights import known_digest, known_recipe, recipe_settings
from store.space import SPACE_NAME

pytestmark = pytest.mark.keras

SIZE = 32
ENGINES = ("openvino", "keras")
BATCH = 4


def pictures(count: int = 5, size: int = SIZE) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def run(engine: Any, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
    starts = range(0, len(batch), engine.batch_size)
    return np.concatenate([engine(batch[start : start + engine.batch_size]) for start in starts])


@functools.cache
def network() -> Any:
    """A convolution with weights of its own, then the mean; and what else modules put out."""
    import tensorflow as tf

    class Network(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            rng = np.random.default_rng(0)
            self.kernel = tf.Variable(rng.standard_normal((3, 3, 3, 7)).astype(np.float32))

        def maps(self, pixels: Any) -> Any:
            return tf.nn.relu(tf.nn.conv2d(pixels, self.kernel, 2, "VALID"))

        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32)]
        )
        def __call__(self, pixels: Any) -> Any:
            return tf.reduce_mean(self.maps(pixels), (1, 2))

        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[tf.TensorSpec((None, SIZE, SIZE, 3), tf.float32)]
        )
        def both(self, pixels: Any) -> Any:
            maps = self.maps(pixels)
            return {"maps": maps, "vectors": tf.reduce_mean(maps, (1, 2))}

        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[tf.TensorSpec((None, SIZE, SIZE, 3), tf.float32)]
        )
        def only_vectors(self, pixels: Any) -> Any:
            return {"vectors": tf.reduce_mean(self.maps(pixels), (1, 2))}

    return Network()


def own_output(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What a person gets who follows the documentation of hub modules: [0, 1] in, vectors out."""
    return np.asarray(network()(batch.astype(np.float32) / 255))


def save(folder: Path, *signatures: str) -> Path:
    """The network as a SavedModel: callable if no signature is named, else with these alone."""
    import tensorflow as tf

    module = network()
    if not signatures:
        tf.saved_model.save(module, str(folder))
        return folder
    only = tf.Module()
    only.kernel = module.kernel
    tf.saved_model.save(only, str(folder), signatures={name: getattr(module, name) for name in signatures})
    return folder


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("signatures", [(), ("only_vectors",)], ids=["callable", "signature"])
def test_vectors_are_the_modules_own_output(tmp_path: Path, engine: str, signatures: tuple[str, ...]) -> None:
    place = save(tmp_path / "tiny net-v2", *signatures)
    recipe = Recipe(str(place), image_size=None if signatures else SIZE)
    opened = open_engine(recipe, engine, BATCH)
    assert (opened.shape, opened.dim) == ((7,), 7)
    assert np.allclose(run(opened, pictures()), own_output(pictures()), rtol=1e-4, atol=1e-5)
    frozen = opened.recipe
    assert (frozen.backbone, frozen.image_size, frozen.preprocessing) == ("tiny_net_v2", SIZE, "unit")
    assert SPACE_NAME.fullmatch(frozen.space)
    assert known_recipe(recipe) == frozen


def test_a_model_that_keras_exported(tmp_path: Path) -> None:
    import keras

    model = keras.Sequential(
        [keras.Input((SIZE, SIZE, 3)), keras.layers.Conv2D(4, 3), keras.layers.GlobalMaxPooling2D()]
    )
    model.export(str(tmp_path / "exported"), verbose=False)
    expected = model.predict_on_batch(pictures().astype(np.float32) / 255)
    for engine in ENGINES:
        opened = open_engine(Recipe(str(tmp_path / "exported")), engine, BATCH)
        assert np.allclose(run(opened, pictures()), expected, rtol=1e-4, atol=1e-5)


def test_a_size_that_any_will_do_for_is_224(tmp_path: Path) -> None:
    opened = open_engine(Recipe(str(save(tmp_path / "any"))), "keras", 2)
    assert opened.recipe.image_size == 224
    with pytest.raises(RecipeError, match="takes pictures of 32 pixels, not of 64"):
        open_engine(Recipe(str(save(tmp_path / "fixed", "only_vectors")), image_size=64), "keras")


@pytest.mark.parametrize("engine", ENGINES)
def test_an_output_is_named_by_layer(tmp_path: Path, engine: str) -> None:
    place = str(save(tmp_path / "both", "both"))
    with pytest.raises(RecipeError, match=r"has several outputs: name one with --layer, of maps, vectors"):
        open_engine(Recipe(place), engine)
    with pytest.raises(RecipeError, match=r"has no output 'map': name one"):
        open_engine(Recipe(place, layer="map"), engine)
    maps = np.asarray(network().maps(pictures().astype(np.float32) / 255))
    expected = {"none": maps.reshape(len(maps), -1), "max": maps.max((1, 2)), "avg": maps.mean((1, 2))}
    for pooling, vectors in expected.items():
        opened = open_engine(Recipe(place, layer="maps", pooling=pooling), engine, BATCH)
        assert opened.shape == ((15, 15, 7) if pooling == "none" else (7,))
        assert opened.dim == vectors.shape[1]
        assert np.allclose(run(opened, pictures()), vectors, rtol=1e-4, atol=1e-5)
    by_name = open_engine(Recipe(place, layer="vectors"), engine, BATCH)
    assert np.allclose(run(by_name, pictures()), own_output(pictures()), rtol=1e-4, atol=1e-5)


def test_preprocessing_can_be_said_otherwise(tmp_path: Path) -> None:
    place = str(save(tmp_path / "net", "only_vectors"))
    opened = open_engine(Recipe(place, preprocessing="resnet50"), "openvino", BATCH)
    turned = pictures()[..., ::-1].astype(np.float32) - np.asarray([103.939, 116.779, 123.68], np.float32)
    assert np.allclose(run(opened, pictures()), np.asarray(network()(turned)), rtol=1e-4, atol=1e-2)
    assert opened.recipe != known_recipe(Recipe(place))


def test_the_digest_is_that_of_what_decides_the_vectors(tmp_path: Path) -> None:
    place = save(tmp_path / "net", "only_vectors")
    digest = folder_digest(place)
    assert digest.startswith("model-")
    (place / "fingerprint.pb").write_bytes(b"another export of the same")
    assert folder_digest(place) == digest
    for path in sorted(place.rglob("*")):
        if path.is_file() and path.name != "fingerprint.pb":
            sound = path.read_bytes()
            path.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
            assert folder_digest(place) != digest, path
            path.write_bytes(sound)
    (place / "assets" / "words.txt").write_text("one more")
    assert folder_digest(place) != digest


def test_a_recipe_finds_its_model_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBANK_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "net", "both")
    recipe = Recipe("net", layer="vectors", fit="crop", preprocessing="symmetric")
    assert known_digest(recipe) is None
    opened = open_engine(recipe, "openvino", BATCH)
    frozen = opened.recipe
    monkeypatch.chdir("/")
    settings = recipe_settings(frozen)
    assert settings.backbone == str(tmp_path / "net")
    again = open_engine_for(frozen, settings, "openvino", BATCH)
    assert np.array_equal(run(again, pictures()), run(opened, pictures()))
    (tmp_path / "net").rename(tmp_path / "moved")
    with pytest.raises(WeightsError, match=rf"the model that {frozen.space} .* is not known .* --weights"):
        recipe_settings(frozen)
    moved = recipe_settings(frozen, str(tmp_path / "moved"))
    assert open_engine_for(frozen, moved, "openvino", BATCH).recipe == frozen
    other = save(tmp_path / "other" / "net", "only_vectors")
    with pytest.raises((WeightsError, RecipeError)):
        open_engine_for(frozen, recipe_settings(frozen, str(other)), "openvino", BATCH)


@pytest.mark.parametrize(
    ("backbone", "told"),
    [
        (
            "./no/such/folder",
            r"there is no SavedModel at \./no/such/folder: expected a folder with saved_model\.pb",
        ),
        ("no-such.keras", r"there is no Keras model at no-such\.keras"),
        (
            "https://example.org/a.keras",
            r"there is no Keras model at https.*: expected a file of this machine",
        ),
    ],
)
def test_a_model_that_is_not_there_is_said_before_anything_else(backbone: str, told: str) -> None:
    with pytest.raises(WeightsError, match=told):
        known_digest(Recipe(backbone))


def test_what_is_no_model_of_pictures_is_said(tmp_path: Path) -> None:
    import tensorflow as tf

    two = tf.Module()
    spec = tf.TensorSpec((None, 4), tf.float32)
    two.add = tf.function(lambda a, b: {"sum": a + b}, input_signature=[spec, spec])
    tf.saved_model.save(two, str(tmp_path / "two"), signatures=two.add)
    with pytest.raises(RecipeError, match=r"takes 2 inputs \(a, b\)"):
        open_engine(Recipe(str(tmp_path / "two")), "keras")
    one = tf.Module()
    one.twice = tf.function(lambda a: {"twice": 2 * a}, input_signature=[spec])
    tf.saved_model.save(one, str(tmp_path / "one"), signatures=one.twice)
    with pytest.raises(RecipeError, match=r"takes \(None, 4\): expected \(n, height, width, 3\)"):
        open_engine(Recipe(str(tmp_path / "one")), "keras")
    tf.saved_model.save(tf.Module(), str(tmp_path / "empty"))
    with pytest.raises(RecipeError, match="neither callable nor has it a signature called serving_default"):
        open_engine(Recipe(str(tmp_path / "empty")), "keras")
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "saved_model.pb").write_bytes(b"\x01no protocol buffer")
    with pytest.raises(WeightsError, match="could not be loaded as a SavedModel"):
        open_engine(Recipe(str(tmp_path / "torn")), "keras")


def test_settings_that_a_saved_model_cannot_follow(tmp_path: Path) -> None:
    place = str(save(tmp_path / "net", "only_vectors"))
    with pytest.raises(RecipeError, match="brings its own weights"):
        Recipe(place, weights="none")
    with pytest.raises(RecipeError, match="class scores are for the ImageNet backbones"):
        Recipe(place, scores=True)
    with pytest.raises(EngineError, match="--engine openvino"):
        open_engine(Recipe(place, precision="bfloat16"), "keras")


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("https://tfhub.dev/google/imagenet/mobilenet_v2_100_224/feature_vector/5", "mobilenet_v2_100_224"),
        ("https://example.org/models/my-net.v1/1?x=y", "my_net.v1"),
        ("https://www.kaggle.com/models/google/mobilenet-v2/TensorFlow2/100-224-feature-vector/2",
         "100_224_feature_vector"),
        ("gs://bucket/models/übung", "bung"),
        ("https://example.org/", "model"),
        ("some/folder/net.keras", "net"),
        ("some/folder/", "folder"),
        ("-.keras", "model"),
    ],
)  # fmt: skip
def test_names_of_spaces(place: str, name: str) -> None:
    assert short_name(place) == name
    assert SPACE_NAME.fullmatch(f"{name}-0123456789ab")


class _Modules(BaseHTTPRequestHandler):
    """Serves an archive for each path as tfhub.dev does, and nothing at /gone."""

    archive = b""
    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(404 if self.path.startswith("/gone") else 200)
        self.end_headers()
        if not self.path.startswith("/gone"):
            self.wfile.write(self.archive)

    def log_message(self, *_: object) -> None:
        """Keeps quiet."""


@pytest.fixture
def hub_server(tmp_path: Path) -> Iterator[str]:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        archive.add(save(tmp_path / "served", "only_vectors"), arcname=".")
    _Modules.archive, _Modules.asked = held.getvalue(), []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Modules)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


# tensorflow-hub leaves its connections to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_a_handle_is_fetched_once_and_kept(
    hub_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EMBANK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TFHUB_CACHE_DIR", raising=False)
    recipe = Recipe(f"{hub_server}/google/imagenet/tiny_100_32/feature_vector/5")
    assert known_recipe(recipe) is None
    opened = open_engine(recipe, "openvino", BATCH)
    assert opened.recipe.backbone == "tiny_100_32"
    assert np.allclose(run(opened, pictures()), own_output(pictures()), rtol=1e-4, atol=1e-5)
    assert _Modules.asked == ["/google/imagenet/tiny_100_32/feature_vector/5?tf-hub-format=compressed"]
    assert known_recipe(recipe) == opened.recipe
    assert recipe_settings(opened.recipe).backbone == recipe.backbone
    assert np.array_equal(run(open_engine(recipe, "openvino", BATCH), pictures()), run(opened, pictures()))
    assert run(open_engine(recipe, "keras", BATCH), pictures()).shape == (5, 7)
    assert len(_Modules.asked) == 1
    assert capfd.readouterr().out == ""
    with pytest.raises(WeightsError, match=r"gone/1 could not be fetched and loaded .*404") as raised:
        open_engine(Recipe(f"{hub_server}/gone/1"), "openvino")
    assert "\n" not in str(raised.value)
    del raised
    gc.collect()
