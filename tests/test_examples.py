"""The walk-throughs' real code on small generated sets with random weights, and three of them on real photos."""

from __future__ import annotations

import importlib
import io
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import typer.main
from numpy.typing import NDArray
from PIL import Image

from embank.cli import app
from embedder import JobSettings, Recipe, SourceError, WeightsError, embed
from embedder.files import FileVectors
from embedder.report import EmbedReport
from store import FeatureStore
from store.keras_setup import load_keras

EXAMPLES = Path(__file__).parents[1] / "scripts" / "examples"
DOCS = Path(__file__).parents[1] / "docs"
SIZE = 32
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py") if path.stem != "steps")
Example = Callable[[str], ModuleType]


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Example:
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module


def photo(number: int, classes: int) -> Image.Image:
    """Noise of a colour that tells its class, number modulo `classes`."""
    rng = np.random.default_rng(number)
    colours = np.array([[200, 60, 60], [60, 60, 200], [60, 180, 60], [190, 190, 40]])
    pixels = rng.normal(colours[number % classes], 45, (SIZE + number % 7, SIZE, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def two_kinds(tmp_path_factory: pytest.TempPathFactory) -> str:
    """24 photos to train on and 8 to validate, in class folders."""
    folder = tmp_path_factory.mktemp("photos") / "two-kinds"
    for number in range(32):
        place = folder / ("train" if number < 24 else "val") / ("rural", "urban")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        photo(number, 2).save(place / f"{number}.png")
    return str(folder)


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A .keras file from pixels to 8 numbers; its layers 1 to 5 have weights or none in turn."""
    keras = load_keras()
    keras.utils.set_random_seed(1)
    layers = keras.layers
    pictures = keras.Input((SIZE, SIZE, 3))
    x = layers.Rescaling(1 / 127.5, -1)(pictures)
    for filters in (4, 8):
        x = layers.Conv2D(filters, 3, strides=2, activation="relu")(x)
        x = layers.BatchNormalization()(x)
    path = tmp_path_factory.mktemp("models") / "small.keras"
    keras.Model(pictures, layers.GlobalAveragePooling2D()(x)).save(path)
    return str(path)


@pytest.fixture(scope="session")
def module(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A SavedModel as hub modules are: pictures in [0, 1] to 12 numbers."""
    load_keras()
    import tensorflow as tf

    class Features(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.kernel = tf.Variable(np.random.default_rng(0).normal(size=(3, 3, 3, 12)).astype(np.float32))

        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[tf.TensorSpec((None, SIZE, SIZE, 3), tf.float32)]
        )
        def __call__(self, pictures: Any) -> Any:
            return tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(pictures, self.kernel, 2, "VALID")), (1, 2))

    features, path = Features(), tmp_path_factory.mktemp("hub") / "feature_vector"
    tf.saved_model.save(features, str(path), signatures=features.__call__)
    return str(path)


def data_set(folder: Path, name: str, classes: tuple[str, ...], splits: dict[str, range]) -> str:
    """A prepared data set of TensorFlow Datasets, as its own builder writes it."""
    load_keras()
    tfds = pytest.importorskip("tensorflow_datasets", reason="tfds: sources need the extra embank[tfds]")

    def examples(self: Any, numbers: range) -> Any:
        for number in numbers:
            out = io.BytesIO()
            photo(number, len(classes)).save(out, "PNG")
            yield number, {"image": io.BytesIO(out.getvalue()), "label": number % len(classes)}

    def info(self: Any) -> Any:
        features = {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(names=classes)}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def generators(self: Any, manager: Any) -> dict[str, Any]:
        return {split: examples(self, numbers) for split, numbers in splits.items()}

    methods = {"_info": info, "_split_generators": generators, "_generate_examples": examples}
    methods["VERSION"] = tfds.core.Version("1.0.0")
    made = type(name, (tfds.core.GeneratorBasedBuilder,), methods | {"__module__": __name__})
    builder = made(data_dir=str(folder))
    builder.download_and_prepare()
    return f"tfds:{builder.data_dir}"


def sides(picture: Path) -> tuple[int, int]:
    """Width and height of a picture that can be read whole."""
    with Image.open(picture) as image:
        image.load()
        return image.size


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_short_and_their_commands_are_in_the_guide(name: str) -> None:
    text = (EXAMPLES / f"{name}.py").read_text()
    assert len(text.splitlines()) < 60
    commands = commands_of(text.split('"""')[1])
    assert commands
    assert set(commands) <= set(commands_of(code_of("examples.md")))


