"""The crew of a Ray run: Ray Data gives tasks to worker processes, this process listens to what they tell."""

from __future__ import annotations

import dataclasses
import gc
import logging
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pandas as pd
import pyarrow as pa

from embedder.bank import Bank
from embedder.errors import RunnerError
from embedder.keras_models import IMAGENET, NONE
from embedder.own_models import ModelKind, is_handle
from embedder.ray_cluster import Hands, connected, resources_of_nodes, share_out
from embedder.ray_tasks import Task, Told, deal
from embedder.ray_worker import (
    COUNTS,
    TRIES,
    RayJob,
    RayWorker,
    Roll,
    add_stages,
    freeze_here,
    replace_listing_here,
)
from embedder.recipe import FrozenRecipe, Recipe
from embedder.remote_files import read_url
from embedder.report import EmbedReport
from embedder.settings import JobSettings
from embedder.sources import Source
from embedder.units import Unit
from embedder.weights import known_recipe
from store import StoreWriter
from store.errors import StoreWriteError, first_line
from store.object_path import is_url

_LANDMARKS = 8
_AHEAD = 2  # tasks at a worker, so that it need not wait for the next


class RayCrew:
    """Works on a Ray cluster, to which it connects when there is something to do."""

    def __init__(
        self, source: Source, place: str, store: Path, recipes: Sequence[Recipe], settings: JobSettings
    ) -> None:
        self._source, self._place, self._store, self._settings = source, place, store, settings
        self._recipes = [_with_absolute_paths(recipe) for recipe in recipes]
        self._opens = any(entry.reader not in (None, read_url) for entry in source.entries)
        self._landmarks = () if self._opens else _landmarks(source)
        self._connection = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def freeze(self) -> Mapping[str, FrozenRecipe]:
        """The job's recipes by space. Weights that this machine has not seen are loaded by a worker, not here."""
        known = [known_recipe(recipe) for recipe in self._recipes]
        sure = [recipe for recipe in known if recipe]
        frozen = sure if len(sure) == len(known) else self._freeze_on_a_worker()
        return {recipe.space: recipe for recipe in frozen}

    def try_out(self) -> None:
        """Raises unless every backbone can be run by a worker."""
        self._freeze_on_a_worker()

    def embed(self, units: list[Unit], bank: Bank, report: EmbedReport, tell: Callable[[], None]) -> None:
        """Embeds the images of the units, telling of each task.

        A unit that goes wrong is tried again, in the end by other processes. If it fails for good, its images get
        rows with the reason, and the report gives up; all other images are banked.
        """
        listener = _Listener(report, tell, self._settings)
        tasks = [task.pack() for task in deal(units, self._hands.workers)]
        units.clear()
        self._source.entries.clear()
        gc.collect()  # it also empties the interpreter's free lists, which hold on to the memory of entries
        self._round(tasks, listener)
        if listener.failed and not listener.has_enough:
            again = enumerate(_units_among(tasks, listener.failed))
            listener.failed = {}
            self._round([Task(number, [unit], one_by_one=True).pack() for number, unit in again], listener)
        for unit in _units_among(tasks, listener.failed):
            _record(unit, listener.failed[unit.id], bank, report)
        listener.finish()

    def replace_listing(self, writer: StoreWriter, source: str, location: str, table: pd.DataFrame) -> None:
        """Has a worker do what the writer does: a listing takes half a kilobyte for each image while it is merged."""
        if "_hands" not in self.__dict__:  # there was nothing to do, so nobody is there
            writer.replace_listing(source, location, table)
            return
        import ray

        replace = ray.remote(num_cpus=0)(replace_listing_here)  # it need not wait for a place
        with _cluster_errors():
            trouble = ray.get(replace.remote(self._place_of_store(), source, location, table))
        if trouble:
            raise StoreWriteError(trouble)

    def _round(self, tasks: Sequence[bytes], listener: _Listener) -> None:
        """Has all packed tasks, numbered from 0, done by a pool of workers. Raises RunnerError or StoreWriteError."""
        import ray.data

        _make_quiet()
        silent = set(range(len(tasks)))
        hands = self._hands
        tables = [pa.table({"task": pa.array([task], pa.binary())}) for task in tasks]
        told = ray.data.from_arrow(tables).map_batches(
            RayWorker,
            fn_constructor_args=(self._job(listener.listed), self._roll),
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(
                size=min(hands.workers, len(tasks)), max_tasks_in_flight_per_actor=_AHEAD
            ),
            num_cpus=hands.processors,
            num_gpus=hands.gpus or None,
        )
        with _cluster_errors():
            for row in told.iter_rows():
                each = Told.unpack(row["told"])
                silent.discard(each.number)
                listener.take(each)
                if listener.has_enough:
                    return
        for number in silent:
            listener.failed |= {
                unit.id: "no worker answered for it" for unit in Task.unpack(tasks[number]).units
            }

    def _freeze_on_a_worker(self) -> list[FrozenRecipe]:
        import ray

        hands = self._hands
        freeze = ray.remote(num_cpus=hands.processors, num_gpus=hands.gpus)(freeze_here)
        with _cluster_errors():
            frozen, trouble = ray.get(freeze.remote(self._job(0)))
        if trouble:
            raise RunnerError(trouble)
        return list(frozen)

    def _job(self, listed: int) -> RayJob:
        threads = self._hands.processors
        return RayJob(
            store=self._place_of_store(),
            source=self._source.name,
            location=self._source.location,
            place=self._place,
            opens=self._opens,
            landmarks=self._landmarks,
            recipes=tuple(self._recipes),
            settings=dataclasses.replace(
                self._settings,
                threads=self._settings.threads or threads,
                workers=self._settings.workers or threads,
            ),
            listed=listed,
        )

    def _place_of_store(self) -> str:
        return str(self._store.resolve())

    @cached_property
    def _hands(self) -> Hands:
        self._connection.enter_context(connected(self._settings.address))
        return share_out(resources_of_nodes(), self._settings.ray_workers, self._settings.engine == "keras")

    @cached_property
    def _roll(self) -> Any:  # noqa: ANN401 (a handle of Ray)
        import ray

        return ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Roll).remote()


