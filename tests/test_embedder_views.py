"""Augmented views in a job: all banked, each the same everywhere, the image itself among them, none made twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from embedder import RecipeError
from embedder.augmentation import augmented_views
from embedder.files import embed_files
from embedder.images import decode
from embedder.job import embed
from embedder.recipe import FrozenRecipe, Recipe
from embedder.settings import JobSettings
from embedder.sources import files_as_entries
from store import FeatureStore
from store.compaction import compact
from store.verify import verify
from tests.conftest import FakeEngines, WritePhoto

PLAIN = Recipe("MobileNetV2", weights="none", image_size=32)
VIEWS = Recipe("MobileNetV2", weights="none", image_size=32, augment="rotation=40, flip", views=2)
SPACE = VIEWS.freeze("random-0").space


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    return tmp_path / "bank.embank"


def test_an_augmenting_recipe_is_another_space_whatever_the_order_of_its_options() -> None:
    frozen = VIEWS.freeze("random-0")
    assert (frozen.augment, frozen.views) == ("flip,rotation=40", 3)
    assert frozen.space != PLAIN.freeze("random-0").space
    same = Recipe("MobileNetV2", weights="none", image_size=32, augment="flip,rotation=40.0", views=2)
    assert same.freeze("random-0") == frozen
    assert FrozenRecipe.from_dict(frozen.to_dict()) == frozen
    assert Recipe("MobileNetV2", augment="flip").views == 4


@pytest.mark.parametrize(("augment", "views"), [(None, 3), ("flip", 0), ("flip", 101), ("flap", 2)])
def test_views_that_make_no_sense(augment: str | None, views: int) -> None:
    with pytest.raises(RecipeError):
        Recipe("MobileNetV2", augment=augment, views=views)


@pytest.mark.parametrize("batch_size", [1, 5, 16])
def test_every_view_is_banked_in_its_place(
    photos: Path, bank: Path, fake_engine: FakeEngines, batch_size: int
) -> None:
    report = embed(photos, bank, [VIEWS, PLAIN], settings=JobSettings(batch_size=batch_size))
    assert (report.embedded, fake_engine.pictures) == (8, 8 * 3 + 8)
    assert verify(bank).ok
    store = FeatureStore(bank)
    assert store.space(SPACE).rows == 24
    images = store.images().sample(frac=1, random_state=2)
    engine = next(engine for engine in fake_engine.opened if engine.recipe.space == SPACE)
    plain = VIEWS.freeze("random-0").geometry.without_views
    squares = {
        hash_: decode((photos / key).read_bytes(), {plain}).squares[plain][0]
        for hash_, key in zip(images["hash"], images["key"], strict=True)
    }
    augmentation = engine.recipe.geometry.augmentation
    assert augmentation is not None
    for view in range(3):
        expected = [
            augmented_views(squares[hash_], augmentation, 3, hash_)[view : view + 1]
            for hash_ in images["hash"]
        ]
        vectors = np.concatenate([type(engine)(engine.recipe, 1, fake_engine)(one) for one in expected])
        np.testing.assert_array_equal(np.asarray(store.vectors(SPACE, images, view=view)), vectors)
    assert compact(bank).duplicates == 0


def test_a_second_run_does_nothing_and_a_lost_view_is_made_again(
    photos: Path, bank: Path, fake_engine: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embedder.bank.COMMIT_ROWS", 5)
    embed(photos, bank, VIEWS)
    assert embed(photos, bank, VIEWS).skipped == 8
    parts = sorted((bank / "spaces" / SPACE).glob("*.h5"))
    parts[-1].unlink()
    report = embed(photos, bank, VIEWS)
    assert report.embedded > 0
    assert report.embedded + report.skipped == 8
    assert verify(bank).ok


def test_new_images_are_predicted_from_plain_pictures(
    photos: Path, bank: Path, fake_engine: FakeEngines, write_photo: WritePhoto
) -> None:
    embed(photos, bank, VIEWS)
    entries = files_as_entries([str(photos)])
    found = embed_files(entries, fake_engine.opened[-1])
    store = FeatureStore(bank)
    images = store.images()
    np.testing.assert_array_equal(found.vectors, np.asarray(store.vectors(SPACE, images)))


def test_one_bad_picture_among_views_costs_nothing_else(
    photos: Path, bank: Path, fake_engine: FakeEngines
) -> None:
    (photos / "cats" / "bad.jpg").write_bytes(b"no picture")
    shutil.copy(photos / "cats" / "0.jpg", photos / "cats" / "twin.jpg")
    report = embed(photos, bank, VIEWS, settings=JobSettings(batch_size=4))
    assert (report.embedded, report.failed, report.duplicates) == (8, 1, 1)
    assert FeatureStore(bank).space(SPACE).rows == 24
