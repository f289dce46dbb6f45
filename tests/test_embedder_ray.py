"""A real Ray cluster of two worker processes on this machine: what dies or fails in it costs no other image."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from embedder.errors import RunnerError
from embedder.job import embed
from embedder.report import EmbedReport
from embedder.settings import JobSettings
from store import FeatureStore
from store.listing import OK, listing_files
from store.processes import is_running
from store.verify import verify
from tests.conftest import Embank, FakeEngines, draw
from tests.ray_fakes import BLUE, RECIPE, RED, start_cluster

pytest.importorskip("ray", reason="Ray is not installed: pip install 'embank[ray]'")

PHOTOS = 300
SETTINGS = JobSettings(runner="ray", ray_workers=2)
SPACE = RECIPE.freeze("random-0").space
PATIENCE_S = 300  # on a machine with far too much to do


@pytest.fixture(scope="module")
def pids(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file for each process that opened a backbone."""
    return tmp_path_factory.mktemp("pids")


@pytest.fixture(scope="module")
def cluster(pids: Path) -> Iterator[Path]:
    """A cluster that all tests of this file share."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PYTHONPATH", "EMBANK_TEST_PIDS", "RAY_USAGE_STATS_ENABLED"):
            patch.setenv(name, os.environ.get(name, ""))  # so that they are put back
        end = start_cluster(pids)
        yield pids
        end()


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of photos, two of them the same, one of them broken."""
    folder = tmp_path_factory.mktemp("album") / "photos"
    for number in range(PHOTOS):
        path = folder / ("cats", "dogs")[number % 2] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(number, (34 + number % 5, 33)).save(path)
    (folder / "cats" / "twin.png").write_bytes((folder / "dogs" / "001.png").read_bytes())
    (folder / "dogs" / "broken.png").write_bytes(b"not a picture")
    return folder


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    return tmp_path / "bank.embank"


def listing_of(bank: Path) -> pd.DataFrame:
    """The rows of the only source, without when they were made."""
    (listing,) = FeatureStore(bank).sources.values()
    return listing.table.drop(columns="listed").sort_values("key", ignore_index=True)


def check_same(bank: Path, expected: Path) -> None:
    """Two stores hold the same listing, and the same vectors bit for bit."""
    assert verify(bank).ok
    pd.testing.assert_frame_equal(listing_of(bank), listing_of(expected))
    ours, theirs = FeatureStore(bank), FeatureStore(expected)
    pd.testing.assert_frame_equal(ours.images(), theirs.images())
    assert ours.vectors(SPACE).tobytes() == theirs.vectors(SPACE).tobytes()
    assert ours.space(SPACE).rows == theirs.space(SPACE).rows


@pytest.fixture
def expected(album: Path, tmp_path: Path, fake_engine: FakeEngines) -> Path:
    """What one process makes of the album."""
    path = tmp_path / "expected.embank"
    report = embed(album, path, RECIPE)
    assert (report.listed, report.embedded, report.failed) == (PHOTOS + 2, PHOTOS, 1)
    return path


