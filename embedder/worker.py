"""A worker: what becomes of each image of some work units, from reading it to the commit of its vectors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from embedder.bank import Bank
from embedder.digests import DigestSet
from embedder.engine_set import EngineSet
from embedder.errors import ImageError
from embedder.images import picture_size
from embedder.machine import usable_processors
from embedder.pipeline import Decoded, Embedded, Pipeline, ReadImage, Task
from embedder.report import EmbedReport
from embedder.settings import JobSettings
from embedder.sources import Entry, Source
from embedder.stage_times import StageTimes
from embedder.units import ClaimedUnits, Unit
from store.claims import Claims
from store.listing import OK

LOOK_AGAIN_S = 0.5  # at what other writers have claimed


@dataclass
class _Pending:
    """An image on its way: how many vectors are still to come, and its width and height once it is decoded."""

    vectors: int
    size: tuple[int, int] = (0, 0)


class Worker:
    """Embeds work units of one source into a store. listed: images of the whole job."""

    def __init__(
        self, source: Source, store: Path, bank: Bank, engines: EngineSet, settings: JobSettings, listed: int
    ) -> None:
        self._source, self._store, self._bank, self._settings = source, store, bank, settings
        self._engine_set = engines
        self._failure_limit = settings.failure_limit(listed)
        self._done = DigestSet(listed)
        self._reasons: dict[str, str] = {}  # why an image of this hash is bad

    def work(self, units: Sequence[Unit], report: EmbedReport, tell: Callable[[], None]) -> None:
        """Embeds what is not banked and counts it in `report`, telling of each image.

        Whatever ends the work, what was embedded by then is committed.
        """
        self._report, self._tell = report, tell
        self._pending: dict[str, _Pending] = {}  # by hash
        self._twins: list[ReadImage] = []  # same bytes as a pending image
        self._times = StageTimes()
        with Claims(self._store, self._source.name, self._engine_set.frozen) as claims:
            self._units = ClaimedUnits(claims)
            try:
                self._embed(list(units))
            finally:
                self._settle_twins()
                self._bank.commit()
        self._has_too_many_failures()  # the last images may have been the bad ones

    def _has_too_many_failures(self) -> bool:
        if self._report.failed > self._failure_limit:
            self._report.gave_up = f"more than {self._settings.max_failures} bad images"
        return self._report.gave_up is not None

    def _embed(self, units: list[Unit]) -> None:
        """Works on all units; on those that other writers have claimed once these are done with them, or dead."""
        self._engines = self._engine_set.open()
        self._bank.shapes = {space: engine.shape for space, engine in self._engines.items()}
        self._report.notes += self._engine_set.sing(self._store, self._source)
        started = time.monotonic()
        workers = self._settings.workers or usable_processors()
        with Pipeline(self._engines, workers, times=self._times).running() as pipeline:
            while units:
                held: list[Unit] = []
                tasks = self._choose(pipeline.read(self._claim(units, held)))
                for embedded in pipeline.infer(self._sound(pipeline.decode(tasks))):
                    self._take(embedded)
                self._commit()
                units = [] if self._has_too_many_failures() else held
                if units:
                    time.sleep(LOOK_AGAIN_S)
            seconds = time.monotonic() - started
        self._report.notes += self._engine_set.sing(self._store, self._source)
        self._report.stages, self._report.limited_by = self._times.to_dict(), self._times.limit
        self._report.images_per_second = round(self._report.embedded / seconds, 1)

    def _claim(self, units: list[Unit], held: list[Unit]) -> Iterator[Entry]:
        """The entries of the units that nobody else works on; the others are put into `held`."""
        for unit in units:
            if not self._units.take(unit):
                held.append(unit)
                continue
            banked = self._bank.banked_by_others(unit.entries)
            left = [entry for entry, done in zip(unit.entries, banked, strict=True) if not done]
            self._report.skipped += len(unit.entries) - len(left)
            self._units.begin(unit, left)
            yield from left

    def _choose(self, images: Iterable[ReadImage]) -> Iterator[Task]:
        """Passes on the images that must be decoded, each hash once."""
        for image in images:
            if self._has_too_many_failures():
                return
            if image.problem:
                self._fail(image.entry, "", image.problem)
            elif image.hash in self._reasons:
                self._fail(image.entry, image.hash, self._reasons[image.hash])
            elif image.hash in self._pending:
                self._twins.append(image)
                self._report.duplicates += 1
            elif bytes.fromhex(image.hash) in self._done:
                self._report.duplicates += 1
                self._add_row(image.entry, image.hash, picture_size(image.data))
            elif spaces := self._bank.missing(image.hash):
                views = sum(self._engines[space].recipe.views for space in spaces)
                self._pending[image.hash] = _Pending(views)
                yield Task(image, spaces)
            else:
                self._take_banked(image)

    def _take_banked(self, image: ReadImage) -> None:
        try:
            size = picture_size(image.data)
        except ImageError as error:
            self._fail(image.entry, image.hash, str(error))
            return
        if self._bank.is_listed_elsewhere(image.entry, image.hash):
            self._report.duplicates += 1
        else:
            self._report.skipped += 1
        self._add_row(image.entry, image.hash, size)

    def _sound(self, images: Iterable[Decoded]) -> Iterator[Decoded]:
        """Passes on the images that could be decoded and records the others."""
        for image in images:
            read = image.task.image
            if image.picture is None:
                self._fail(read.entry, read.hash, str(image.problem))
            else:
                self._pending[read.hash].size = (image.picture.width, image.picture.height)
                yield image

    def _take(self, embedded: Embedded) -> None:
        """Takes vectors for the next commit; the last one of an image settles it."""
        for decoded, view, vector in zip(embedded.images, embedded.views, embedded.vectors, strict=True):
            image = decoded.task.image
            if image.hash in self._reasons:
                continue
            dtype = self._engine_set.frozen[embedded.space].dtype
            if not (np.abs(vector) <= np.finfo(dtype).max).all():  # NaN is not
                self._fail(image.entry, image.hash, f"its vector is not finite {dtype} in {embedded.space}")
                continue
            self._bank.add_vector(embedded.space, image.entry.key, image.hash, view, vector)
            pending = self._pending[image.hash]
            pending.vectors -= 1
            if not pending.vectors:
                del self._pending[image.hash]
                self._done.add(bytes.fromhex(image.hash))
                self._report.embedded += 1
                self._add_row(image.entry, image.hash, pending.size)

    def _fail(self, entry: Entry, hash_: str, reason: str) -> None:
        if hash_:
            self._reasons[hash_] = reason
            self._pending.pop(hash_, None)
        self._report.failed += 1
        self._add_row(entry, hash_, (0, 0), reason)

    def _add_row(self, entry: Entry, hash_: str, size: tuple[int, int], status: str = OK) -> None:
        self._bank.add_row(entry, hash_, size, status)
        self._units.settle(entry)
        self._tell()
        if self._bank.commit_is_due():
            self._commit()

    def _commit(self) -> None:
        self._settle_twins()
        with self._times.working("write"), self._times.waiting("write"):
            self._bank.commit()
        self._units.release_finished()

    def _settle_twins(self) -> None:
        """An image with the bytes of another one shares its outcome."""
        twins = self._twins
        self._twins = [twin for twin in twins if twin.hash in self._pending]
        for twin in twins:
            reason = self._reasons.get(twin.hash)
            if twin.hash in self._pending:
                continue
            if reason is None:
                self._bank.add_row(twin.entry, twin.hash, picture_size(twin.data))
            else:
                self._report.duplicates -= 1
                self._report.failed += 1
                self._bank.add_row(twin.entry, twin.hash, (0, 0), reason)
            self._units.settle(twin.entry)
