"""The dry run: what it counts is what the job then does, and it leaves nothing behind."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from embedder import JobSettings, Recipe, SourceError, embed
from embedder.cost_model import REFERENCES
from embedder.dry_run import DryRun, dry_run
from embedder.recipe import FrozenRecipe
from embedder.weights import known_digest
from store.errors import StoreError

if TYPE_CHECKING:
    from tests.conftest import Embank, FakeEngine, FakeEngines, WritePhoto

RECIPE = Recipe("ResNet50", weights="none", image_size=32)
OTHER = Recipe("MobileNetV2", weights="none", image_size=32, dtype="float16")


@pytest.fixture
def ready(fake_engine: FakeEngines, monkeypatch: pytest.MonkeyPatch) -> FakeEngines:
    """Fake engines that count as converted before."""

    def is_ready(recipe: FrozenRecipe | None, engine: str) -> bool:
        return recipe is not None

    monkeypatch.setattr("embedder.dry_run.open_engine", fake_engine.open)
    monkeypatch.setattr("embedder.dry_run._is_ready", is_ready)
    return fake_engine


def counts(plan: DryRun) -> list[tuple[int, int]]:
    """What is banked and what is to be done, by space."""
    return [(space.banked, space.rows) for space in plan.spaces]


def test_it_says_what_the_source_holds(ready: FakeEngines, photos: Path, tmp_path: Path) -> None:
    (photos / "cats" / "broken.jpg").write_text("no image")
    (photos / "notes.txt").write_text("")
    plan = dry_run(photos, tmp_path / "x.embank", [RECIPE, OTHER])
    assert (plan.source, plan.location, plan.listed, plan.todo) == ("photos", str(photos), 9, 9)
    assert plan.bytes == sum(path.stat().st_size for path in photos.rglob("*.jpg"))
    assert plan.folders == {"cats": 5, "dogs": 4}
    assert plan.splits == {}
    assert (plan.sizes.sampled, plan.sizes.unreadable) == (9, 1)
    assert (plan.sizes.width, plan.sizes.height) == ((40, 43, 47), (30, 30, 30))
    assert counts(plan) == [(0, 9), (0, 9)]
    assert [space.space for space in plan.spaces] == [
        recipe.freeze(str(known_digest(recipe))).space for recipe in (RECIPE, OTHER)
    ]
    assert [space.bytes for space in plan.spaces] == [9 * 6 * 4, 9 * 6 * 2]
    assert plan.seconds >= 0
    assert "1 files" in plan.notes[0]
    json.dumps(plan.to_dict())


def test_splits_are_counted(ready: FakeEngines, tmp_path: Path, write_photo: WritePhoto) -> None:
    for number, place in enumerate(["train/cat", "train/dog", "val/cat"]):
        write_photo(tmp_path / "photos" / place / "1.jpg", number)
    plan = dry_run(tmp_path / "photos", tmp_path / "x.embank", [RECIPE])
    assert plan.splits == {"train": 2, "val": 1}
    assert plan.folders == {"cat": 2, "dog": 1}


def test_nothing_is_written(ready: FakeEngines, photos: Path, tmp_path: Path) -> None:
    def everything() -> dict[Path, tuple[int, int]]:
        return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")}

    before = everything()
    dry_run(photos, tmp_path / "x.embank", [RECIPE])
    assert everything() == before
    embed(photos, tmp_path / "x.embank", RECIPE)
    before = everything()
    dry_run(photos, tmp_path / "x.embank", [RECIPE, OTHER])
    assert everything() == before


def test_what_is_banked_is_not_counted_again(
    ready: FakeEngines, photos: Path, tmp_path: Path, write_photo: WritePhoto
) -> None:
    store = tmp_path / "x.embank"
    embed(photos, store, RECIPE)
    plan = dry_run(photos, store, [RECIPE, OTHER])
    assert counts(plan) == [(8, 0), (0, 8)]
    assert plan.todo == 8
    assert [space.dim for space in plan.spaces] == [6, 6]
    opened = len(ready.opened)
    plan = dry_run(photos, store, [RECIPE])
    assert (plan.todo, plan.seconds, plan.spaces[0].ready) == (0, 0.0, True)
    assert len(ready.opened) == opened  # no backbone is loaded to say so
    write_photo(photos / "cats" / "new.jpg", 77)
    os.utime(photos / "cats" / "0.jpg", ns=(5, 5))
    (photos / "cats" / "2.jpg").write_text("broken since")
    assert counts(dry_run(photos, store, [RECIPE])) == [(6, 3)]


def test_images_that_failed_are_to_be_done_again(ready: FakeEngines, photos: Path, tmp_path: Path) -> None:
    (photos / "cats" / "broken.jpg").write_text("no image")
    embed(photos, tmp_path / "x.embank", RECIPE)
    assert counts(dry_run(photos, tmp_path / "x.embank", [RECIPE])) == [(8, 1)]


def test_a_limit_takes_a_seeded_sample(ready: FakeEngines, photos: Path, tmp_path: Path) -> None:
    settings = [JobSettings(limit=4, seed=seed) for seed in range(6)]
    plans = [dry_run(photos, tmp_path / "x.embank", [RECIPE], settings=each) for each in settings]
    assert {plan.listed for plan in plans} == {4}
    assert len({plan.bytes for plan in plans}) > 1
    assert plans[0].bytes == dry_run(photos, tmp_path / "x", [RECIPE], settings=settings[0]).bytes


def test_weights_that_were_never_here_are_all_to_be_done(
    fake_engine: FakeEngines, photos: Path, tmp_path: Path
) -> None:
    plan = dry_run(photos, tmp_path / "x.embank", [Recipe("VGG16"), Recipe("Xception", pooling="none")])
    first, second = plan.spaces
    assert (first.space, first.rows, first.dim, first.bytes, first.ready) == (
        None,
        8,
        512,
        8 * 512 * 4,
        False,
    )
    assert (second.dim, second.bytes) == (None, None)
    assert plan.seconds >= 0  # of decoding
    [views] = dry_run(photos, tmp_path / "x.embank", [Recipe("VGG16", augment="flip", views=2)]).spaces
    assert (views.rows, views.bytes) == (8 * 3, 8 * 3 * 512 * 4)


def keep_time(ready: FakeEngines, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch takes 1.6 seconds, of a clock that nothing else moves on."""
    now = [0.0]

    def pass_time(pictures: int) -> None:
        now[0] += 1.6

    monkeypatch.setattr("embedder.dry_run.time", SimpleNamespace(monotonic=lambda: now[0]))
    ready.before_batch, ready.streams = pass_time, 1


