"""Thumbnails and mean colours of banked images, from every kind of source."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import fsspec
import numpy as np
import pytest
from PIL import Image

from embedder import Recipe, embed
from embedder import thumbnails as thumbnails_module
from embedder.thumbnails import EDGE, colours, thumbnails
from store import FeatureStore, remove_source

if TYPE_CHECKING:
    from tests.conftest import FakeEngines, WritePhoto

RECIPE = Recipe("ResNet50", weights="none", image_size=32)


@pytest.fixture
def banked(photos: Path, tmp_path: Path, fake_engine: FakeEngines) -> FeatureStore:
    """The eight photos, one of them under a second name, and a large one."""
    shutil.copy(photos / "cats" / "0.jpg", photos / "dogs" / "copy.jpg")
    Image.new("RGB", (800, 300), (250, 20, 90)).save(photos / "wide.png")
    embed(photos, tmp_path / "x.embank", RECIPE)
    return FeatureStore(tmp_path / "x.embank")


def refuse_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(location: str, *, whole: bool = False) -> object:
        raise AssertionError(f"{location} was read again")

    monkeypatch.setattr(thumbnails_module, "reader_at", refuse)


def test_thumbnails_are_small_pictures_and_made_once(
    banked: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = banked.images()
    seen: list[tuple[int, int]] = []
    made = thumbnails(banked, images, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (10, 10)
    sizes = [Image.open(io.BytesIO(jpeg or b"")).size for jpeg in made]
    assert sizes[images["key"].tolist().index("wide.png")] == (EDGE, 60)
    assert all(max(size) == EDGE for size in sizes)
    refuse_to_read(monkeypatch)
    backwards = images.iloc[::-1]
    assert thumbnails(banked, backwards) == made[::-1]
    assert thumbnails(banked, images.iloc[:0]) == []


def test_colours_are_those_of_the_pictures(banked: FeatureStore, photos: Path) -> None:
    images = banked.images()
    found = colours(banked, images)
    assert found.shape == (10, 3)
    expected = [
        np.asarray(Image.open(photos / key).convert("RGB")).mean(axis=(0, 1)) for key in images["key"]
    ]
    np.testing.assert_allclose(found, expected, atol=4)
    assert colours(banked, images.iloc[:0]).shape == (0, 3)


def test_a_file_that_is_gone_or_changed_has_none_until_it_is_back(
    banked: FeatureStore, photos: Path, write_photo: WritePhoto
) -> None:
    images = banked.images()
    keys = images["key"].tolist()
    kept = (photos / "cats" / "2.jpg").read_bytes()
    (photos / "cats" / "0.jpg").unlink()  # its copy is still there
    (photos / "dogs" / "1.jpg").unlink()
    write_photo(photos / "cats" / "2.jpg", seed=99)
    found = dict(zip(keys, thumbnails(banked, images), strict=True))
    assert {key for key in keys if found[key] is None} == {"dogs/1.jpg", "cats/2.jpg"}
    assert np.isnan(colours(banked, images)).all(axis=1).sum() == 2
    (photos / "cats" / "2.jpg").write_bytes(kept)
    assert None not in thumbnails(banked, images[images["key"] == "cats/2.jpg"])


def test_a_cache_that_is_deleted_or_cannot_be_written_costs_time_only(banked: FeatureStore) -> None:
    images = banked.images()
    made = thumbnails(banked, images)
    shutil.rmtree(banked.path / "cache")
    (banked.path / "cache").write_text("no directory")
    assert thumbnails(banked, images) == made


def test_comments_of_a_file_do_not_get_into_its_thumbnail(
    photos: Path, tmp_path: Path, fake_engine: FakeEngines, write_photo: WritePhoto
) -> None:
    write_photo(tmp_path / "said" / "a.jpg", comment=b"secret " * 5000)
    embed(tmp_path / "said", tmp_path / "y.embank", RECIPE)
    store = FeatureStore(tmp_path / "y.embank")
    (jpeg,) = thumbnails(store, store.images())
    assert jpeg is not None
    assert b"secret" not in jpeg


def test_an_archive_at_a_url_is_copied_once_for_its_thumbnails(
    photos: Path, tmp_path: Path, fake_engine: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", photos)
    fsspec.filesystem("memory").put(packed, "/thumbs/packed.zip")
    embed("memory://thumbs/packed.zip", tmp_path / "z.embank", RECIPE)
    store = FeatureStore(tmp_path / "z.embank")
    assert None not in thumbnails(store, store.images())
    refuse_to_read(monkeypatch)
    assert None not in thumbnails(store, store.images())


def test_removing_a_source_removes_its_pictures(banked: FeatureStore) -> None:
    thumbnails(banked, banked.images())
    assert list(banked.path.glob("cache/thumbnails/*"))
    remove_source(banked.path, "photos")
    assert not list(banked.path.glob("cache/thumbnails/*"))
