"""The power is cut at every step of a job: whatever the disk may be left with, nothing that was reported is lost."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import StoreError
from store.commit import checksum
from store.compaction import compact
from tests.torture import (
    LONG,
    Album,
    Event,
    Told,
    check_bank,
    check_finished,
    in_memory,
    make_album,
    run,
    say,
    telling,
)
from tests.torture_disk import Call, watched
from tests.torture_power import Disk, State

Log = list[Call | Event]
BANK = "bank.embank"
CHANGES = 4 if LONG else 1
MOST_A_STEP = 250 if LONG else 15
GO_ON_EVERY = 10 if LONG else 25  # how many states to one from which the job is gone on with


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where there is one."""
    with in_memory(tmp_path) as folder:
        yield folder


@pytest.fixture
def job(fast: Path) -> tuple[Album, Log]:
    """The log of runs on a folder that changes: every call on the disk, and what was reported in between."""
    log: Log = []
    album = make_album(fast / "photos", 3)
    (fast / "recorded").mkdir()
    bank = fast / "recorded" / BANK

    def note(call: Call) -> None:
        log.append(call)

    with telling(log.extend, commit_rows=2), watched(bank.parent, after=note):
        run(album.folder, bank)
        for seed in range(100, 100 + 10 * CHANGES, 10):
            album.add(f"cats/{seed}.png", seed)
            run(album.folder, bank)
            album.remove(f"cats/{seed}.png")
            album.add("cats/000.png", seed + 1)
            run(album.folder, bank)
            for number in range(2, 4):
                album.add(f"birds/{seed + number}.png", seed + number)
            run(album.folder, bank)
            compact(bank)
    model = Disk(str(bank.parent))
    for entry in log:
        if isinstance(entry, Call):
            model.apply(entry)
    there: State = {
        str(path.relative_to(bank.parent)): None if path.is_dir() else path.read_bytes()
        for path in bank.parent.rglob("*")
    }
    assert model.whole() == there  # no change was missed
    return album, log


def cuts(log: Log, most_a_step: int, first: int = 0) -> Iterator[tuple[State, list[Event]]]:
    """The states after a power cut at each step from the first on, each once, with what had been told by then."""
    root = next(os.path.dirname(entry.path) for entry in log if isinstance(entry, Call))  # noqa: PTH120
    disk, told = Disk(root), list[Event]()
    rng = random.Random(7)  # noqa: S311
    seen: set[tuple[object, ...]] = set()
    for number, entry in enumerate(log):
        if isinstance(entry, Call):
            disk.apply(entry)
        else:
            told.append(entry)
        for state in disk.states(rng, most_a_step) if number >= first else ():
            content = frozenset((path, data and checksum(data)) for path, data in state.items())
            if (content, len(told)) not in seen:
                seen.add((content, len(told)))
                yield state, list(told)


class Shelf:
    """Lays states out as trees. Files are hard links to one copy each: nothing may write into a file in place."""

    def __init__(self, place: Path) -> None:
        self._copies, self._tree = place / "copies", place / "tree"
        self._copies.mkdir()

    def lay_out(self, state: State) -> Path:
        """The store in a tree of its own, in place of the one before."""
        shutil.rmtree(self._tree, ignore_errors=True)
        self._tree.mkdir()
        for path, data in state.items():  # directories come before what is in them
            if data is None:
                (self._tree / path).mkdir()
            else:
                copy = self._copies / checksum(data)
                if not copy.exists():
                    copy.write_bytes(data)
                os.link(copy, self._tree / path)
        return self._tree / BANK

    def check(self) -> None:
        """No copy was changed by those who read and wrote in the trees."""
        for copy in self._copies.iterdir():
            assert checksum(copy.read_bytes()) == copy.name


def test_a_power_cut_loses_nothing_that_was_reported(job: tuple[Album, Log], fast: Path) -> None:
    album, log = job
    shelf = Shelf(fast)
    states = gone_on = 0
    for state, events in cuts(log, MOST_A_STEP):
        bank = shelf.lay_out(state)
        told = Told().take(events, album)
        check_bank(bank, album, told)
        states += 1
        if states % GO_ON_EVERY == 0:
            more: list[Event] = [("run",)]
            with telling(more.extend, commit_rows=2):
                run(album.folder, bank)
            check_finished(bank, album, told.take(more, album))
            gone_on += 1
    shelf.check()
    say(f"{states} states of {len(log)} steps, the job gone on with from {gone_on} of them")
    assert states >= (4000 if LONG else 200)


def _is_sync(entry: Call | Event, of_file: bool) -> bool:
    return isinstance(entry, Call) and entry.kind == "fsync" and (".tmp-" in entry.path) == of_file


def _bites(album: Album, careless: Log, shelf: Shelf, first: int = 0) -> bool:
    """Whether the check notices what is lost without the fsyncs that are missing in this log."""
    for state, events in cuts(careless, 16, first):
        try:
            check_bank(shelf.lay_out(state), album, Told().take(events, album))
        except (AssertionError, StoreError):
            return True
    return False


@pytest.mark.parametrize("of_file", [True, False], ids=["of the file", "of the directory"])
def test_without_either_fsync_something_is_lost(job: tuple[Album, Log], fast: Path, of_file: bool) -> None:
    """So that the test above is known to notice."""
    album, log = job
    careless = [entry for entry in log if not _is_sync(entry, of_file)]
    assert len(careless) < len(log)
    assert _bites(album, careless, Shelf(fast))


@pytest.mark.skipif(not LONG, reason="the long form only: make torture")
def test_without_any_single_fsync_something_is_lost(job: tuple[Album, Log], fast: Path) -> None:
    album, log = job
    shelf = Shelf(fast)
    reported = next(n for n, entry in enumerate(log) if isinstance(entry, tuple) and entry[0] == "vector")
    syncs = [n for n, entry in enumerate(log) if _is_sync(entry, True) or _is_sync(entry, False)]
    idle = [number for number in syncs if not _bites(album, log[:number] + log[number + 1 :], shelf, number)]
    say(f"{len(syncs) - len(idle)} of {len(syncs)} fsyncs lose something when they are left out")
    assert all(number < reported for number in idle)  # nothing to lose yet, and a later one covers it
