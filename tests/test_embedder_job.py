"""The batch job on a fake engine: each image embedded once, nothing mixed, nothing lost, whatever happens."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embedder.errors import RecipeError, SourceError
from embedder.geometry import Geometry
from embedder.images import Picture, decode
from embedder.job import embed
from embedder.recipe import Recipe
from embedder.report import EmbedReport
from embedder.settings import JobSettings
from embedder.sources import open_source, sample_entries
from store import FeatureStore
from store.errors import StoreError, StoreWriteError
from store.processes import this_machine
from store.space import part_files
from store.verify import verify

if TYPE_CHECKING:
    from tests.conftest import FakeEngines, WritePhoto

SMALL = Recipe("MobileNetV2", weights="none", image_size=32)
MAX = Recipe("MobileNetV2", weights="none", image_size=32, pooling="max")
LARGER = Recipe("ResNet50", weights="none", image_size=48, fit="crop")


@pytest.fixture(autouse=True)
def _many_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commits every few images, so that every test has several parts and listing files."""
    monkeypatch.setattr("embedder.bank.COMMIT_ROWS", 3)


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    return tmp_path / "bank.embank"


def counts(report: EmbedReport) -> tuple[int, int, int, int]:
    """Embedded, skipped, duplicates, failed; they make up all that was listed."""
    assert report.listed == report.embedded + report.skipped + report.duplicates + report.failed
    return report.embedded, report.skipped, report.duplicates, report.failed


def check_bank(bank: Path, folder: Path, fake_engine: FakeEngines, recipe: Recipe = SMALL) -> pd.DataFrame:
    """Every listed image has the vector of its own file, in its own row; returns the images."""
    found = verify(bank)
    assert found.ok, found.damage
    store = FeatureStore(bank)
    images = store.images()
    if len(images):
        images = images.sample(frac=1, random_state=1)
        space = recipe.freeze("random-0").space
        expected = [fake_engine.vector(recipe, (folder / key).read_bytes()) for key in images["key"]]
        np.testing.assert_array_equal(np.asarray(store.vectors(space, images)), np.stack(expected))
    return images.sort_values("key", ignore_index=True)


