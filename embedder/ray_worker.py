"""A worker process of a Ray run: opens the backbones once and embeds one task after another."""

from __future__ import annotations

import dataclasses
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from embedder.bank import Bank
from embedder.engine_set import EngineSet
from embedder.entries import Entry, Source
from embedder.errors import EmbedderError, ImageError, RunnerError
from embedder.ray_tasks import Task, Told
from embedder.recipe import FrozenRecipe, Recipe
from embedder.report import EmbedReport
from embedder.settings import JobSettings
from embedder.sources import may_be_there, open_source
from embedder.units import Unit, without
from embedder.worker import Worker
from store import StoreWriter
from store.errors import StoreError, StoreWriteError, first_line
from store.object_path import store_path

COUNTS = ("embedded", "skipped", "duplicates", "failed")
TRIES = 3  # of a unit: once among others, then alone


@dataclass(frozen=True)
class RayJob:
    """What every worker has to know.

    place: where the source is, as `open_source` takes it. opens: its images are read by what lists it, as of an
    archive, so each worker opens it too. landmarks: files of the source, some of which a worker must see.
    """

    store: str
    source: str
    location: str
    place: str
    opens: bool
    landmarks: tuple[str, ...]
    recipes: tuple[Recipe, ...]
    settings: JobSettings
    listed: int
    version: str = dataclasses.field(default_factory=lambda: version("embank"))

    def check_here(self) -> None:
        """Raises RunnerError unless this machine has the same embank and sees the source."""
        if version("embank") != self.version:
            raise RunnerError(
                f"embank is {version('embank')} here and {self.version} where the run was started: install the same."
            )
        seen = not self.landmarks or any(Path(path).exists() for path in self.landmarks)
        if not may_be_there(self.place) or not seen:
            raise RunnerError(
                f"the source {self.location} is not here, or its images are not: every machine of the cluster must see "
                "it at the same path, on a shared disk, or at a URL."
            )

    def open_source(self) -> Source:
        """The source as far as a worker needs it: its entries only where they are read by what lists them."""
        if self.opens:
            return open_source(self.place, self.source)
        return Source(self.source, self.location, [])


class Roll:
    """An actor that counts how often things were begun; it outlives the workers."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def begin(self, name: str) -> int:
        """How often this was begun, now included."""
        self._counts[name] = self._counts.get(name, 0) + 1
        return self._counts[name]


def freeze_here(job: RayJob) -> tuple[list[FrozenRecipe], str | None]:
    """Opens every backbone on this machine: the frozen recipes, or what is wrong."""
    try:
        job.check_here()
        engines = EngineSet(job.recipes, job.settings)
        engines.open()
    except EmbedderError as error:
        return [], _here(error)
    return list(engines.frozen.values()), None


def replace_listing_here(store: str, source: str, location: str, table: pd.DataFrame) -> str | None:
    """Merges a listing on this machine; returns what is wrong."""
    try:
        StoreWriter(store).replace_listing(source, location, table)
    except StoreError as error:
        return _here(error)
    return None


class RayWorker:
    """What Ray Data makes of a table of packed tasks, a table of what is told of them.

    It never raises: what the worker itself lacks ends the run with its sentence, and a unit that goes wrong is told
    as failed when the ones beside it are done.
    """

    def __init__(self, job: RayJob, roll: Any) -> None:  # noqa: ANN401 (a handle of Ray)
        self._job, self._roll = job, roll
        self._trouble: Exception | None = None
        try:
            job.check_here()
            self._source = job.open_source()
            self._readers = {entry.key: entry for entry in self._source.entries}
            self._engines = EngineSet(job.recipes, job.settings)
            self._engines.open()
            self._start_afresh()
        except Exception as error:
            self._trouble = error

    def __call__(self, batch: pa.Table) -> pa.Table:
        """`task` to `told`, row by row."""
        tasks = [Task.unpack(packed) for packed in batch["task"].to_pylist()]
        return pa.table({"told": [self._told(task).pack() for task in tasks]})

    def _start_afresh(self) -> None:
        """Looks at the store anew: what was done before something went wrong is banked."""
        store = store_path(self._job.store)
        if not store.exists():
            raise RunnerError(
                f"the store {store} is not here: it must be on a disk that all machines of the cluster share, at the "
                "same path."
            )
        self._bank = Bank(StoreWriter(store), self._source, self._engines.frozen)
        self._worker = Worker(
            self._source, store, self._bank, self._engines, self._job.settings, self._job.listed
        )

    def _told(self, task: Task) -> Told:
        started, failed, reports = time.monotonic(), dict[str, str](), list[EmbedReport]()
        try:
            if self._trouble:
                raise self._trouble
            one_by_one = task.one_by_one or self._begin(f"task {task.number}") > 1
            if one_by_one or not self._try_together(task.units, reports):
                for unit in task.units:
                    self._try_alone(unit, reports, failed)
        except Exception as error:
            return Told(task.number, trouble=_here(error), is_refused=isinstance(error, StoreWriteError))
        return Told(
            task.number,
            time.monotonic() - started,
            {name: sum(getattr(report, name) for report in reports) for name in COUNTS},
            [note for report in reports for note in report.notes],
            add_stages([report.stages for report in reports]),
            failed,
        )

    def _try_together(self, units: list[Unit], reports: list[EmbedReport]) -> bool:
        try:
            reports.append(self._work(units))
        except (EmbedderError, StoreError):
            raise
        except Exception:
            self._start_afresh()
            return False
        return True

    def _try_alone(self, unit: Unit, reports: list[EmbedReport], failed: dict[str, str]) -> None:
        if self._begin(unit.id) >= TRIES:
            failed[unit.id] = f"the process that worked on it died {TRIES} times"
            return
        try:
            reports.append(self._work([unit]))
        except (EmbedderError, StoreError):
            raise
        except Exception as error:
            failed[unit.id] = f"{type(error).__name__}: {first_line(error)}"
            self._start_afresh()

    def _work(self, units: list[Unit]) -> EmbedReport:
        """Embeds what is not banked of these units; Ray may have given them to another worker before, which died."""
        if self._job.opens:
            units = [Unit(unit.id, [self._readable(entry) for entry in unit.entries]) for unit in units]
        report = EmbedReport()
        unchanged = self._bank.unchanged([entry for unit in units for entry in unit.entries])
        report.skipped = int(unchanged.sum())
        left = list(without(units, unchanged))
        if left:
            self._worker.work(left, report, lambda: None)
        return report

    def _readable(self, entry: Entry) -> Entry:
        return self._readers.get(entry.key) or dataclasses.replace(entry, reader=_is_gone)

    def _begin(self, name: str) -> int:
        import ray

        with suppress(ray.exceptions.RayError):  # then nobody knows, and it counts as the first time
            return int(ray.get(self._roll.begin.remote(name)))
        return 1


def add_stages(stages: Sequence[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """The sums of what several workers, or one in several tasks, took for each stage."""
    total: dict[str, dict[str, float]] = {}
    for each in stages:
        for stage, seconds in each.items():
            sums = total.setdefault(stage, dict.fromkeys(seconds, 0.0))
            for what, value in seconds.items():
                sums[what] = round(sums[what] + value, 3)
    return total


def _is_gone(entry: Entry) -> bytes:
    raise ImageError("is no longer in its archive or data set")


def _here(error: Exception) -> str:
    """The sentence of an error, with the machine that it befell."""
    if isinstance(error, EmbedderError | StoreError):
        return f"on the Ray worker {socket.gethostname()}: {error}"
    return f"the Ray worker {socket.gethostname()} could not start ({type(error).__name__}: {first_line(error)})."
