"""Fine-tuning: the lower part runs once, the upper part trains from the bank, and the tuned backbone embeds."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from classifiers import HeadError, RidgeHead, Scheme, SchemeError, load_head
from classifiers.three_way_split import three_way_split
from embank.finetuning import Task, Tuned, Watcher, finetune
from embank.tuning_recipes import tuning_recipe
from embedder import FinetuneError, JobSettings, Recipe, embed
from embedder.engines import open_engine
from embedder.errors import ImageError
from embedder.finetuning import BankedFeed, FinetuneSettings, bank, open_tunable, plan_bank, save_tuned
from embedder.finetuning.tunable import run
from embedder.keras_engine import preprocess
from embedder.weights import known_recipe
from store import FeatureStore, StoreWriter
from store.labels import LabelTable

if TYPE_CHECKING:
    from tests.conftest import Embank

pytestmark = pytest.mark.keras
SIZE = 16
JOB = JobSettings("keras")


def small_backbone(seed: int = 1) -> Any:
    """Convolutions with batch normalization and a shortcut, then a global pooling."""
    import keras

    keras.utils.set_random_seed(seed)
    layers = keras.layers
    pixels = keras.Input((SIZE, SIZE, 3), name="small_pictures")
    x = layers.Conv2D(6, 3, padding="same", name="stem")(pixels)
    x = layers.ReLU(name="stem_relu")(layers.BatchNormalization(name="stem_bn")(x))
    x = layers.MaxPooling2D(name="low")(x)
    inner = layers.Conv2D(6, 3, padding="same", name="inner")(x)
    inner = layers.ReLU(name="inner_relu")(layers.BatchNormalization(name="inner_bn")(inner))
    x = layers.Add(name="sum")([x, inner])
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="top")(x)
    model = keras.Model(pixels, layers.GlobalAveragePooling2D(name="pool")(x))
    stem = model.get_layer("stem")  # its pixels lie between -128 and 151
    stem.set_weights([array / 50 for array in stem.get_weights()])
    return model


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("models") / "small.keras"
    small_backbone().save(path)
    return str(path)


@pytest.fixture(scope="module")
def recipe(backbone: str) -> Recipe:
    return Recipe(backbone, preprocessing="caffe")  # the one that turns the colours round


@pytest.fixture(scope="module")
def bank_of_photos(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 photos of three kinds of stripes, embedded with the untouched backbone."""
    folder, rng = tmp_path_factory.mktemp("photos") / "stripes", np.random.default_rng(0)
    for number in range(60):
        kind, place = number % 3, folder / ("across", "down", "neither")[number % 3] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.normal(rng.uniform(40, 200, 3), 20, (SIZE, SIZE, 3))
        if kind < 2:
            rows_or_columns = (slice(None),) * kind + (slice(None, None, 2),)
            pixels[rows_or_columns] += rng.uniform(10, 60)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(place)
    store = folder.parent / "stripes.embank"
    embed(folder, store, recipe, settings=JOB)
    return store


@pytest.fixture
def store(bank_of_photos: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bank_of_photos, tmp_path / "stripes.embank"))


STRIPES = Scheme("stripes", "folder", drop=("neither",))


def location(store: Path) -> Path:
    return Path(next(iter(FeatureStore(store).sources.values())).location)


def tune(store: Path, recipe: Recipe, from_layer: str = "inner", **options: Any) -> Tuned:
    given = {"epochs": 2, "batch_size": 8, "learning_rate": 1e-4} | options.pop("settings", {})
    watcher, scheme = options.pop("watcher", None), options.pop("scheme", STRIPES)
    task = Task(recipe, from_layer, scheme, **options)
    return finetune(store, task, store.parent / "tuned.keras", None, FinetuneSettings(**given), JOB, watcher)