def test_the_time_grows_with_the_images(
    ready: FakeEngines, tmp_path: Path, write_photo: WritePhoto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that every batch and every picture moves on."""
    keep_time(ready, monkeypatch)
    for number in range(10):
        write_photo(tmp_path / "photos" / f"{number}.jpg", number)
    ten = dry_run(tmp_path / "photos", tmp_path / "x.embank", [RECIPE]).seconds
    assert ten == pytest.approx(1.6 + 10 * 0.1)
    two = dry_run(tmp_path / "photos", tmp_path / "x", [RECIPE], settings=JobSettings(limit=2)).seconds
    assert two == pytest.approx(1.6 + 2 * 0.1)
    views = dataclasses.replace(RECIPE, augment="flip", views=3)
    assert dry_run(tmp_path / "photos", tmp_path / "x", [views]).seconds == pytest.approx(1.6 + 10 * 4 * 0.1)


def test_threads_are_those_of_the_job(
    ready: FakeEngines, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []

    def open_engine(recipe: Recipe, engine: str, batch_size: int | None, threads: int) -> FakeEngine:
        given.append(threads)
        return ready.open(recipe, engine, batch_size, threads)

    monkeypatch.setattr("embedder.dry_run.open_engine", open_engine)
    dry_run(photos, tmp_path / "x.embank", [RECIPE], settings=JobSettings(threads=7))
    assert given == [7]


def test_what_cannot_be_embedded_is_said(ready: FakeEngines, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no folder"):
        dry_run(tmp_path / "nothing", tmp_path / "x.embank", [RECIPE])
    with pytest.raises(StoreError):
        dry_run(photos, photos, [RECIPE])
    (tmp_path / "empty").mkdir()
    assert dry_run(photos, tmp_path / "empty", [RECIPE]).todo == 8


def test_files_that_do_not_say_their_size(ready: FakeEngines, tmp_path: Path) -> None:
    pd.DataFrame({"path": ["gone.jpg"]}).to_csv(tmp_path / "list.csv")
    plan = dry_run(tmp_path / "list.csv", tmp_path / "x.embank", [RECIPE])
    assert (plan.bytes, plan.unknown_bytes, plan.sizes.width) == (0, 1, None)


def test_the_command(ready: FakeEngines, photos: Path, tmp_path: Path, embank: Embank) -> None:
    store = tmp_path / "x.embank"
    arguments = ["embed", photos, store, "--backbone", "ResNet50", "--weights", "none", "--dry-run"]
    ran = embank(*arguments)
    assert ran.code == 0
    for told in ("photos: 8 images", "cats", "dogs", "width", "to embed", "Nothing was written"):
        assert told in ran.out
    assert not store.exists()
    plan = embank(*arguments, "--json", "--limit", "3").json
    assert (plan["listed"], plan["spaces"][0]["rows"]) == (3, 3)
    unknown = embank("embed", photos, store, "--backbone", "VGG16", "--dry-run")
    assert "The time for VGG16 is that of another machine" in unknown.out
    priced = embank(*arguments, "--json", "--machines", "4", "--price-per-core-hour", "3").json
    assert priced["machines"] == 4 and plan["money"] is None
    assert priced["money"] == pytest.approx(3 * priced["core_hours"], abs=2e-4)
    assert "core-hours" in embank(*arguments, "--price-per-core-hour", "3").out


def test_a_backbone_that_is_not_ready_takes_the_time_of_the_model(
    fake_engine: FakeEngines, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embedder.dry_run.usable_processors", lambda: 2)
    recipes = [Recipe("VGG16"), Recipe("VGG16", layer="block4_pool"), Recipe("EfficientNetV2B3")]
    known, cut, unknown = dry_run(photos, tmp_path / "x.embank", recipes).spaces
    slower = max(one.infer["ResNet50", "float32"] for one in REFERENCES)
    assert known.seconds == pytest.approx(8 * slower * 15.5 / 3.8 / 2, abs=0.06)
    assert (known.basis, cut.basis, unknown.basis) == ("model", "unknown", "unknown")
    assert cut.seconds == unknown.seconds == 0


def test_more_machines_share_the_images_and_start_alone(
    ready: FakeEngines, tmp_path: Path, write_photo: WritePhoto, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_time(ready, monkeypatch)
    for number in range(10):
        write_photo(tmp_path / "photos" / f"{number}.jpg", number)
    plan = dry_run(tmp_path / "photos", tmp_path / "x", [RECIPE], machines=5)
    assert plan.seconds == pytest.approx(1.6 + 10 * 0.1 / 5)
