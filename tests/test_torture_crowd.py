"""Writers, readers and a compaction on one store, killed at random: every snapshot is right, and so is the end."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from embedder.job import embed
from embedder.settings import JobSettings
from store import FeatureStore
from store.compaction import compact
from store.verify import verify
from tests.torture import (
    BATCH,
    FORKS,
    LONG,
    RECIPE,
    SPACE,
    Album,
    check_names,
    check_vectors,
    error_of,
    errors_into,
    make_album,
    run,
    say,
    telling,
)

SECONDS = 60.0 if LONG else 6.0
PHOTOS = 40  # of each folder
KILLS_A_ROUND = 12
PAUSE = 0.05  # seconds between kills, on average


def _write(folder: Path, bank: Path, log: Path) -> None:
    """One writer: a whole job."""
    with errors_into(log), telling(lambda _: None):
        embed(folder, bank, RECIPE, settings=JobSettings(batch_size=BATCH, workers=1))


def _read(album: Album, bank: Path, log: Path) -> None:
    """One reader: opens the store again and again until it is told to stop, and notes how many images it saw."""
    stop = bank.with_suffix(".stop")
    with errors_into(log), log.open("a", buffering=1) as notes:
        while not stop.exists():
            if (bank / "embank.json").exists():
                store = FeatureStore(bank)
                assert store.spaces.keys() <= {SPACE}  # read before the listings, which must not promise more
                seen = check_vectors(store, album)
                assert check_vectors(store, album) == seen  # it is a snapshot
                print(len(store.images()), file=notes)


def _compact(bank: Path, log: Path) -> None:
    """Compacts the store again and again until it is told to stop."""
    stop = bank.with_suffix(".stop")
    with errors_into(log):
        while not stop.exists():
            if (bank / "embank.json").exists():
                compact(bank)
            time.sleep(PAUSE)


@dataclass
class Crowd:
    """Processes that are started again when they are killed."""

    rng: random.Random
    kills: int = 0
    _members: dict[int, tuple[BaseProcess, Callable[..., None], tuple[Any, ...]]] = field(
        default_factory=dict
    )

    def start(self, member: int, function: Callable[..., None], *arguments: Any) -> None:
        """Starts a member; its last argument is where it leaves what went wrong."""
        process = FORKS.Process(target=function, args=arguments)
        process.start()
        self._members[member] = (process, function, arguments)

    def kill_one(self) -> None:
        """Kills one of those that still run, and starts it again."""
        running = [member for member, (process, *_) in self._members.items() if process.is_alive()]
        if not running:
            return
        member = self.rng.choice(running)
        process, function, arguments = self._members[member]
        process.kill()
        self._ended(member, killed=True)
        if process.exitcode:
            self.kills += 1
            self.start(member, function, *arguments)

    def kill_all(self) -> None:
        """Leaves none running, whatever went wrong."""
        for process, *_ in self._members.values():
            process.kill()

    def wait(self, members: range) -> None:
        """Waits until these members have come to their own end."""
        for member in members:
            self._ended(member, killed=False)

    def are_running(self, members: range) -> bool:
        """Whether any of these still runs."""
        return any(self._members[member][0].is_alive() for member in members)

    def _ended(self, member: int, killed: bool) -> None:
        process, _, arguments = self._members[member]
        process.join()
        allowed = (0, -signal.SIGKILL) if killed else (0,)
        assert process.exitcode in allowed, error_of(arguments[-1])


@pytest.fixture
def album(tmp_path: Path) -> tuple[Album, list[Path]]:
    """Two folders that share half of their photos, as one album of all, and the folders."""
    first = make_album(tmp_path / "first", PHOTOS)
    second = make_album(tmp_path / "second", PHOTOS, first=PHOTOS // 2)
    both = Album(tmp_path, vectors=first.vectors | second.vectors)
    return both, [first.folder, second.folder]


def _content(bank: Path) -> tuple[dict[str, bytes], dict[str, pd.DataFrame]]:
    """Vectors by hash, and the listings without the time when their rows were made."""
    store = FeatureStore(bank)
    images = store.images()
    vectors = np.asarray(store.vectors(SPACE, images))
    listings = {
        name: listing.table.drop(columns="listed").sort_values("key", ignore_index=True)
        for name, listing in store.sources.items()
    }
    assert store.space(SPACE).rows == images["hash"].nunique()
    return dict(zip(images["hash"], (vector.tobytes() for vector in vectors), strict=True)), listings


def test_a_crowd_leaves_what_a_single_writer_would(
    album: tuple[Album, list[Path]], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    photos, folders = album
    single = tmp_path / "single.embank"
    for folder in folders:
        _write(folder, single, tmp_path / "single")
    expected_vectors, expected_listings = _content(single)
    crowd = Crowd(random.Random(3))  # noqa: S311
    request.addfinalizer(crowd.kill_all)
    rounds, seen = 0, list[int]()
    until = time.monotonic() + SECONDS
    while not rounds or time.monotonic() < until:
        rounds += 1
        bank = tmp_path / f"{rounds}.embank"
        writers, readers = range(4), range(4, 8)
        for member in writers:
            crowd.start(member, _write, folders[member % 2], bank, tmp_path / f"{rounds}-{member}")
        for member in readers:
            crowd.start(member, _read, photos, bank, tmp_path / f"{rounds}-{member}")
        kills = crowd.kills
        while crowd.kills < kills + KILLS_A_ROUND and crowd.are_running(writers):
            time.sleep(crowd.rng.expovariate(1 / PAUSE))
            crowd.kill_one()
        crowd.wait(writers)
        bank.with_suffix(".stop").touch()
        crowd.wait(readers)
        for member in readers:
            seen += map(int, (tmp_path / f"{rounds}-{member}").read_text().split())

        check_names(bank)
        found = verify(bank)
        assert found.ok, found.damage
        check_vectors(FeatureStore(bank), photos)
        vectors, listings = _content(bank)
        assert vectors == expected_vectors
        assert listings.keys() == expected_listings.keys()
        for name, listing in listings.items():
            pd.testing.assert_frame_equal(listing, expected_listings[name])
    between = sum(0 < count < 2 * PHOTOS for count in seen)
    say(
        f"{rounds} rounds, {crowd.kills} kills, {len(seen)} snapshots, {between} of them of a store half done"
    )


def test_a_snapshot_is_of_one_moment(tmp_path: Path) -> None:
    """Spaces that were looked at before the listings must not lack what the listings promise."""
    album, bank = make_album(tmp_path / "photos", 3), tmp_path / "bank.embank"
    with telling(lambda _: None):
        run(album.folder, bank)
        store = FeatureStore(bank)
        assert store.space(SPACE).rows == 3
        album.add("cats/more.png", 9)
        run(album.folder, bank)
    assert len(store.vectors(SPACE)) == len(store.images())


def test_a_snapshot_outlives_a_compaction(tmp_path: Path) -> None:
    album, bank = make_album(tmp_path / "photos", 9), tmp_path / "bank.embank"
    with telling(lambda _: None):
        run(album.folder, bank)
    store = FeatureStore(bank)
    assert store.space(SPACE).rows == len(store.images())
    assert compact(bank).parts_after == 1
    assert len(check_vectors(store, album)) == 9