def poison(folder: Path, name: str, colour: tuple[int, int, int]) -> str:
    """Draws a picture of one colour; returns its key."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 32), colour).save(path)
    return name


def copy_of(album: Path, folder: Path) -> Path:
    """A folder of the same name that may be changed."""
    for path in sorted(album.rglob("*.png")):
        target = folder / path.relative_to(album)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(path, target)
    return folder


def test_two_workers_make_what_one_process_makes(
    cluster: Path, album: Path, bank: Path, expected: Path, fake_engine: FakeEngines
) -> None:
    done: list[int] = []
    report = embed(album, bank, RECIPE, settings=SETTINGS, progress=lambda report: done.append(report.done))
    assert report.listed == report.done == PHOTOS + 2
    assert report.failed == 1
    assert report.embedded in (PHOTOS, PHOTOS + 1)  # two workers may have had the twins at once
    assert report.gave_up is None
    assert report.limited_by in ("read", "decode", "infer", "write")
    assert report.images_per_second > 0
    assert done == sorted(done)
    assert len(done) > 2  # it told of its progress
    assert len({path.name for path in cluster.iterdir()}) >= 2  # and two processes worked
    check_same(bank, expected)
    assert len(listing_files(bank / "sources" / "photos")) == 1
    opened = len(list(cluster.iterdir()))
    again = embed(album, bank, RECIPE, settings=SETTINGS)
    assert (again.embedded, again.skipped, again.failed) == (0, PHOTOS + 1, 1)
    third = embed(album / "cats", bank, RECIPE, name="cats", settings=SETTINGS)
    assert third.embedded == 0
    assert len(list(cluster.iterdir())) > opened
    assert not fake_engine.opened[1:]  # the driver opened none


def test_a_killed_worker_costs_nothing(cluster: Path, album: Path, bank: Path, expected: Path) -> None:
    before = set(cluster.iterdir())
    killed: list[int] = []

    def kill(report: EmbedReport) -> None:
        new = [int(path.name) for path in set(cluster.iterdir()) - before]
        alive = [pid for pid in new if is_running(pid)]
        if report.embedded and not killed and alive:
            killed.append(alive[0])
            os.kill(alive[0], signal.SIGKILL)

    report = embed(album, bank, RECIPE, settings=SETTINGS, progress=kill)
    assert killed
    assert report.gave_up is None
    assert report.done == PHOTOS + 2
    check_same(bank, expected)


def test_a_killed_driver_is_gone_on_from(
    cluster: Path, album: Path, bank: Path, expected: Path, tmp_path: Path
) -> None:
    own = tmp_path / "pids"
    own.mkdir()
    command = [sys.executable, "-m", "tests.ray_fakes", str(album), str(bank), str(own)]
    driver = subprocess.Popen(command, cwd=Path(__file__).parents[1], stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + PATIENCE_S
        while not listing_files(bank / "sources" / "photos") and time.monotonic() < until:
            assert driver.poll() is None
            time.sleep(0.01)
    finally:
        driver.kill()
        driver.wait()
    some = len(listing_of(bank))
    assert 0 < some < PHOTOS + 2
    workers = [int(path.name) for path in own.iterdir()]
    assert workers
    until = time.monotonic() + PATIENCE_S
    while any(map(is_running, workers)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(is_running, workers))  # they do not outlive their driver
    report = embed(album, bank, RECIPE, settings=SETTINGS)
    assert report.skipped >= some - 1
    assert report.done == PHOTOS + 2
    check_same(bank, expected)


def test_units_that_always_fail_are_recorded_and_the_rest_is_banked(
    cluster: Path, album: Path, bank: Path, tmp_path: Path, embank: Embank
) -> None:
    folder = copy_of(album, tmp_path / "photos")
    red, blue = poison(folder, "a/red.png", RED), poison(folder, "z/blue.png", BLUE)
    ran = embank(
        "embed", folder, bank, "--backbone", "MobileNetV2", "--weights", "none", "--image-size", 32, "--runner", "ray",
        "--ray-workers", 2, "--json",
    )  # fmt: skip
    assert ran.code == 1
    assert "2 work units failed 3 times" in ran.json["gave_up"]
    assert "Gave up: 2 work units failed" in ran.err
    assert ran.json["listed"] == PHOTOS + 4
    assert sum(ran.json[name] for name in ("embedded", "skipped", "duplicates", "failed")) == PHOTOS + 4
    table = listing_of(bank).set_index("key")
    assert len(table) == PHOTOS + 4  # nothing has vanished
    failed = table[table["status"].str.contains("work unit failed")]
    reasons = dict(zip(failed.index, failed["status"], strict=True))
    assert "died 3 times" in reasons[red]
    assert "RuntimeError: blue is too much" in reasons[blue]
    assert ran.json["failed"] == (table["status"] != OK).sum()
    others = table.drop(failed.index)
    assert set(others.index[others["status"] != OK]) <= {"dogs/broken.png"}
    assert len(others) > PHOTOS / 2
    assert verify(bank).ok
    # Without the poison, the next run does what was left.
    (folder / red).unlink()
    (folder / blue).unlink()
    report = embed(folder, bank, RECIPE, settings=SETTINGS)
    assert report.gave_up is None
    assert (listing_of(bank)["status"] == OK).sum() == PHOTOS + 1


def test_an_archive_is_opened_by_each_worker(
    cluster: Path, album: Path, bank: Path, tmp_path: Path, fake_engine: FakeEngines
) -> None:
    import shutil

    archive = shutil.make_archive(str(tmp_path / "photos"), "zip", album)
    report = embed(archive, bank, RECIPE, settings=SETTINGS)
    assert (report.done, report.failed) == (PHOTOS + 2, 1)
    one = tmp_path / "one.embank"
    embed(archive, one, RECIPE)
    check_same(bank, one)


def test_too_many_bad_images_end_the_run(cluster: Path, album: Path, bank: Path) -> None:
    settings = JobSettings(runner="ray", ray_workers=2, max_failures=0)
    report = embed(album, bank, RECIPE, settings=settings)
    assert report.gave_up == "more than 0 bad images"


def test_what_a_worker_lacks_is_one_sentence(
    cluster: Path, album: Path, bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embedder.ray_crew.RayCrew._place_of_store", lambda self: "/nowhere/bank.embank")
    with pytest.raises(
        RunnerError, match=r"on the Ray worker .*: the store /nowhere/bank.embank is not here: it must"
    ):
        embed(album, bank, RECIPE, settings=SETTINGS)


def test_more_workers_than_processors_are_refused(cluster: Path, album: Path, bank: Path) -> None:
    with pytest.raises(
        RunnerError, match="3 Ray workers need at least a processor each, and the cluster has 2"
    ):
        embed(album, bank, RECIPE, settings=JobSettings(runner="ray", ray_workers=3))
    assert not bank.exists()
