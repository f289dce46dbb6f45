"""A head and its backbone as one model: what it says of photos is what `embank predict` says."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from classifiers import DenseHead, HeadError, LogisticHead, RidgeHead, SavedHead, load_head, make_head
from classifiers.networks import head_network
from embedder.images import decode
from embedder.recipe import FrozenRecipe
from embedder.whole_models import ABOUT
from store import FeatureStore, Vectors
from store.recipes import space_id

if TYPE_CHECKING:
    from tests.conftest import Embank

pytestmark = pytest.mark.keras
TOLERANCE = 1e-4  # of a probability: engines add up in another order
RECIPE = {"backbone": "Tiny"}
CODES = np.arange(60) % 3
X = Vectors.of(
    (2 * np.eye(3)[CODES] @ np.random.default_rng(0).normal(size=(3, 6))).astype(np.float32)
    + np.random.default_rng(1).normal(size=(60, 6)).astype(np.float32),
    space_id(RECIPE),
    RECIPE,
)
Pictures = NDArray[np.uint8]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Dark and light photos, and greys between them: the heads are sure of some and not of others."""
    folder = tmp_path / "photos"
    for number in range(12):
        name, tone = ("dark", 10 + 9 * number) if number % 2 else ("light", 160 - 9 * number)
        noise = np.random.default_rng(number).integers(0, 60, (40, 48, 3))
        (folder / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray((noise + np.array([tone, tone // 2, 80])).astype(np.uint8)).save(
            folder / name / f"{number}.jpg"
        )
    return folder


def bank(embank: Embank, photos: Path, store: Path, *options: object) -> Path:
    ran = embank("embed", photos, store, "--weights", "none", *options)
    assert ran.code == 0, ran.err
    return store


def trained(embank: Embank, store: Path, head: str) -> Path:
    out = store.with_suffix(".head")
    ran = embank("train", store, "--scheme", "folder", "--head", head, "--out", out, "--split", "random")
    assert ran.code == 0, ran.err
    return out


def predicted(embank: Embank, head: Path, photos: Path) -> tuple[Pictures, NDArray[np.float64]]:
    """The photos as the recipe fits them, and what `embank predict` says of them."""
    saved = load_head(head)
    rows = embank("predict", head, photos, "--top", len(saved.classes), "--json").json["rows"]
    geometry = FrozenRecipe.from_dict(saved.recipe).geometry.without_views
    images = list(dict.fromkeys(row["image"] for row in rows))
    pictures = [decode(Path(image).read_bytes(), {geometry}).squares[geometry] for image in images]
    scores = {(row["image"], row["label"]): row["score"] for row in rows}
    expected = [[scores[image, name] for name in saved.classes] for image in images]
    return np.concatenate([np.asarray(one).reshape(-1, *one.shape[-3:]) for one in pictures]), np.array(
        expected
    )


def from_keras(out: Path, pictures: Pictures) -> tuple[NDArray[Any], dict[str, Any]]:
    import keras

    model = keras.models.load_model(out, safe_mode=True)
    with zipfile.ZipFile(out) as archive:
        about = json.loads(archive.read(ABOUT))
    return np.asarray(model.predict(pictures, verbose=0)), about


def from_saved_model(out: Path, pictures: Pictures) -> tuple[NDArray[Any], dict[str, Any]]:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(out))
    (found,) = loaded.signatures["serving_default"](pictures=tf.constant(pictures)).values()
    np.testing.assert_allclose(loaded.serve(tf.constant(pictures)), found, atol=1e-6)
    return np.asarray(found), json.loads((out / "assets.extra" / ABOUT).read_text())


def from_openvino(out: Path, pictures: Pictures) -> tuple[NDArray[Any], dict[str, Any]]:
    import openvino as ov

    core = ov.Core()
    model = core.read_model(out)
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled(pictures)[0], json.loads(model.get_rt_info(["embank"]).astype(str))


KINDS: dict[str, Callable[[Path, Pictures], tuple[NDArray[Any], dict[str, Any]]]] = {
    "model.keras": from_keras,
    "model": from_saved_model,
    "model.xml": from_openvino,
}


@pytest.mark.parametrize(
    ("head", "options"),
    [
        ("logistic(C=1e4)", ("--backbone", "MobileNetV2_0.35", "--image-size", 32, "--fit", "crop")),
        (
            "dense(hidden=(5,), epochs=3)",
            (
                "--backbone",
                "ResNet50",
                "--image-size",
                32,
                "--layer",
                "conv2_block1_out",
                "--pooling",
                "none",
            ),
        ),
    ],
    ids=["logistic on MobileNetV2", "dense on a feature map of ResNet50, whose pixels are BGR"],
)
def test_every_kind_agrees_with_predict(
    embank: Embank, photos: Path, tmp_path: Path, head: str, options: tuple[object, ...]
) -> None:
    file = trained(embank, bank(embank, photos, tmp_path / "x.embank", *options), head)
    pictures, expected = predicted(embank, file, photos)
    assert np.ptp(expected[:, 0]) > 100 * TOLERANCE
    for name, run in KINDS.items():
        ran = embank("export", file, tmp_path / name, "--json")
        assert ran.code == 0, ran.err
        assert ran.json["classes"] == ["dark", "light"]
        found, about = run(tmp_path / name, pictures)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=TOLERANCE, err_msg=name)
        assert about["classes"] == ["dark", "light"]
        assert about["space"] == load_head(file).space
    assert not list(tmp_path.glob(".exporting-*"))
    assert "exists already" in embank("export", file, tmp_path / "model").err


@pytest.mark.real
def test_real_photos_and_weights(embank: Embank, shared: Path, tmp_path: Path) -> None:
    weights = shared / "weights/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
    photos, store = shared / "data/hymenoptera", tmp_path / "x.embank"
    assert embank("embed", photos, store, "--backbone", "MobileNetV2", "--weights", weights).code == 0
    file = trained(embank, store, "ridge")
    some = tmp_path / "some"
    some.mkdir()
    for photo in sorted((photos / "val").rglob("*.jpg"))[::10]:
        (some / photo.name).symlink_to(photo)
    pictures, expected = predicted(embank, file, some)
    assert expected.max() > 0.9
    for name, run in KINDS.items():
        assert embank("export", file, tmp_path / name).code == 0
        np.testing.assert_allclose(run(tmp_path / name, pictures)[0], expected, atol=TOLERANCE, err_msg=name)


def test_curves_and_options_on_the_command_line(embank: Embank, photos: Path, tmp_path: Path) -> None:
    from embank.commands.heads import HEADS

    for text in HEADS:
        head = make_head(text)
        plain = make_head(text.partition("(")[0])
        assert str(head.get_params()) == str(plain.get_params())
        assert text.partition("(")[0] in embank("train", "--help").out
    store = bank(embank, photos, tmp_path / "x.embank", "--backbone", "MobileNetV2_0.35", "--image-size", 32)
    arguments = (
        "train",
        store,
        "--scheme",
        "folder",
        "--head",
        "dense(epochs=3)",
        "--out",
        tmp_path / "a.head",
    )
    curves = embank(*arguments, "--json").json["curves"]
    assert {name: len(values) for name, values in curves.items()} == dict.fromkeys(
        ("loss", "accuracy", "val_loss", "val_accuracy"), 3
    )
    assert "3 epochs: loss " in embank(*arguments).err


def test_a_saved_model_as_the_backbone(embank: Embank, photos: Path, tmp_path: Path) -> None:
    import keras

    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(4, 3, kernel_initializer=keras.initializers.GlorotUniform(seed=1)),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )
    model.export(tmp_path / "backbone", verbose=False)
    store = tmp_path / "x.embank"
    assert embank("embed", photos, store, "--backbone", tmp_path / "backbone").code == 0
    file = trained(embank, store, "logistic")
    pictures, expected = predicted(embank, file, photos)
    for name in ("model", "model.xml"):
        assert embank("export", file, tmp_path / name).code == 0
        np.testing.assert_allclose(KINDS[name](tmp_path / name, pictures)[0], expected, atol=TOLERANCE)
    refused = embank("export", file, tmp_path / "model.keras")
    assert refused.code == 2
    assert "cannot be a part of a .keras file" in refused.err


def test_what_is_refused(embank: Embank, photos: Path, tmp_path: Path) -> None:
    store = bank(embank, photos, tmp_path / "x.embank", "--backbone", "MobileNetV2_0.35", "--image-size", 32)
    file = trained(embank, store, "svm")
    for out, sentence in (
        ("model.keras", "only ridge, logistic and dense heads"),
        ("model.onnx", "does not write ONNX"),
        ("model.pb", "with a .bin beside it"),
        ("nowhere/model.keras", "Make it first"),
    ):
        ran = embank("export", file, tmp_path / out)
        assert ran.code == 2
        assert sentence in ran.err
        assert not (tmp_path / out).exists()
    assert "is a file, not a store" in embank("export", file, tmp_path / "m.keras", "--space", "x").err
    assert "--space" in embank("export", store, tmp_path / "x.npz").err
    missing = embank("export", tmp_path / "no.head", tmp_path / "m.keras")
    assert missing.code == 2
    assert "there is no store and no head" in missing.err
    (space,) = FeatureStore(store).spaces
    assert embank("export", store, tmp_path / "x.npz", "--space", space).code == 0


@pytest.mark.parametrize(
    "head",
    [
        RidgeHead(),
        LogisticHead(),
        DenseHead(hidden=(4,), epochs=2),
        DenseHead(output="sigmoid", epochs=2),
    ],
)
def test_layers_are_the_head_whatever_its_classes(head: Any) -> None:
    """Also with two classes on one node, and with classes of the scheme that it never saw."""
    two = isinstance(head, DenseHead) and head.output == "sigmoid"
    for rows, classes in ((CODES < 2, "zyx"), (CODES >= 0, "wxyz")):
        if two and len(np.unique(CODES[rows])) > 2:
            continue
        head.fit(X[rows], CODES[rows])
        saved = SavedHead.of(head, classes=classes)
        layers, activation = head_network(saved)
        scores: NDArray[Any] = np.asarray(X)
        for number, (kernel, bias) in enumerate(layers):
            scores = (np.maximum(scores, 0) if number else scores) @ kernel + bias
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        assert activation == "softmax"
        np.testing.assert_allclose(e / e.sum(axis=1, keepdims=True), saved.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("head", [RidgeHead(), LogisticHead(), DenseHead(epochs=2)])
def test_layers_of_several_labels_an_image(head: Any) -> None:
    saved = SavedHead.of(head.fit(X, np.stack([CODES == 0, CODES != 1], axis=1)), classes="pq")
    ((kernel, bias),), activation = head_network(saved)
    assert activation == "sigmoid"
    np.testing.assert_allclose(
        1 / (1 + np.exp(-(np.asarray(X) @ kernel + bias))), saved.predict_proba(X), atol=1e-5
    )


def test_other_estimators_have_no_layers() -> None:
    class Space:
        id, recipe = space_id(RECIPE), RECIPE

    saved = SavedHead.of(make_head("lda").fit(np.asarray(X), CODES), space=Space())  # type: ignore[arg-type]
    with pytest.raises(HeadError, match=r"LinearDiscriminantAnalysis.* is a scikit-learn estimator"):
        head_network(saved)