def test_the_upper_part_learns_from_the_bank_and_the_tuned_backbone_embeds(
    store: Path, recipe: Recipe, embank: Embank
) -> None:
    tuned = tune(store, recipe, settings={"epochs": 10})
    losses = tuned.trained.curves["loss"]
    assert len(losses) == 11
    assert losses[-1] < 0.97 * losses[0]
    maps = next(one for one in FeatureStore(store).spaces.values() if one.recipe["layer"] == "low")
    assert (maps.shape, maps.rows) == ((SIZE // 2, SIZE // 2, 6), 40)  # of labelled images alone

    backbone, head_file = store.parent / "tuned.keras", store.parent / "tuned.head"
    report = embed(location(store), store, Recipe(str(backbone)), settings=JOB)
    assert report.space == [tuned.head.space]
    opened, head = FeatureStore(store), load_head(head_file)
    images = opened.images()[::10]
    shares = head.predict_proba(opened.vectors(tuned.head.space, images))
    places = [str(location(store) / key) for key in images["key"]]
    ran = embank("predict", head_file, *places, "--engine", "keras", "--top", 2, "--json")
    found = {(row["image"], row["label"]): row["score"] for row in ran.json["rows"]}
    expected = {
        (place, name): pytest.approx(share, abs=1e-4)
        for place, row in zip(places, shares, strict=True)
        for name, share in zip(head.classes, row, strict=True)
    }
    assert found == expected


def test_epoch_0_is_the_linear_head(store: Path, recipe: Recipe) -> None:
    tuned = tune(store, recipe, settings={"epochs": 1})
    opened = FeatureStore(store)
    images, codes = opened.images(), STRIPES.labels(opened.images()).codes
    some = np.isin([int(one[:16], 16) for one in images["hash"]], tuned.head.train_hashes)
    rows, _ = three_way_rows(store)
    X = opened.vectors(str(known_space(recipe)), images)
    head = RidgeHead().fit(X[rows], codes[rows])
    shares = head.predict_proba(X[rows])[np.arange(len(rows)), codes[rows]]
    curves = tuned.trained.curves
    assert curves["loss"][0] == pytest.approx(-np.log(shares).mean(), abs=1e-3)
    assert curves["accuracy"][0] == pytest.approx((shares > 0.5).mean())
    assert set(rows) < set(np.flatnonzero(some))


def three_way_rows(store: Path, seed: int = 0) -> tuple[list[int], list[int]]:
    images = FeatureStore(store).images()
    labels = STRIPES.labels(images)
    parts = three_way_split(images, labels.codes, labels.classes, seed=seed)
    return parts.train.tolist(), parts.test.tolist()


def known_space(recipe: Recipe) -> str:
    frozen = known_recipe(recipe)
    assert frozen is not None
    return frozen.space


def test_only_what_is_above_the_first_layer_changes(store: Path, recipe: Recipe) -> None:
    before = open_tunable(recipe, "sum").model
    tune(store, recipe, "inner_bn", settings={"epochs": 2})
    after = keras_model(store.parent / "tuned.keras")
    for layer in before.layers:
        kept, now = layer.get_weights(), after.get_layer(layer.name).get_weights() if layer.weights else []
        same = [np.array_equal(*pair) for pair in zip(kept, now, strict=True)]
        if layer.name == "inner_bn":  # gamma and beta are trained, the statistics of batches are not taken in
            assert same == [False, False, True, True]
        else:
            assert same == [layer.name != "top"] * len(kept)


def keras_model(path: Path) -> Any:
    import keras

    return keras.models.load_model(path, compile=False)


def test_a_tuned_backbone_gives_the_vectors_of_training_and_can_be_tuned_again(
    store: Path, recipe: Recipe, tmp_path: Path
) -> None:
    tunable = open_tunable(recipe, "top")
    frozen = save_tuned(tunable, tmp_path / "again.keras")
    assert (frozen.image_size, frozen.preprocessing) == (SIZE, "raw")
    pictures = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3), dtype=np.uint8)
    ours = np.asarray(tunable.model(preprocess(pictures, tunable.frozen), training=False))
    settings = Recipe(str(tmp_path / "again.keras"))
    for engine in ("keras", "openvino"):
        theirs = open_engine(settings, engine, 4)(pictures)
        assert np.allclose(ours, theirs, rtol=1e-3, atol=1e-3)
    once_more = open_tunable(settings, "top")
    for one in (tunable, once_more):  # said without the notes that a full or read-only cache does not keep
        assert one.space == known_space(one.activations)
    assert tunable.cut is not None  # all layers lie one higher now, above the preprocessing
    assert once_more.cut == dataclasses.replace(tunable.cut, first=tunable.cut.first + 1)
    save_tuned(once_more, tmp_path / "thrice.keras")
    assert np.allclose(
        ours, open_engine(Recipe(str(tmp_path / "thrice.keras")), "keras", 4)(pictures), atol=1e-3
    )


