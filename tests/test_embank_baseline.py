"""`embank baseline`: a network from scratch on photos, with the schemes, splits and files that heads have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from embank.baselines import listed_store
from embedder import FinetuneError
from embedder.baseline_cnn import write_baseline
from embedder.keras_files import build_keras_file
from embedder.listing import list_source
from embedder.parameters import count_parameters
from embedder.recipe import Recipe
from store import FeatureStore

if TYPE_CHECKING:
    from tests.conftest import Embank, WritePhoto

SIZE = 24


@pytest.fixture(scope="module")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 photos of stripes across or down in class folders, and a file that is no image."""
    folder, rng = tmp_path_factory.mktemp("photos") / "stripes", np.random.default_rng(0)
    for number in range(40):
        place = folder / ("across", "down")[number % 2] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.normal(110, 20, (SIZE, SIZE, 3))
        pixels[(slice(None, None, 4),) if number % 2 else (slice(None), slice(None, None, 4))] += 90
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(place)
    (folder / "across" / "bad.png").write_bytes(b"no image")
    return folder


@pytest.mark.keras
def test_it_learns_from_a_folder_and_its_files_predict_and_embed(
    stripes: Path, tmp_path: Path, embank: Embank
) -> None:
    out, store = tmp_path / "cnn.keras", tmp_path / "stripes.embank"
    options = ["--image-size", SIZE, "--epochs", 12, "--batch-size", 8, "--split", "random"]
    ran = embank("baseline", stripes, *options, "--curves", tmp_path / "c.png", "--out", out, "--json")
    assert ran.code == 0, ran.err
    found = ran.json
    assert found["head"] == "baseline(epochs=12)"
    assert (found["scheme"], found["classes"]) == ("folder", ["across", "down"])
    assert found["curves"]["loss"][-1] < found["curves"]["loss"][0] / 2
    assert found["rows"][1]["accuracy"] > 0.8
    assert sum(found["images"].values()) == 40
    assert "Learning curves:" in ran.err
    with Image.open(tmp_path / "c.png") as picture:
        assert picture.size[0] > picture.size[1]
    predicted = embank("predict", tmp_path / "cnn.head", stripes / "down", "--json").json["rows"]
    assert np.mean([row["label"] == "down" for row in predicted]) > 0.8
    assert embank("embed", stripes, store, "--backbone", out, "--engine", "keras").code == 0
    [space] = FeatureStore(store).spaces.values()
    assert (space.dim, space.id) == (512, found["space"])


@pytest.mark.keras
def test_a_store_is_as_good_as_a_source_and_views_are_drawn_anew(
    stripes: Path, tmp_path: Path, embank: Embank
) -> None:
    store = tmp_path / "listed.embank"
    list_source(stripes, store)
    assert listed_store(str(store), tmp_path) == store
    options = ["--image-size", SIZE, "--epochs", 2, "--batch-size", 16]
    plain, again, views = (
        embank("baseline", place, *options, *more, "--json").json
        for place, more in ((store, []), (stripes, []), (store, ["--augment", "flip,shift=0.2"]))
    )
    assert plain["curves"]["loss"] == pytest.approx(again["curves"]["loss"], rel=1e-4)
    assert plain["curves"]["loss"][0] == views["curves"]["loss"][0]
    assert plain["curves"]["loss"][1] != views["curves"]["loss"][1]
    assert (plain["out"], plain["head_out"]) == (None, None)
    assert {path.name for path in tmp_path.iterdir()} == {"listed.embank"}


def test_a_source_is_listed_without_vectors(stripes: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    list_source(stripes, tmp_path / "all.embank", progress=lambda done, total: told.append((done, total)))
    store = FeatureStore(tmp_path / "all.embank")
    images = store.images()
    assert (len(images), len(store.spaces), told[-1]) == (40, 0, (41, 41))
    assert set(images["width"]) == {SIZE}
    assert store.errors()["key"].tolist() == ["across/bad.png"]
    list_source(stripes, tmp_path / "some.embank", limit=7)
    assert len(FeatureStore(tmp_path / "some.embank").images()) in (6, 7)


@pytest.mark.keras
def test_the_network_is_that_of_the_course(tmp_path: Path) -> None:
    path = tmp_path / "baseline.keras"
    write_baseline(path, 150, seed=3)
    model = build_keras_file(Recipe(str(path))).model
    weights = sum(int(variable.shape.num_elements()) for variable in model.variables)
    convolutions = (3 * 9 + 1) * 16 + (16 * 9 + 1) * 32 + (32 * 9 + 1) * 64
    assert weights == convolutions + (17 * 17 * 64 + 1) * 512
    assert weights + 513 == 9_494_561  # with its one output
    pixels = np.random.default_rng(0).integers(0, 256, (2, 150, 150, 3)).astype(np.float32)
    vectors = np.asarray(model(pixels))
    assert vectors.shape == (2, 512)
    assert (vectors >= 0).all()
    assert 0 < vectors.max() < 5  # of pixels from 0 to 1
    write_baseline(tmp_path / "again.keras", 150, seed=3)
    other = build_keras_file(Recipe(str(tmp_path / "again.keras"))).model
    assert np.array_equal(np.asarray(other(pixels)), vectors)


def test_what_makes_no_sense_is_said(tmp_path: Path, embank: Embank, photos: Path) -> None:
    with pytest.raises(FinetuneError, match="pictures of 21 pixels: expected 22 or more"):
        write_baseline(tmp_path / "small.keras", 21)
    for arguments, told in (
        (["nowhere"], "there is no folder, table or archive at nowhere"),
        ([photos, "--scheme", "folders"], "has no scheme 'folders'. Did you mean"),
        ([photos, "--patience", 2], "--patience goes with --early-stopping"),
        ([photos, "--curves", "curves.gif"], "curves.gif is no picture by its name"),
        ([photos, "--out", "cnn.h5"], "a tuned backbone is a .keras file"),
    ):
        ran = embank("baseline", *arguments)
        assert ran.code == 2
        assert told in " ".join(ran.err.replace("│", " ").split())


@pytest.mark.keras
def test_parameters_of_backbones_are_those_of_their_papers(embank: Embank, write_photo: WritePhoto) -> None:
    found = embank("backbones", "ResNet50", "--classes", 2, "--json").json
    assert found == {"name": "ResNet50", "dim": 2048, "parameters": 23_587_712, "head_parameters": 4_098}
    assert count_parameters("MobileNetV2_1.4", 96) == ("MobileNetV2_1.4", 1792, 4_363_712)
    said = embank("backbones", "mobilenet_v2", "--classes", 37).out
    assert "MobileNetV2: 2,257,984 parameters" in said
    assert "for 37 classes on it trains 47,397 parameters" in said
    assert embank("backbones", "--classes", 2).code == 2
