"""Each call by which a job changes the disk is made to fail, once and for good: an error, and nothing is lost."""

from __future__ import annotations

import ast
import errno
import itertools
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import store.commit
from embank.cli import main
from store import StoreWriteError
from tests.torture import (
    FORKS,
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

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EMFILE)
KINDS = {"mkdir", "create", "open", "write", "fsync", "rename"}
PHOTOS = 5


@dataclass
class Fault:
    """Refuses the call of this number among those that change the disk, or all from it on; counts them.

    file: of the store, whose calls are meant. Claims are a courtesy, and have a test of their own.
    """

    number: int
    error: int = 0
    for_good: bool = False
    file: str = "commit.py"
    calls: list[Call] = field(default_factory=list)

    def __call__(self, call: Call) -> None:
        """What `watched` calls before each call."""
        if call.kind not in KINDS or call.site[0] != self.file:
            return
        self.calls.append(call)
        due = len(self.calls) >= self.number if self.for_good else len(self.calls) == self.number
        if self.number and due:
            raise OSError(self.error, os.strerror(self.error), call.path)


def _run(album: Album, bank: Path, fault: Fault) -> list[Event]:
    """One run of the job with this fault; returns what it told, and raises what it raised."""
    events: list[Event] = [("run",)]
    with telling(events.extend, commit_rows=2), watched(bank.parent, before=fault):
        try:
            run(album.folder, bank)
        except StoreWriteError as error:
            assert os.strerror(fault.error) in str(error)
            assert str(bank) in str(error)
            assert "\n" not in str(error)
            events.append(("refused",))
    return events


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    with in_memory(tmp_path) as folder:
        yield folder


@pytest.fixture
def album(place: Path) -> Album:
    return make_album(place / "photos", PHOTOS)


@pytest.fixture
def calls(album: Album, place: Path) -> list[Call]:
    """The calls of a run that nothing fails in."""
    (place / "calm").mkdir()
    calm = Fault(0)
    assert ("refused",) not in _run(album, place / "calm" / "bank.embank", calm)
    return calm.calls


def test_the_job_makes_every_call_that_the_commit_module_has(calls: list[Call]) -> None:
    """So that what follows fails each of them: a new call site must be added to what is failed."""
    tree = ast.parse(Path(store.commit.__file__).read_text())
    named = {"open": {"open", "create"}, "write": {"write"}, "fsync": {"fsync"}, "mkdir": {"mkdir"}}
    named |= {"replace": {"rename"}, "rename": {"rename"}, "link": {"link"}, "truncate": {"truncate"}}
    sites = {
        (node.func.attr, node.lineno)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in named
    }
    assert len(sites) >= 7
    seen = {(call.kind, call.site) for call in calls}
    for name, line in sites:
        assert any((kind, ("commit.py", line)) in seen for kind in named[name]), f"{name} at {line}"
    assert {call.kind for call in calls} == KINDS


def test_nothing_else_in_the_store_changes_the_disk(album: Album, place: Path) -> None:
    (place / "all").mkdir()
    calls: list[Call] = []
    with telling(lambda _: None), watched(place / "all", before=calls.append):
        run(album.folder, place / "all" / "bank.embank")
    files = {
        call.site[0] for call in calls if call.kind != "open"
    }  # which is to read, or to sync a directory
    assert files == {"commit.py", "claims.py", "writer.py"}  # the last one removes what is superseded


def test_a_call_that_fails_loses_nothing_whichever_it_is(
    album: Album, calls: list[Call], place: Path
) -> None:
    every = list(itertools.product(range(1, len(calls) + 1), ERRORS, (False, True)))
    if not LONG:  # each call once; which error and for how long takes turns
        ways = list(itertools.product(ERRORS, (False, True)))
        every = [(number, *ways[number % len(ways)]) for number in range(1, len(calls) + 1)]
    failed: set[tuple[str, str, int]] = set()
    for number, code, for_good in every:
        folder = place / f"{number}-{code}-{for_good}"
        folder.mkdir()
        fault = Fault(number, code, for_good)
        events = _run(album, folder / "bank.embank", fault)
        assert events[-1] == ("refused",), f"call {number}, {calls[number - 1]}, failed and nobody said so"
        refused = fault.calls[number - 1]
        failed.add((refused.kind, *refused.site))
        told = Told().take(events, album)
        rows = check_bank(folder / "bank.embank", album, told)
        again = _run(album, folder / "bank.embank", Fault(0))
        assert sum(kind == "engine" for kind, *_ in again) == PHOTOS - rows
        check_finished(folder / "bank.embank", album, told.take(again, album))
        shutil.rmtree(folder)
    assert failed == {(call.kind, *call.site) for call in calls}
    say(f"{len(every)} faults at {len(calls)} calls from {len(failed)} sites")


@pytest.mark.parametrize("for_good", [False, True])
def test_claims_that_fail_stop_nothing(album: Album, place: Path, for_good: bool) -> None:
    (place / "calm").mkdir()
    calm = Fault(0, file="claims.py")
    _run(album, place / "calm" / "bank.embank", calm)
    assert {call.kind for call in calm.calls} == {"mkdir", "create", "write"}
    for number, code in itertools.product(range(1, len(calm.calls) + 1), ERRORS):
        folder = place / f"{number}-{code}"
        folder.mkdir()
        events = _run(album, folder / "bank.embank", Fault(number, code, for_good, file="claims.py"))
        assert ("refused",) not in events
        check_finished(folder / "bank.embank", album, Told().take(events, album))


def test_files_that_cannot_be_removed_do_no_harm(album: Album, place: Path) -> None:
    """What is superseded may be left there: nobody reads it."""
    refused: list[str] = []

    def refuse(call: Call) -> None:
        if call.kind == "unlink" and call.path.endswith(".h5"):
            refused.append(call.path)
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), call.path)

    bank = place / "kept" / "bank.embank"
    bank.parent.mkdir()
    events: list[Event] = []
    with telling(events.extend, commit_rows=2), watched(bank.parent, before=refuse):
        run(album.folder, bank)
    assert refused
    assert all(Path(path).exists() for path in refused)
    check_finished(bank, album, Told().take(events, album))


def _embed_by_command(folder: Path, bank: Path, messages: Path, fault: Fault) -> None:
    """`embank embed` in a forked process."""
    descriptor = os.open(messages, os.O_WRONLY | os.O_CREAT)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    options = ["--backbone", "MobileNetV2", "--weights", "none", "--image-size", "32"]
    sys.argv = ["embank", "embed", str(folder), str(bank), *options]
    with telling(lambda _: None, commit_rows=2), watched(bank.parent, before=fault):
        main()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_command_says_what_failed_and_exits_1(
    album: Album, calls: list[Call], place: Path, kind: str
) -> None:
    number = [call.kind for call in calls].index(kind) + 1
    code = ERRORS[number % len(ERRORS)]
    (place / "bank").mkdir()
    messages = place / "messages"
    fault = Fault(number, code, for_good=True)
    arguments = (album.folder, place / "bank" / "bank.embank", messages, fault)
    process = FORKS.Process(target=_embed_by_command, args=arguments)
    process.start()
    process.join()
    said = messages.read_text()
    assert process.exitcode == 1, said
    (sentence,) = [line for line in said.splitlines() if line.startswith("embank: ")]
    assert os.strerror(code) in sentence
    assert "Traceback" not in said