@pytest.mark.parametrize("name", ["examples.md", "from-notebook.md"])
def test_every_command_of_a_guide_exists_with_its_options(name: str) -> None:
    known = typer.main.get_command(app)
    commands = commands_of(code_of(name))
    assert len(commands) > 10
    for command in commands:
        words = shlex.split(command, comments=True)[1:]
        described = known.commands[words[0]]  # type: ignore[attr-defined]
        while hasattr(described, "commands"):
            words = words[1:]
            described = described.commands[next(word for word in words if word in described.commands)]
        options = {
            option
            for parameter in described.params
            for option in (*parameter.opts, *parameter.secondary_opts)
        }
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= options, command


def commands_of(text: str) -> list[str]:
    """Every `embank …` that begins a line, with the lines that it goes on in; spaces evened out."""
    joined = re.sub(r"\\\n\s*", " ", text)
    found = re.findall(r"^\s*(embank .*)$", joined, re.MULTILINE)
    return [" ".join(line.partition("#")[0].split()) for line in found]


def code_of(name: str) -> str:
    """What stands in a guide as code, each piece on lines of its own."""
    text = (DOCS / name).read_text()
    blocks = re.findall(r"^```.*?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return "\n".join([*blocks, *re.findall(r"`([^`\n]+)`", prose)])


@pytest.mark.keras
def test_urban_or_rural(example: Example, two_kinds: str, backbone: str, tmp_path: Path) -> None:
    arguments = ["--data", two_kinds, "--backbone", backbone, "--out", str(tmp_path), "--epochs", "20"]
    found = example("urban_rural").main(arguments)
    assert found["trained"] == (8 + 1) * 2
    assert found["frozen"] == 3 * 3 * 3 * 4 + 4 + 4 * 4 + 3 * 3 * 4 * 8 + 8 + 4 * 8
    assert [(row["subset"], row["n"]) for row in found["rows"]] == [("train", 24), ("held-out", 8)]
    assert found["rows"][0]["accuracy"] > 0.9
    assert min(sides(tmp_path / "predictions.png")) > 300


@pytest.mark.keras
def test_cats_and_dogs_fine_tuned(
    example: Example, backbone: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cats = data_set(tmp_path, "SmallCats", ("cat", "dog"), {"train": range(60)})
    options = [
        "--image-size",
        str(SIZE),
        "--from-layer",
        "4",
        "--epochs",
        "4",
        "--out",
        str(tmp_path / "out"),
    ]
    arguments = ["--data", cats, "--backbone", backbone, *options]
    main = example("cats_dogs_finetuned").main
    found = main(arguments)
    assert found["curves"]["loss"][-1] < found["curves"]["loss"][0]
    assert set(found["images"]) == {"train", "validation", "test"}
    assert sum(found["images"].values()) == 60
    assert found["board"]["n_test"].tolist() == [found["images"]["test"]]
    assert "loss" in capsys.readouterr().out
    for name in ("samples.png", "curves.png"):
        assert min(sides(tmp_path / "out" / name)) > 300
    plain = main([*arguments, "--plain"])
    assert plain["curves"]["val_loss"] == pytest.approx(found["curves"]["val_loss"], rel=0.05)

    store = tmp_path / "tuned.embank"
    tuned = embed(cats, store, Recipe(str(tmp_path / "out" / "tuned.keras")), settings=JobSettings("keras"))
    assert (tuned.embedded, FeatureStore(store).space(tuned.space[0]).dim) == (60, 8)


@pytest.mark.keras
def test_cats_and_dogs_small(example: Example, two_kinds: str, backbone: str, tmp_path: Path) -> None:
    options = ["--image-size", str(SIZE), "--epochs", "2", "--views", "2", "--out", str(tmp_path)]
    found = example("cats_dogs_small").main(["--data", two_kinds, "--backbone", backbone, *options])
    assert list(found) == ["scratch", "augmented", "frozen", "frozen, with views"]
    assert all(rows[-1]["n"] == 8 for rows in found.values())
    [space] = FeatureStore(tmp_path / "bank.embank").spaces.values()
    assert (space.views, space.rows) == (3, 32 * 3)
    for name in ("views.png", "scratch.png", "augmented.png"):
        assert min(sides(tmp_path / name)) > 100


@pytest.mark.keras
def test_pets_from_a_hub_module_with_subsets(example: Example, module: str, tmp_path: Path) -> None:
    breeds = ("Abyssinian", "beagle", "Persian", "shiba_inu")
    pets = data_set(tmp_path, "SmallPets", breeds, {"train": range(40), "test": range(40, 60)})
    out = tmp_path / "out"
    found = example("oxford_pets").main(["--data", pets, "--backbone", module, "--out", str(out)])
    assert found["parameters"] == (12 + 1) * 4
    assert [(row["subset"], row["n"]) for row in found["rows"]] == [
        ("overall", 20),
        *(("unseen", 10), ("seen", 10), ("cats", 10), ("dogs", 10)),
    ]
    by_name = {row["subset"]: {one["class"]: one["n"] for one in row["per_class"]} for row in found["rows"]}
    assert by_name["unseen"] == {"Abyssinian": 5, "beagle": 0, "Persian": 0, "shiba_inu": 5}
    assert by_name["cats"] == {"Abyssinian": 5, "beagle": 0, "Persian": 5, "shiba_inu": 0}
    assert len(found["curves"]["val_accuracy"]) == 30
    pictures = {path.name for path in out.glob("*.png")}
    subsets = {f"predictions-{name}.png" for name in ("unseen", "seen", "cats", "dogs")}
    assert pictures == {"curves.png", "predictions.png"} | subsets
    [space] = FeatureStore(out / "bank.embank").spaces.values()
    assert (space.recipe["augment"], space.views) == ("flip", 2)


@pytest.mark.keras
def test_flowers(
    example: Example,
    two_kinds: str,
    module: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps = example("steps")
    scores: NDArray[np.float32] = np.linspace(0, 1, 1000, dtype=np.float32)[None]
    monkeypatch.setattr(steps, "open_engine", lambda recipe: recipe)
    monkeypatch.setattr(steps, "embed_files", lambda entries, engine: FileVectors(scores, [None]))
    found = example("flowers").main(["--data", two_kinds, "--backbone", module, "--out", str(tmp_path)])
    assert found["n"] == 8  # a quarter of 32
    told = capsys.readouterr().out
    assert "train/rural/0.png: toilet tissue 1.000" in told
    assert "flowers, test:" in told
    assert (tmp_path / "flowers.head").is_file()


def test_what_cannot_be_had_is_said_and_the_example_goes_on(
    example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = example("steps")
    asked: list[tuple[str, str, str]] = []

    def fail_twice(source: str, store: Path, recipes: list[Recipe], settings: JobSettings) -> EmbedReport:
        asked.append((source, recipes[0].backbone, recipes[0].weights))
        if len(asked) == 1:
            raise SourceError("there are no cats.")
        if len(asked) == 2:
            raise WeightsError("there are no weights.")
        return EmbedReport(space=["a space"])

    monkeypatch.setattr(steps, "SHARED", tmp_path)
    monkeypatch.setattr(steps, "embed", fail_twice)
    monkeypatch.setattr(steps, "FeatureStore", lambda path: path)
    given = steps.options("", ["--out", str(tmp_path)], data="cats", backbone="VGG16 ResNet50")
    with pytest.raises(SystemExit, match=r"there are no cats\. Put them here\."):
        steps.bank(given, "bees", "Put them here.")
    asked.clear()
    (tmp_path / "data" / "bees").mkdir(parents=True)
    store, spaces, recipes = steps.bank(given, "bees", "Put them here.")
    assert asked == [
        ("cats", "VGG16", "imagenet"),
        (str(tmp_path / "data" / "bees"), "VGG16", "imagenet"),
        (str(tmp_path / "data" / "bees"), "MobileNetV2", "none"),
    ]
    assert (store, spaces, len(recipes)) == (tmp_path / "bank.embank", ["a space"], 1)
    told = capsys.readouterr().out
    assert "Put them here.\nGoing on with" in told
    assert "there are no weights.\nGoing on with MobileNetV2, weights none: figures are its own." in told


@pytest.mark.real
@pytest.mark.keras
def test_real_photos_reach_the_figures_of_the_guide(
    example: Example, shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [weights] = (shared / "weights").glob("*no_top.h5")
    options = ["--backbone", "MobileNetV2", "--weights", str(weights), "--out"]
    flowers = example("flowers").main(["--data", str(shared / "data/flowers"), *options, str(tmp_path / "5")])
    assert "daisy/100080576_f52e8ee070_n.jpg: daisy 0.9" in capsys.readouterr().out
    assert flowers["accuracy"] > 0.65
    urban = example("urban_rural").main(
        ["--data", str(shared / "data/hymenoptera"), *options, str(tmp_path / "1")]
    )
    assert (urban["trained"], urban["frozen"]) == (2562, 2257984)
    assert urban["rows"][1]["accuracy"] > 0.88
    small = example("cats_dogs_small").main(
        ["--data", str(shared / "data/hymenoptera"), *options, str(tmp_path / "3"), "--epochs", "1"]
    )
    assert small["frozen"][1]["accuracy"] > 0.75
    assert small["frozen, with views"][1]["accuracy"] > 0.75