class _Listener:
    """Adds up what workers tell. failed: why, by the id of a unit that was not done."""

    def __init__(self, report: EmbedReport, tell: Callable[[], None], settings: JobSettings) -> None:
        self.failed: dict[str, str] = {}
        self.listed = report.listed
        self._report, self._tell = report, tell
        self._max_failures, self._failure_limit = settings.max_failures, settings.failure_limit(report.listed)
        self._started = self._ended = time.monotonic()
        self._heard = False

    @property
    def has_enough(self) -> bool:
        """Whether too many images have failed to go on."""
        return self._report.failed > self._failure_limit

    def take(self, told: Told) -> None:
        """Adds what is told of one task. Raises what ends the run."""
        if told.trouble:
            raise StoreWriteError(told.trouble) if told.is_refused else RunnerError(told.trouble)
        self._ended = time.monotonic()
        began = self._ended - told.seconds
        self._started = min(self._started, began) if self._heard else began
        self._heard = True
        report = self._report
        for name in COUNTS:
            setattr(report, name, getattr(report, name) + told.counts[name])
        report.notes += [note for note in told.notes if note not in report.notes]
        report.stages = add_stages([report.stages, told.stages])
        self.failed |= told.failed
        self._tell()

    def finish(self) -> None:
        """Fills in what can be said at the end."""
        report = self._report
        if report.stages:
            report.limited_by = max(report.stages, key=lambda stage: report.stages[stage]["waited"])
        report.images_per_second = round(report.embedded / max(self._ended - self._started, 1e-3), 1)
        if self.has_enough:
            report.gave_up = f"more than {self._max_failures} bad images"
        elif self.failed:
            units = "1 work unit" if len(self.failed) == 1 else f"{len(self.failed)} work units"
            report.gave_up = f"{units} failed {TRIES} times, the last: {list(self.failed.values())[-1]}"


@contextmanager
def _cluster_errors() -> Iterator[None]:
    """What goes wrong in the cluster itself, as a sentence."""
    import ray

    try:
        yield
    except ray.exceptions.RayError as error:
        raise RunnerError(
            f"the Ray cluster failed ({first_line(error).rstrip('.')}). What was done is banked; run the same command "
            "again to go on."
        ) from error


def _units_among(tasks: Sequence[bytes], ids: Collection[str]) -> Iterator[Unit]:
    """The units of these ids, unpacked."""
    for task in tasks if ids else ():
        yield from (unit for unit in Task.unpack(task).units if unit.id in ids)


def _record(unit: Unit, reason: str, bank: Bank, report: EmbedReport) -> None:
    """Gives the images of a unit that failed for good a row with the reason, but for those that are banked."""
    for entry, is_banked in zip(unit.entries, bank.banked_by_others(unit.entries), strict=True):
        if is_banked:
            report.skipped += 1
        else:
            report.failed += 1
            bank.add_row(entry, "", (0, 0), f"its work unit failed {TRIES} times ({reason})")


def _landmarks(source: Source) -> tuple[str, ...]:
    """Some files of a source that were there when it was listed; none of one at a URL."""
    step = max(1, len(source.entries) // _LANDMARKS)
    paths = [entry.path for entry in source.entries[::step] if entry.bytes >= 0 and not is_url(entry.path)]
    return tuple(map(os.path.abspath, paths))


def _with_absolute_paths(recipe: Recipe) -> Recipe:
    """The recipe for a process that runs in another folder."""
    if recipe.kind is not ModelKind.TABLE:
        is_path = not is_handle(recipe.backbone)
        return dataclasses.replace(recipe, backbone=os.path.abspath(recipe.backbone)) if is_path else recipe  # noqa: PTH100
    is_file = recipe.weights not in (IMAGENET, NONE)
    return dataclasses.replace(recipe, weights=os.path.abspath(recipe.weights)) if is_file else recipe  # noqa: PTH100


def _make_quiet() -> None:
    """Ray Data's own bars and logs would stand among those of the run; a task that is lost shows in what is told."""
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_errored_blocks = -1
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