def rewrite(path: Path, data: bytes) -> None:
    """Writes a file and gives it a time of its own, however quick the test is."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, ns=(before + 10**9, before + 10**9))


def test_all_images_are_embedded_and_found_again(photos: Path, bank: Path, fake_engine: FakeEngines) -> None:
    seen: list[int] = []
    report = embed(photos, bank, SMALL, progress=lambda report: seen.append(report.done))
    assert counts(report) == (8, 0, 0, 0)
    assert report.space == [SMALL.freeze("random-0").space]
    assert report.gave_up is None
    assert seen == sorted(seen)
    assert seen[-1] == 8
    images = check_bank(bank, photos, fake_engine)
    assert images["key"].tolist() == sorted(
        path.relative_to(photos).as_posix() for path in photos.rglob("*.jpg")
    )
    assert images["folder"].tolist() == ["cats"] * 4 + ["dogs"] * 4
    assert images["width"].tolist() == [40, 42, 44, 46, 41, 43, 45, 47]
    assert set(images["height"]) == {30}
    assert FeatureStore(bank).summary()["errors"] == 0


@pytest.mark.parametrize("batch_size", [1, 3, 64])
@pytest.mark.parametrize("workers", [1, 5])
def test_batches_and_threads_change_nothing(
    photos: Path, bank: Path, fake_engine: FakeEngines, batch_size: int, workers: int
) -> None:
    embed(photos, bank, SMALL, settings=JobSettings(batch_size=batch_size, workers=workers))
    assert sorted(fake_engine.batches) == sorted(
        [batch_size] * (8 // batch_size) + [8 % batch_size] * (8 % batch_size > 0)
    )
    check_bank(bank, photos, fake_engine)


def test_parts_are_committed_as_the_job_goes(photos: Path, bank: Path, fake_engine: FakeEngines) -> None:
    embed(photos, bank, SMALL, settings=JobSettings(batch_size=1))
    space = next(iter(FeatureStore(bank).spaces.values()))
    assert [part.rows for part in space.parts] == [3, 3, 2]
    assert len(part_files(space.directory)) == 3
    assert len(list((bank / "sources" / "photos").iterdir())) == 1  # listing files are merged at the end


def test_a_second_run_does_nothing_and_loads_no_engine(
    photos: Path, bank: Path, fake_engine: FakeEngines
) -> None:
    embed(photos, bank, SMALL)
    before = {path: path.stat().st_mtime_ns for path in bank.rglob("*") if path.is_file()}
    fake_engine.opened.clear()
    fake_engine.batches.clear()
    report = embed(photos, bank, SMALL)
    assert counts(report) == (0, 8, 0, 0)
    assert (fake_engine.opened, fake_engine.batches) == ([], [])
    assert {path: path.stat().st_mtime_ns for path in bank.rglob("*") if path.is_file()} == before


def test_only_what_is_new_is_embedded(
    photos: Path, bank: Path, fake_engine: FakeEngines, write_photo: WritePhoto
) -> None:
    embed(photos, bank, SMALL)
    write_photo(photos / "birds" / "9.png", seed=9)
    fake_engine.batches.clear()
    assert counts(embed(photos, bank, SMALL)) == (1, 8, 0, 0)
    assert fake_engine.pictures == 1
    assert len(check_bank(bank, photos, fake_engine)) == 9


def test_a_touched_photo_is_read_again_but_not_embedded(
    photos: Path, bank: Path, fake_engine: FakeEngines
) -> None:
    embed(photos, bank, SMALL)
    fake_engine.batches.clear()
    photo = photos / "cats" / "0.jpg"
    rewrite(photo, photo.read_bytes())
    assert counts(embed(photos, bank, SMALL)) == (0, 8, 0, 0)
    assert fake_engine.pictures == 0
    images = check_bank(bank, photos, fake_engine).set_index("key")
    assert images.loc["cats/0.jpg", "mtime"] == photo.stat().st_mtime_ns


def test_a_renamed_photo_is_a_duplicate(photos: Path, bank: Path, fake_engine: FakeEngines) -> None:
    embed(photos, bank, SMALL)
    fake_engine.batches.clear()
    (photos / "cats" / "0.jpg").rename(photos / "dogs" / "new.jpg")
    assert counts(embed(photos, bank, SMALL)) == (0, 7, 1, 0)
    assert fake_engine.pictures == 0
    images = check_bank(bank, photos, fake_engine)
    assert "dogs/new.jpg" in set(images["key"])
    assert "cats/0.jpg" not in set(images["key"])
    assert len(images) == 8


def test_the_same_bytes_are_embedded_once(photos: Path, bank: Path, fake_engine: FakeEngines) -> None:
    for number in range(5):
        rewrite(photos / "copies" / f"{number}.jpg", (photos / "cats" / "0.jpg").read_bytes())
    assert counts(embed(photos, bank, SMALL)) == (8, 0, 5, 0)
    assert fake_engine.pictures == 8
    images = check_bank(bank, photos, fake_engine)
    assert len(images) == 13
    assert images["hash"].nunique() == 8
    assert set(images.loc[images["folder"] == "copies", "width"]) == {40}
    assert FeatureStore(bank).summary()["spaces"][SMALL.freeze("random-0").space]["rows"] == 8
    assert counts(embed(photos, bank, SMALL)) == (0, 13, 0, 0)


def test_changed_bytes_are_embedded_again(photos: Path, bank: Path, fake_engine: FakeEngines) -> None:
    embed(photos, bank, SMALL)
    rewrite(photos / "cats" / "0.jpg", (photos / "cats" / "2.jpg").read_bytes() + b"\0")
    fake_engine.batches.clear()
    assert counts(embed(photos, bank, SMALL)) == (1, 7, 0, 0)
    assert fake_engine.pictures == 1
    images = check_bank(bank, photos, fake_engine).set_index("key")
    assert images.loc["cats/0.jpg", "width"] == 42


BAD: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut.jpg": (lambda photo: photo[: len(photo) // 2], "damaged image"),
    "empty.jpg": (lambda photo: b"", "the file is empty"),
    "text.jpg": (lambda photo: b"dear diary", "not an image"),
    "text2.jpg": (lambda photo: b"dear diary", "not an image"),  # the same bytes: no duplicate, bad as well
}


@pytest.fixture
def spoiled(photos: Path) -> Path:
    """The photos with bad files between them."""
    for name, (spoil, _) in BAD.items():
        rewrite(photos / "cats" / name, spoil((photos / "cats" / "0.jpg").read_bytes()))
        rewrite(photos / "dogs" / f"{name}.png", spoil((photos / "dogs" / "1.jpg").read_bytes()))
    return photos


def test_bad_images_are_recorded_and_cost_nothing_else(
    spoiled: Path, bank: Path, fake_engine: FakeEngines
) -> None:
    report = embed(spoiled, bank, SMALL, settings=JobSettings(batch_size=4))
    assert counts(report) == (8, 0, 0, 8)
    assert len(check_bank(bank, spoiled, fake_engine)) == 8
    errors = FeatureStore(bank).errors().set_index("key")["status"]
    assert set(errors.index) == {f"cats/{name}" for name in BAD} | {f"dogs/{name}.png" for name in BAD}
    for name, (_, reason) in BAD.items():
        assert reason in errors[f"cats/{name}"]
    fake_engine.batches.clear()
    assert counts(embed(spoiled, bank, SMALL)) == (0, 8, 0, 8)
    assert fake_engine.pictures == 0
    assert len(FeatureStore(bank).errors()) == 8


def test_a_mended_image_is_embedded_by_the_next_run(
    spoiled: Path, bank: Path, fake_engine: FakeEngines, write_photo: WritePhoto
) -> None:
    embed(spoiled, bank, SMALL)
    write_photo(spoiled / "cats" / "cut.jpg", seed=77)
    assert counts(embed(spoiled, bank, SMALL)) == (1, 8, 0, 7)
    assert "cats/cut.jpg" not in set(FeatureStore(bank).errors()["key"])
    assert len(check_bank(bank, spoiled, fake_engine)) == 9


def test_a_photo_that_went_bad_is_no_image_any_more(
    photos: Path, bank: Path, fake_engine: FakeEngines
) -> None:
    embed(photos, bank, SMALL)
    rewrite(photos / "cats" / "0.jpg", b"overwritten")
    assert counts(embed(photos, bank, SMALL)) == (0, 7, 0, 1)
    assert "cats/0.jpg" not in set(check_bank(bank, photos, fake_engine)["key"])
    assert FeatureStore(bank).errors()["key"].tolist() == ["cats/0.jpg"]


def test_a_vanished_image_leaves_and_comes_back_for_nothing(
    photos: Path, bank: Path, fake_engine: FakeEngines
) -> None:
    embed(photos, bank, SMALL)
    away = photos.parent / "away.jpg"
    (photos / "cats" / "0.jpg").rename(away)
    assert counts(embed(photos, bank, SMALL)) == (0, 7, 0, 0)
    assert len(check_bank(bank, photos, fake_engine)) == 7
    assert FeatureStore(bank).errors().empty
    away.rename(photos / "cats" / "0.jpg")
    fake_engine.batches.clear()
    assert counts(embed(photos, bank, SMALL)) == (0, 8, 0, 0)
    assert fake_engine.pictures == 0
    assert len(check_bank(bank, photos, fake_engine)) == 8


def test_two_recipes_live_apart(photos: Path, bank: Path, fake_engine: FakeEngines) -> None:
    embed(photos, bank, SMALL)
    report = embed(photos, bank, [SMALL, LARGER])
    assert counts(report) == (8, 0, 0, 0)
    assert report.space == [recipe.freeze("random-0").space for recipe in (SMALL, LARGER)]
    assert fake_engine.pictures == 16  # eight each, none twice
    for recipe in (SMALL, LARGER):
        check_bank(bank, photos, fake_engine, recipe)
        assert counts(embed(photos, bank, recipe)) == (0, 8, 0, 0)
    assert counts(embed(photos, bank, [LARGER, SMALL])) == (0, 8, 0, 0)
    assert sorted(space["rows"] for space in FeatureStore(bank).summary()["spaces"].values()) == [8, 8]


def test_one_run_decodes_once_for_all_recipes(
    photos: Path, bank: Path, fake_engine: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[set[Geometry]] = []

    def counting(data: bytes, geometries: set[Geometry]) -> Picture:
        asked.append(geometries)
        return decode(data, geometries)

    monkeypatch.setattr("embedder.pipeline.decode", counting)
    report = embed(photos, bank, [SMALL, MAX, LARGER], settings=JobSettings(batch_size=3))
    assert counts(report) == (8, 0, 0, 0)
    assert asked == [{Geometry(32, "squash"), Geometry(48, "crop")}] * 8
    assert fake_engine.pictures == 24
    for recipe in (SMALL, MAX, LARGER):
        check_bank(bank, photos, fake_engine, recipe)


def test_other_weights_are_another_space(photos: Path, bank: Path, fake_engine: FakeEngines) -> None:
    seeded = Recipe("MobileNetV2", weights="none", image_size=32, seed=1)
    first, second = embed(photos, bank, SMALL), embed(photos, bank, seeded)
    assert first.space != second.space
    assert counts(second) == (8, 0, 0, 0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_vectors_that_are_not_finite_are_never_banked(
    photos: Path, bank: Path, fake_engine: FakeEngines, value: float
) -> None:
    def spoil(vectors: Any) -> Any:
        if vectors.shape[0] == 3:
            vectors[1, 2] = value
        return vectors

    fake_engine.change = spoil
    report = embed(photos, bank, [SMALL, LARGER], settings=JobSettings(batch_size=3))
    assert report.failed >= 2
    assert counts(report)[0] == 8 - report.failed
    assert FeatureStore(bank).errors()["status"].str.contains("not finite").all()
    for recipe in (SMALL, LARGER):
        assert len(check_bank(bank, photos, fake_engine, recipe)) == 8 - report.failed
    fake_engine.change = lambda vectors: vectors
    assert counts(embed(photos, bank, [SMALL, LARGER]))[0] == report.failed
    assert len(check_bank(bank, photos, fake_engine, LARGER)) == 8


def test_float16_is_stored_as_such_and_never_as_infinity(
    photos: Path, bank: Path, fake_engine: FakeEngines
) -> None:
    half = Recipe("MobileNetV2", weights="none", image_size=32, dtype="float16")
    embed(photos, bank, half, settings=JobSettings(limit=4))
    store = FeatureStore(bank)
    images = store.images()
    space = store.space("MobileNetV2")
    expected = [
        fake_engine.vector(half, (photos / key).read_bytes()).astype(np.float16) for key in images["key"]
    ]
    assert {part.dtype for part in space.parts} == {np.dtype(np.float16)}
    np.testing.assert_array_equal(
        np.asarray(store.vectors(space.id, images)), np.stack(expected).astype(np.float32)
    )
    fake_engine.change = lambda vectors: vectors * np.float32(1e5)
    assert counts(embed(photos, bank, half)) == (0, 4, 0, 4)
    assert verify(bank).ok


class StopError(Exception):
    """What an engine raises in the middle of a run."""


@pytest.mark.parametrize("batch", [0, 1, 4, 7])
@pytest.mark.parametrize("error", [StopError, KeyboardInterrupt, MemoryError])
def test_an_engine_that_fails_loses_nothing(
    photos: Path, bank: Path, fake_engine: FakeEngines, error: type[BaseException], batch: int
) -> None:
    rewrite(photos / "cats" / "zz.jpg", (photos / "cats" / "0.jpg").read_bytes())
    left = [batch]

    def fail(count: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise error

    fake_engine.before_batch = fail
    fake_engine.streams = 1  # else a later batch may overtake the one that is to fail
    with pytest.raises(error):
        embed(photos, bank, [SMALL, LARGER], settings=JobSettings(batch_size=2))
    check_bank(bank, photos, fake_engine, SMALL)
    images = check_bank(bank, photos, fake_engine, LARGER)
    done = len(images)
    assert (done > 0) == (batch > 3)
    fake_engine.before_batch = lambda count: None
    fake_engine.batches.clear()
    report = embed(photos, bank, [SMALL, LARGER], settings=JobSettings(batch_size=2))
    assert report.skipped == done
    assert report.embedded + report.duplicates == 9 - done
    assert fake_engine.pictures <= 16 - 2 * images["hash"].nunique()
    assert len(check_bank(bank, photos, fake_engine, SMALL)) == 9
    assert len(check_bank(bank, photos, fake_engine, LARGER)) == 9


@pytest.mark.parametrize("done", range(9))
def test_an_interrupted_run_commits_what_is_done(
    photos: Path, bank: Path, fake_engine: FakeEngines, done: int
) -> None:
    def interrupt(report: EmbedReport) -> None:
        if report.embedded == done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed(photos, bank, SMALL, settings=JobSettings(batch_size=1), progress=interrupt)
    if bank.exists():
        assert len(check_bank(bank, photos, fake_engine)) == done
    fake_engine.batches.clear()
    assert counts(embed(photos, bank, SMALL)) == (8 - done, done, 0, 0)
    assert fake_engine.pictures == 8 - done
    assert len(check_bank(bank, photos, fake_engine)) == 8


def test_a_run_that_gave_up_calls_nothing_vanished(
    photos: Path, bank: Path, fake_engine: FakeEngines
) -> None:
    embed(photos, bank, SMALL)
    (photos / "dogs" / "7.jpg").unlink()
    embed(photos, bank, SMALL, settings=JobSettings(limit=2))
    assert len(FeatureStore(bank).images()) == 8
    embed(photos, bank, SMALL)
    assert len(FeatureStore(bank).images()) == 7


class FillingDisk:
    """Stands for os.write on a disk that has room for so many writes and a half."""

    def __init__(self, room: int) -> None:
        self._room, self._write = room, os.write

    def __call__(self, descriptor: int, data: Any) -> int:
        self._room -= 1
        if self._room >= 0:
            return self._write(descriptor, data)
        if self._room == -1 and len(data) > 1:
            return self._write(descriptor, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_loses_nothing(
    photos: Path, tmp_path: Path, fake_engine: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills up at each write of a run in turn, and has room again afterwards."""
    banked = [0]
    for room in range(100):
        bank = tmp_path / f"{room}.embank"
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", FillingDisk(room))
            try:
                embed(photos, bank, SMALL, settings=JobSettings(batch_size=1))
                break
            except StoreWriteError as error:
                assert "No space left on device" in str(error)
        if (bank / "embank.json").exists():
            check_bank(bank, photos, fake_engine)
            spaces = FeatureStore(bank).summary()["spaces"].values()
            banked.append(sum(space["rows"] for space in spaces))
        assert counts(embed(photos, bank, SMALL)) == (8 - banked[-1], banked[-1], 0, 0)
        assert len(check_bank(bank, photos, fake_engine)) == 8
        assert not list(bank.rglob(".tmp-*"))
    assert sorted(set(banked)) == [0, 3, 6, 8]
    assert banked == sorted(banked)


