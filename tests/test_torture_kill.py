"""A real job, killed at random moments again and again: it loses nothing, shows nothing torn, and goes on."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.torture import (
    FORKS,
    LONG,
    Album,
    Told,
    check_bank,
    check_finished,
    error_of,
    in_memory,
    make_album,
    read_ledger,
    run_in_fork,
    say,
)
from tests.torture_disk import Call, watched

KILLS = 1000 if LONG else 24
PHOTOS = 32
CALLS_OF_A_RUN = 160  # about as many calls that change the disk has a run on all photos


class Job:
    """A store that one run after another works on."""

    def __init__(self, album: Album, place: Path) -> None:
        self.album, self.bank, self._ledger = album, place / "bank.embank", place / "ledger"
        self.bank.parent.mkdir()

    def start(self, die_at: int = 0) -> BaseProcess:
        """Starts a run; with `die_at` it kills itself at the call of this number that changes the disk."""
        arguments = (self.album.folder, self.bank, self._ledger, die_at)
        process = FORKS.Process(target=_run_and_die, args=arguments)
        process.start()
        return process

    def told(self) -> Told:
        """What all runs so far told."""
        return Told().take(read_ledger(self._ledger), self.album)

    def end(self, process: BaseProcess) -> bool:
        """Waits for a run; whether it was killed. It must not end in any other way but well."""
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL), error_of(self._ledger)
        return process.exitcode != 0


def _run_and_die(folder: Path, bank: Path, ledger: Path, die_at: int) -> None:
    numbers = iter(range(1, die_at + 1))

    def count(call: Call) -> None:
        if next(numbers, die_at) == die_at and die_at:
            if call.kind == "write":  # in the middle of it
                with Path(call.path).open("ab") as file:
                    file.write(call.data[: len(call.data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)

    with ExitStack() as stack:
        if die_at:
            stack.enter_context(watched(bank, before=count))
        run_in_fork(folder, bank, ledger)


def _jobs(place: Path) -> Iterator[Job]:
    """New stores for the same photos, for as long as they are asked for."""
    album = make_album(place / "photos", PHOTOS)
    return (Job(album, place / f"{number}") for number in itertools.count())


def _seconds_of_a_run(jobs: Iterator[Job]) -> float:
    for job in (next(jobs), next(jobs)):  # the first one starts the process that others are forked from
        started = time.monotonic()
        assert not job.end(job.start())
    return time.monotonic() - started


def _done(job: Job) -> None:
    check_finished(job.bank, job.album, job.told())
    shutil.rmtree(job.bank.parent)


def test_a_job_that_is_killed_by_the_clock_loses_nothing(tmp_path: Path) -> None:
    """On a real disk, where most of the time goes into commits."""
    rng = random.Random(20)  # noqa: S311
    jobs = _jobs(tmp_path)
    seconds = _seconds_of_a_run(jobs)
    job, rows, runs = next(jobs), list[int](), 0
    while len(rows) < KILLS // 2:
        runs += 1
        process = job.start()
        process.join(rng.uniform(0, seconds))
        process.kill()
        if job.end(process):
            rows.append(check_bank(job.bank, job.album, job.told()))
        else:
            _done(job)
            job = next(jobs)
    assert not job.end(job.start())
    _done(job)
    some = sum(0 < count < PHOTOS for count in rows)
    say(f"{len(rows)} kills in {runs} runs, after {some} of them some rows were there")


def test_a_job_that_is_killed_within_a_commit_loses_nothing(tmp_path: Path) -> None:
    """At a call that changes the disk, of a number chosen at random; a write is done by half."""
    rng = random.Random(21)  # noqa: S311
    with in_memory(tmp_path) as place:
        jobs = _jobs(place)
        job, rows, runs = next(jobs), list[int](), 0
        while len(rows) < KILLS // 2:
            runs += 1
            if job.end(job.start(die_at=rng.randint(1, CALLS_OF_A_RUN))):
                rows.append(check_bank(job.bank, job.album, job.told()))
            else:
                _done(job)
                job = next(jobs)
        assert not job.end(job.start())
        _done(job)
    some = sum(0 < count < PHOTOS for count in rows)
    say(f"{len(rows)} kills in {runs} runs, after {some} of them some rows were there")
    assert some > len(rows) / 4  # else nothing was shown
