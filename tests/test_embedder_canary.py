"""The canary: what makes or continues a space is compared with what is banked there, and refused if it differs."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from embedder import canary
from embedder.errors import EngineError
from embedder.job import embed
from embedder.recipe import Recipe
from store import FeatureStore
from store.canaries import Canary, read_canaries, read_canary
from store.errors import StoreFormatError
from store.verify import verify
from tests.conftest import FakeEngines, WritePhoto

SMALL = Recipe("MobileNetV2", weights="none", image_size=32)
SPACE = SMALL.freeze("random-0").space


@pytest.fixture(autouse=True)
def _canary_sings(fake_engine: FakeEngines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embedder.engine_set.is_known", canary.is_known)


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    return tmp_path / "bank.embank"


def canaries(bank: Path, space: str = SPACE) -> list[Canary]:
    return read_canaries(bank / "spaces" / space)


def test_a_new_space_has_a_canary_that_is_stored_and_shown(
    photos: Path, bank: Path, fake_engine: FakeEngines
) -> None:
    report = embed(photos, bank, SMALL)
    (sung,) = canaries(bank)
    assert (sung.images, sung.mean, sung.worst, sung.float32) == (8, 1.0, 1.0, None)
    assert sung.made_by["engine"] == "fake"
    assert "Pillow" in sung.made_by["libraries"]
    assert [note for note in report.notes if "8 banked images embedded again by fake agree" in note]
    assert FeatureStore(bank).summary()["spaces"][SPACE]["canaries"][0]["mean"] == 1.0
    assert verify(bank).ok


def test_it_sings_once(photos: Path, bank: Path, fake_engine: FakeEngines, write_photo: WritePhoto) -> None:
    embed(photos, bank, SMALL)
    fake_engine.batches.clear()
    write_photo(photos / "new.jpg", 50)
    report = embed(photos, bank, SMALL)
    assert fake_engine.batches == [1]
    assert report.notes == []
    assert len(canaries(bank)) == 1


def test_another_engine_is_compared_before_it_adds_anything(
    photos: Path,
    bank: Path,
    fake_engine: FakeEngines,
    write_photo: WritePhoto,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    embed(photos, bank, SMALL)
    monkeypatch.setattr(type(fake_engine.opened[0]), "description", "fake 2")
    fake_engine.change = _reversed
    write_photo(photos / "new.jpg", 50)
    with pytest.raises(EngineError, match=r"engine was fake, is fake 2") as raised:
        embed(photos, bank, SMALL)
    assert "8 banked images" in str(raised.value)
    assert SPACE in str(raised.value)
    assert len(canaries(bank)) == 1
    assert FeatureStore(bank).space(SPACE).rows == 8

    fake_engine.change = lambda vectors: vectors * np.float32(1 + 1e-6)
    assert embed(photos, bank, SMALL).embedded == 1
    assert {sung.made_by["engine"] for sung in canaries(bank)} == {"fake", "fake 2"}


def _reversed(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return vectors[:, ::-1]


def test_an_engine_that_contradicts_itself_is_found(
    photos: Path, bank: Path, fake_engine: FakeEngines
) -> None:
    """A space is new, and what made it makes something else the second time."""
    calls = 0

    def change(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        nonlocal calls
        calls += 1
        return vectors if calls == 1 else -vectors

    fake_engine.change = change
    with pytest.raises(EngineError, match="do not agree"):
        embed(photos, bank, SMALL)


def test_bfloat16_says_how_well_it_agrees_with_float32(
    photos: Path, bank: Path, fake_engine: FakeEngines
) -> None:
    half = Recipe("MobileNetV2", weights="none", image_size=32, precision="bfloat16")
    report = embed(photos, bank, half)
    (sung,) = canaries(bank, half.freeze("random-0").space)
    assert sung.float32 is not None  # the fake engine projects anew for each recipe
    assert -1 <= sung.float32 < 0.999
    assert [note for note in report.notes if "with float32" in note]


def test_images_that_have_changed_are_not_compared(
    photos: Path,
    bank: Path,
    fake_engine: FakeEngines,
    write_photo: WritePhoto,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    embed(photos, bank, SMALL)
    monkeypatch.setattr(type(fake_engine.opened[0]), "description", "fake 2")
    for number, path in enumerate(sorted(photos.rglob("*.jpg"))[:7]):
        write_photo(path, 100 + number, size=(90, 70))
    assert embed(photos, bank, SMALL).embedded == 7
    assert sorted(sung.images for sung in canaries(bank)) == [1, 8]


def test_another_source_is_compared_by_the_images_of_the_first(
    photos: Path,
    bank: Path,
    fake_engine: FakeEngines,
    write_photo: WritePhoto,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    embed(photos, bank, SMALL)
    monkeypatch.setattr(type(fake_engine.opened[0]), "description", "fake 2")
    other = write_photo(bank.parent / "other" / "x.jpg", 77)
    fake_engine.change = _reversed
    with pytest.raises(EngineError, match="do not agree"):
        embed(other.parent, bank, SMALL)
    shutil.rmtree(photos)  # then there is only its own image, which agrees with itself
    assert embed(other.parent, bank, SMALL).embedded == 1
    assert sorted(sung.images for sung in canaries(bank)) == [1, 8]


def test_a_damaged_canary_is_named(photos: Path, bank: Path, fake_engine: FakeEngines) -> None:
    embed(photos, bank, SMALL)
    (path,) = (bank / "spaces" / SPACE).glob("canary-*")
    path.write_bytes(path.read_bytes().replace(b"fake", b"real"))
    with pytest.raises(StoreFormatError, match="Delete it"):
        read_canary(path)
    found = verify(bank)
    assert [damage.file for damage in found.damage] == [path.relative_to(bank).as_posix()]