def test_end_to_end_gives_the_same_figures(store: Path, recipe: Recipe) -> None:
    curves = [tune(store, recipe, plain=plain).trained.curves for plain in (False, True)]
    for name, values in curves[0].items():
        assert values == pytest.approx(curves[1][name], abs=0.02), name


def test_what_is_banked_is_not_banked_again_and_needs_no_photos(
    store: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tune(store, recipe)
    monkeypatch.setattr("embedder.finetuning.banking.embed", lambda *_, **__: pytest.fail("embedded again"))
    again = tune(store, recipe)
    assert again.trained.curves == first.trained.curves
    assert tune(store, recipe, "inner_bn").document["cut"]["layer"] == "low"  # the same cut, fewer layers


def test_only_the_lower_part_runs_for_the_bank(
    store: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports: list[Any] = []
    said: list[str] = []
    tune(store, recipe, watcher=Watcher(said.append, reports.append))
    assert (reports[-1].embedded, reports[-1].listed) == (40, 40)
    assert (
        "Banking the output of low (8 x 8 x 6 float32, 1.5 kB an image) of 40 of 40 images: 61.4 kB." in said
    )
    assert any("trained from layer 5 (inner) on and cut after low" in line for line in said)


def test_each_epoch_shows_a_random_view_and_judges_the_images_themselves(store: Path, recipe: Recipe) -> None:
    tunable = open_tunable(dataclasses.replace(recipe, augment="flip,rotation=30", views=2), "inner")
    images = FeatureStore(store).images()[::6]
    assert plan_bank(FeatureStore(store), tunable, images).views == 3
    bank(store, tunable, images, JOB)
    opened, space = FeatureStore(store), known_space(tunable.activations)
    feed = BankedFeed(opened, space, images, seed=0)
    views = np.stack([opened.vectors(space, images, view=view) for view in range(3)]).reshape(3, 10, 8, 8, 6)
    rows = np.array([7, 2, 9, 0])
    assert np.array_equal(feed(rows, None), views[0, rows])
    drawn = []
    for epoch in range(1, 9):
        shown = feed(np.arange(10), epoch)
        drawn.append(
            [
                int(np.flatnonzero([np.array_equal(one, v[row]) for v in views])[0])
                for row, one in enumerate(shown)
            ]
        )
        assert np.array_equal(feed(rows, epoch), shown[rows])
    assert {view for epoch in drawn for view in epoch} == {0, 1, 2}
    assert len({tuple(epoch) for epoch in drawn}) == 8


def test_augmented_training_runs_from_views_and_from_photos(store: Path, recipe: Recipe) -> None:
    augmented = dataclasses.replace(recipe, augment="flip", views=1)
    for plain in (False, True):
        tuned = tune(store, augmented, plain=plain, settings={"epochs": 1, "dropout": 0.2})
        assert np.isfinite(tuned.trained.curves["val_loss"]).all()


@pytest.mark.parametrize(
    ("scheme", "loss", "nodes"),
    [
        (Scheme("kinds", "folder"), "auto", 3),
        (STRIPES, "categorical", 2),
        (Scheme("tags", "labels.tags", multilabel=True), "auto", 2),
    ],
)
def test_more_than_two_classes_and_several_labels(
    store: Path, recipe: Recipe, scheme: Scheme, loss: str, nodes: int
) -> None:
    if scheme.multilabel:
        images = FeatureStore(store).images()
        tags = {"across": "striped;flat", "down": "striped", "neither": "flat"}
        table = pd.DataFrame({"key": images["key"], "tags": images["folder"].map(tags)})
        StoreWriter(store).attach_labels(LabelTable("tags", "key", None, table))
    tuned = tune(store, recipe, scheme=scheme, loss=loss, settings={"epochs": 1})
    head = load_head(store.parent / "tuned.head")
    assert head.estimator.layers_[0][0].shape == (8, nodes)
    assert head.multilabel == scheme.multilabel
    shares = head.predict_proba(np.zeros((1, 8), np.float32))
    assert shares.shape == (1, nodes)
    assert tuned.document["rows"][1]["n"] == tuned.document["images"]["test"]


def test_early_stopping_keeps_the_best_weights(store: Path, recipe: Recipe) -> None:
    # So fast that the loss soon rises.
    tuned = tune(
        store, recipe, settings={"epochs": 30, "patience": 2, "learning_rate": 0.3, "optimizer": "adam"}
    )
    losses = tuned.trained.curves["val_loss"]
    assert tuned.trained.ended == "stopped early"
    assert tuned.trained.kept == int(np.argmin(losses))
    assert len(losses) == tuned.trained.kept + 3
    # The network is that of the kept epoch: its test figures are those of a run that ends there.
    shorter = tune(
        store,
        recipe,
        settings={
            "epochs": max(1, tuned.trained.kept),
            "learning_rate": 0.3,
            "optimizer": "adam",
            "patience": 99,
        },
    )
    assert shorter.document["rows"][1]["log_loss"] == pytest.approx(
        tuned.document["rows"][1]["log_loss"], rel=1e-3
    )


def test_an_interrupted_training_keeps_the_best_weights(store: Path, recipe: Recipe) -> None:
    tuned = tune(store, recipe, watcher=Watcher(working=interrupting_at(7)), settings={"epochs": 50})
    assert tuned.trained.ended == "interrupted"
    assert tuned.trained.epochs < 3
    assert tuned.trained.kept == int(np.argmin(tuned.trained.curves["val_loss"]))
    assert (store.parent / "tuned.keras").exists()
    load_head(store.parent / "tuned.head")


def interrupting_at(batch: int) -> Callable[[str], Callable[[int, int, str], None]]:
    def show(done: int, total: int, remark: str) -> None:
        if total > 50 and done == batch:
            raise KeyboardInterrupt

    return lambda what: show


def test_the_command_says_what_it_kept_and_exits_130(
    store: Path, recipe: Recipe, embank: Embank, monkeypatch: pytest.MonkeyPatch
) -> None:
    show = interrupting_at(7)("")
    monkeypatch.setattr("embank.trainings.progress", lambda *_, **__: nullcontext(show))
    schemes = store.parent / "schemes.yaml"
    schemes.write_text("stripes: {from: folder, drop: [neither]}\n")
    arguments = [
        "--scheme",
        "stripes",
        "--schemes",
        schemes,
        "--backbone",
        recipe.backbone,
        "--from-layer",
        "inner",
    ]
    options = ["--preprocessing", "caffe", "--epochs", 50, "--batch-size", 8, "--engine", "keras", "--json"]
    ran = embank("finetune", store, *arguments, *options, "--out", store.parent / "tuned.keras")
    assert ran.code == 130
    assert "were the best and are kept" in ran.err
    assert ran.json["ended"] == "interrupted"
    assert ran.json["curves"].keys() == {"loss", "accuracy", "val_loss", "val_accuracy"}


def test_a_loss_that_overflows_is_one_sentence(store: Path, recipe: Recipe) -> None:
    with pytest.raises(FinetuneError, match=r"no longer finite.*Lower --learning-rate"):
        tune(store, recipe, settings={"learning_rate": 1e30, "optimizer": "sgd"})
    assert not (store.parent / "tuned.keras").exists()


def test_a_full_disk_is_refused_before_anything_runs(
    store: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("embedder.finetuning.banking.shutil.disk_usage", lambda _: usage)
    with pytest.raises(
        FinetuneError, match=r"low takes 61.4 kB \(40 images, 1.5 kB each\).*1.0 kB free.*float16"
    ):
        tune(store, recipe)
    assert len(FeatureStore(store).spaces) == 1


def test_half_precision_halves_the_bank(store: Path, recipe: Recipe) -> None:
    tunable = open_tunable(dataclasses.replace(recipe, dtype="float16"), "inner")
    images = FeatureStore(store).images()
    plan = plan_bank(FeatureStore(store), tunable, images)
    assert plan.bytes == 60 * 8 * 8 * 6 * 2


def test_a_batch_that_is_too_large_for_the_memory_is_one_sentence(recipe: Recipe) -> None:
    import tensorflow as tf

    def too_much(*_: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    with pytest.raises(FinetuneError, match="not enough memory for a batch of 4 images: lower --batch-size"):
        run(too_much, np.zeros((4, 2)))


def test_a_photo_that_is_gone_stops_end_to_end_training_with_its_name(
    store: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(location: str, whole: bool) -> Any:
        def read(key: str) -> bytes:
            raise ImageError("there is no such file")

        return read

    monkeypatch.setattr("embedder.finetuning.feeds.reader_at", gone)
    with pytest.raises(FinetuneError, match=r"\.png of stripes there is no such file.*every epoch"):
        tune(store, recipe, plain=True)


def test_what_cannot_be_tuned_is_refused(store: Path, recipe: Recipe, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "saved_model.pb").touch()
    one = Scheme("one", "folder", drop=("neither", "down"))
    for wrong, error, sentence in (
        (
            {"recipe": Recipe(str(folder))},
            FinetuneError,
            "is a SavedModel, whose layers cannot be taken apart",
        ),
        ({"recipe": dataclasses.replace(recipe, layer="low")}, FinetuneError, "takes a whole backbone"),
        ({"scheme": one}, SchemeError, "leaves one class, 'across'"),
        ({"loss": "binary", "scheme": Scheme("kinds", "folder")}, HeadError, "the scheme has 3"),
        ({"from_layer": "inne"}, FinetuneError, "Nearest: inner"),
        ({"from_layer": "stem"}, FinetuneError, "nothing to bank.*--plain"),
    ):
        with pytest.raises(error, match=sentence):
            tune(store, **({"recipe": recipe} | wrong))


def test_the_recipe_comes_from_a_backbone_or_a_space(store: Path, recipe: Recipe, tmp_path: Path) -> None:
    opened = FeatureStore(store)
    found = tuning_recipe(opened, None, "small", {"dtype": "float16", "fit": None, "seed": 3})
    assert known_space(dataclasses.replace(found, dtype="float32")) == known_space(recipe)
    assert found.dtype == "float16"
    with pytest.raises(FinetuneError, match="has its image_size already"):
        tuning_recipe(opened, None, "small", {"image_size": 32})
    assert tuning_recipe(opened, None, None, {}) == tuning_recipe(opened, None, "small", {})
    several = Path(shutil.copytree(store, tmp_path / "several.embank"))
    StoreWriter(several).open_space({"backbone": "Other", "dtype": "float32"})
    for path, backbone, space in ((store, "VGG16", "small"), (several, None, None)):
        with pytest.raises(FinetuneError, match="either --backbone NAME, or --space SPACE"):
            tuning_recipe(FeatureStore(path), backbone, space, {})


@pytest.mark.parametrize(
    "wrong",
    [{"optimizer": "adamw"}, {"learning_rate": 0.0}, {"dropout": 1.0}, {"epochs": 0}, {"patience": 0}],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(FinetuneError, match=next(iter(wrong)).replace("_", "[ _]")):
        FinetuneSettings(**wrong)