def test_a_disk_too_full_for_another_recipe_leaves_the_first_readable(
    photos: Path, bank: Path, fake_engine: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed(photos, bank, SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", FillingDisk(0))
        with pytest.raises(StoreWriteError):
            embed(photos, bank, LARGER)
    assert len(check_bank(bank, photos, fake_engine)) == 8


@pytest.mark.parametrize(
    ("limit", "stops"),
    [(0, True), (3, True), ("2", True), ("10%", True), (8, False), ("50%", False), (None, False)],
)
def test_too_many_bad_images_end_the_run(
    spoiled: Path, bank: Path, fake_engine: FakeEngines, limit: str | int | None, stops: bool
) -> None:
    report = embed(spoiled, bank, SMALL, settings=JobSettings(max_failures=limit))
    assert (report.gave_up is not None) == stops
    if stops:
        assert "bad images" in str(report.gave_up)
    else:
        assert counts(report) == (8, 0, 0, 8)
    done = len(check_bank(bank, spoiled, fake_engine))
    assert done == report.embedded
    assert counts(embed(spoiled, bank, SMALL)) == (8 - done, done, 0, 8)


def test_a_run_with_too_many_bad_images_ends_early(
    photos: Path, bank: Path, fake_engine: FakeEngines, write_photo: WritePhoto
) -> None:
    for number in range(60):
        write_photo(photos / "many" / f"{number}.bmp", number)
    rewrite(photos / "aaa.jpg", b"")
    report = embed(photos, bank, SMALL, settings=JobSettings(max_failures=0, workers=1, batch_size=1))
    assert report.gave_up == "more than 0 bad images"
    assert report.done < 30 < report.listed
    assert counts(embed(photos, bank, SMALL)) == (68 - report.embedded, report.embedded, 0, 1)


def test_one_bad_image_too_many_at_the_very_end_counts(
    photos: Path, bank: Path, fake_engine: FakeEngines
) -> None:
    rewrite(photos / "zz" / "last.jpg", b"")
    report = embed(photos, bank, SMALL, settings=JobSettings(max_failures=0))
    assert report.gave_up is not None
    assert counts(report) == (8, 0, 0, 1)


@pytest.mark.parametrize("limit", ["", "many", "-1", "-5%", "nan", "inf", "nan%", "1.5", "5 %%"])
def test_limits_that_cannot_be_read(photos: Path, bank: Path, fake_engine: FakeEngines, limit: str) -> None:
    with pytest.raises(RecipeError, match="--max-failures"):
        embed(photos, bank, SMALL, settings=JobSettings(max_failures=limit))
    assert not bank.exists()


def test_a_limit_draws_images_and_the_next_one_adds_to_them(
    photos: Path, bank: Path, fake_engine: FakeEngines
) -> None:
    assert counts(embed(photos, bank, SMALL, settings=JobSettings(limit=3))) == (3, 0, 0, 0)
    assert counts(embed(photos, bank, SMALL, settings=JobSettings(limit=5))) == (2, 3, 0, 0)
    assert len(check_bank(bank, photos, fake_engine)) == 5
    drawn = [entry.key for entry in sample_entries(open_source(photos).entries, 5, seed=0)]
    assert sorted(FeatureStore(bank).images()["key"]) == drawn
    other = embed(photos, bank, SMALL, settings=JobSettings(limit=5, seed=1))
    assert other.embedded > 0


def test_another_folder_of_the_same_name_is_refused(
    photos: Path, bank: Path, fake_engine: FakeEngines, write_photo: WritePhoto
) -> None:
    embed(photos, bank, SMALL)
    other = photos.parent / "other" / "photos"
    write_photo(other / "1.jpg", seed=50)
    with pytest.raises(SourceError, match="--name") as raised:
        embed(other, bank, SMALL)
    assert str(photos) in str(raised.value)
    assert str(other) in str(raised.value)
    assert len(check_bank(bank, photos, fake_engine)) == 8
    assert counts(embed(other, bank, SMALL, name="other")) == (1, 0, 0, 0)
    assert FeatureStore(bank).images()["source"].value_counts().to_dict() == {"photos": 8, "other": 1}


def test_a_folder_that_has_moved_is_the_same_source(
    photos: Path, bank: Path, fake_engine: FakeEngines
) -> None:
    embed(photos, bank, SMALL)
    (photos.parent / "moved").mkdir()
    moved = photos.rename(photos.parent / "moved" / "photos")
    fake_engine.batches.clear()
    assert counts(embed(moved, bank, SMALL)) == (0, 8, 0, 0)
    assert fake_engine.pictures == 0


def test_two_sources_share_vectors(photos: Path, bank: Path, fake_engine: FakeEngines) -> None:
    embed(photos, bank, SMALL)
    fake_engine.batches.clear()
    report = embed(photos / "cats", bank, SMALL)
    assert report.embedded == fake_engine.pictures == 0
    images = FeatureStore(bank).images()
    assert images["source"].value_counts().to_dict() == {"photos": 8, "cats": 4}


def test_writers_at_once_share_the_work(
    photos: Path,
    bank: Path,
    fake_engine: FakeEngines,
    write_photo: WritePhoto,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("embedder.units.UNIT_ENTRIES", 4)
    monkeypatch.setattr("embedder.worker.LOOK_AGAIN_S", 0.01)
    for number in range(8, 60):
        write_photo(photos / "cats" / f"{number}.jpg", number)
    embed(photos, bank, SMALL, settings=JobSettings(limit=1))
    fake_engine.batches.clear()
    together = threading.Barrier(3)
    fake_engine.before_batch = lambda count: time.sleep(0.002 * count)

    def write(_: int) -> EmbedReport:
        together.wait()
        return embed(photos, bank, SMALL, settings=JobSettings(batch_size=2, workers=1))

    with ThreadPoolExecutor(3) as pool:
        reports = list(pool.map(write, range(3)))
    assert sum(fake_engine.batches) == 59  # not one picture twice
    assert sum(report.embedded for report in reports) == 59
    assert all(report.embedded + report.skipped == 60 for report in reports)  # and each says that all is done
    assert len(check_bank(bank, photos, fake_engine)) == 60
    assert not list((bank / "cache").rglob("claims/*/*/*"))


def test_the_work_of_a_dead_writer_is_taken_over(photos: Path, bank: Path, fake_engine: FakeEngines) -> None:
    embed(photos, bank, SMALL, settings=JobSettings(limit=1))
    claims = bank / "cache" / "claims" / SMALL.freeze("random-0").space / "photos"
    (claims / "first.0").write_text(f"{this_machine()} {2**22 + 1}")  # no process has this number
    assert embed(photos, bank, SMALL).embedded == 7
    assert not list(claims.iterdir())


def test_work_that_another_one_finishes_meanwhile_is_waited_for(
    photos: Path, bank: Path, fake_engine: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim is alive at first; then its writer has gone, and what it left undone is done."""
    embed(photos, bank, SMALL, settings=JobSettings(limit=1))
    claim = bank / "cache" / "claims" / SMALL.freeze("random-0").space / "photos" / "first.0"
    claim.write_text("another-machine 1")
    looks = 0

    def look_again(seconds: float) -> None:
        nonlocal looks
        looks += 1
        assert seconds > 0
        if looks == 3:
            claim.unlink()

    monkeypatch.setattr("embedder.worker.time.sleep", look_again)
    assert embed(photos, bank, SMALL).embedded == 7
    assert looks == 3


def test_a_table_brings_its_labels(photos: Path, bank: Path, fake_engine: FakeEngines) -> None:
    table = photos / "list.csv"
    table.write_text("path,breed\ndogs/1.jpg,pug\ncats/0.jpg,manx\ncats/none.jpg,pug\n")
    assert counts(embed(table, bank, SMALL)) == (2, 0, 0, 1)
    images = FeatureStore(bank).images()
    assert images["labels.breed"].tolist() == ["manx", "pug"]
    assert FeatureStore(bank).errors()["status"].tolist() == ["there is no such file"]
    table.write_text("path,breed\ndogs/1.jpg,boxer\ncats/0.jpg,manx\n")
    embed(table, bank, SMALL)
    assert FeatureStore(bank).images()["labels.breed"].tolist() == ["manx", "boxer"]


def test_a_mistake_leaves_no_store_behind(photos: Path, bank: Path, fake_engine: FakeEngines) -> None:
    with pytest.raises(SourceError):
        embed(photos / "nothing", bank, SMALL)
    with pytest.raises(StoreError):
        embed(photos, photos / "cats" / "0.jpg", SMALL)
    with pytest.raises(StoreError):
        embed(photos, photos, SMALL)  # a folder of other things is no store
    assert not bank.exists()
    assert sorted(path.name for path in photos.iterdir()) == ["cats", "dogs"]


actions = st.tuples(
    st.sampled_from(["draw", "copy", "rename", "delete", "spoil", "touch", "run"]),
    st.integers(0, 4),
    st.integers(0, 4),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(actions, min_size=1, max_size=12))
def test_whatever_happens_to_the_folder_the_bank_follows(
    fake_engine: FakeEngines, write_photo: WritePhoto, steps: list[tuple[str, int, int]]
) -> None:
    """The bank always equals the folder, and no bytes ever go through the engine twice."""
    clock = 10**18
    fake_engine.batches.clear()
    ever: set[bytes] = set()
    with tempfile.TemporaryDirectory() as temporary:
        folder, bank = Path(temporary, "photos"), Path(temporary, "bank.embank")
        write_photo(folder / "fixed.png", seed=1000)
        for action, one, other in [*steps, ("run", 0, 0)]:
            path, target = folder / f"{one}.png", folder / f"{other}.png"
            if action == "draw":
                write_photo(path, seed=other)
            elif action == "spoil":
                path.write_bytes(b"bad" * other)
            elif path.exists() and action == "copy":
                target.write_bytes(path.read_bytes())
                path = target
            elif path.exists() and action == "rename":
                path = path.rename(target)
            elif path.exists() and action == "delete":
                path.unlink()
            elif action == "run":
                files = {file.name: file.read_bytes() for file in folder.iterdir()}
                sound = {name: data for name, data in files.items() if not data.startswith(b"bad") and data}
                report = embed(folder, bank, SMALL)
                assert report.embedded == len(set(sound.values()) - ever)
                assert counts(report)[3] == len(files) - len(sound)
                ever |= set(sound.values())
                assert fake_engine.pictures == len(ever)
                assert set(check_bank(bank, folder, fake_engine)["key"]) == set(sound)
                assert set(FeatureStore(bank).errors()["key"]) == set(files) - set(sound)
            if path.exists() and action != "rename":
                clock += 10**9
                os.utime(path, ns=(clock, clock))
