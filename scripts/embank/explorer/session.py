"""One analyst at work: a scheme that changes, what each change is worth, and the way back."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from threading import RLock, Thread, current_thread, get_native_id
from typing import TYPE_CHECKING

import numpy as np

from embank.explorer.kept_labels import Change, KeptLabels
from embank.explorer.starts import EMPTY, Start, Starts
from embank.explorer.steps import Shown, Step, compared, only_renamed

if TYPE_CHECKING:
    from classifiers.live import LiveFit, LiveScheme
    from embank.explorer.collection import Collection
    from embank.explorer.saved_schemes import SavedSchemes

_STEPS = 200  # that can be undone
_PATIENT = 10  # niceness of the thread that settles figures: the next edit should not wait
_RESULTS = 12  # steps whose results are kept; others are found again when they are undone


@dataclass
class _Work:
    """What was begun with is kept under a name, from the first label on that is given by hand."""

    name: str
    by_hand: bool = False


class Session:
    """Edits one after the other; `shown` is what is there at any time, and never changes in itself.

    Figures that would take seconds are not settled at first (see `LiveFit.at_once`): a thread finds the final ones and
    puts them in their place, under the same revision.
    """

    def __init__(self, collection: Collection, starts: Starts, kept: KeptLabels, saved: SavedSchemes) -> None:
        from classifiers.live import LiveFit

        self.collection, self.starts, self.kept, self.saved = collection, starts, kept, saved
        self.fit: LiveFit = LiveFit(collection.store, collection.space, collection.images)
        self.keys = collection.keys()
        self.growth: list[dict[str, float]] = []
        self._lock = RLock()
        self._settling: Thread | None = None
        self._closed = False
        self._columns: list[str] | None = None  # once they are known
        self._begun: dict[Start, _Work] = {}
        self._hashes = list(collection.images["hash"])

    def open(self, name: str | None = None) -> None:
        """Begins with a scheme; without a name with the first that can be, or with none. Raises SchemeError."""
        from classifiers.errors import SchemeError
        from classifiers.live import difference

        try:
            start = self.starts.open(name or self.starts.first())
        except SchemeError:
            if name:
                raise
            start = self.starts.open(EMPTY)
        step = self._solved(Step(start, start.live))
        self._steps, self._at = [step], 0
        self._begin(start)
        self.shown = Shown(0, step)
        self._grow(step)
        if step.result is not None:
            difference(step.result, step.result)  # draws the bootstrap's samples before the first edit

    @property
    def settling(self) -> bool:
        """Whether what is shown will be replaced by final figures."""
        return not self.shown.settled and self._settling is not None

    def wait(self) -> None:
        """Waits until the figures are final."""
        thread = self._settling
        if thread is not None:
            thread.join()

    def close(self) -> None:
        """Writes the labels that are left, and ends the threads: a computation that runs is waited for.

        A thread that is left in one when the interpreter ends was seen to keep the process from ending at all.
        """
        with self._lock:
            self._closed = True
        try:
            self.kept.close()
        finally:
            self.wait()

    @contextmanager
    def alone(self) -> Iterator[int]:
        """Nothing else is edited until the block ends; gives the revision that is shown."""
        with self._lock:
            yield self.shown.revision

    @property
    def save_as(self) -> str:
        """The name that labels are kept by, and that a scheme is saved by unless another is chosen."""
        return self._work.name

    @property
    def edited(self) -> bool:
        """Whether the scheme is another than it was begun with."""
        return self._at > 0

    @property
    def undoable(self) -> str | None:
        """What would be undone, in words."""
        return self._steps[self._at].edit if self._at else None

    @property
    def redoable(self) -> str | None:
        """What would be done again, in words."""
        return self._steps[self._at + 1].edit if self._at + 1 < len(self._steps) else None

    def edit(self, what: str, change: Callable[[LiveScheme], LiveScheme], *, by_name: bool = False) -> Shown:
        """Changes the scheme, and finds what it is worth. Raises SchemeError, and then nothing has changed."""
        with self._lock:
            started = time.perf_counter()
            now = self._steps[self._at]
            step = Step(now.start, change(now.live), what, by_name)
            return self._show(self._at + 1, self._solved(step), by_name, started)

    def begin(self, name: str) -> Shown:
        """Begins with another scheme; that, too, can be undone. Raises SchemeError."""
        with self._lock:
            started = time.perf_counter()
            start = self.starts.open(name)
            step = self._solved(Step(start, start.live, f"starting from {start.name}", True))
            shown = self._show(self._at + 1, step, True, started)
            self._begin(start)
            return shown

    def undo(self) -> Shown:
        """Goes back one step. Raises SchemeError if there is none."""
        with self._lock:
            return self._go(-1, self.undoable, "undo")

    def redo(self) -> Shown:
        """Does again what was undone. Raises SchemeError if there is nothing."""
        with self._lock:
            return self._go(1, self.redoable, "do again")

    def save(self, name: str) -> dict[str, str]:
        """Writes the scheme, and labels where it needs them. Raises SchemeError or StoreError."""
        with self._lock:
            step = self.shown.step
            rule, told = self.saved.save(name, step.start, step.live)
            self.starts.add(rule)
            self.collection.images[f"labels.{name}"] = step.live.names
            self._work.name, self._columns = name, None
            return told

    def columns(self) -> list[str]:
        """What a class can be split by."""
        if self._columns is None:
            from store.labels import HISTORY_COLUMN

            images = self.collection.images
            known = ("folder", "split", "source")
            named = [name for name in images.columns if name in known or name.startswith("labels.")]
            named = [name for name in named if name != f"labels.{HISTORY_COLUMN}"]
            self._columns = [name for name in named if images[name].nunique() > 1]
        return self._columns

    def _go(self, by: int, what: str | None, verb: str) -> Shown:
        from classifiers.errors import SchemeError

        started = time.perf_counter()
        if what is None:
            raise SchemeError(f"there is nothing to {verb}.")
        moved = self._steps[max(self._at, self._at + by)]
        to = self._at + by
        self._steps[to] = self._solved(self._steps[to])
        old_start = self._steps[self._at].start
        shown = self._show(to, self._steps[to], moved.by_name, started)
        if shown.step.start is not old_start:
            self._begin(shown.step.start)
        return shown

    def _show(self, at: int, step: Step, by_name: bool, started: float) -> Shown:
        before = self._steps[self._at]
        if at == self._at + 1 and (at == len(self._steps) or self._steps[at] is not step):
            self._steps[at:] = [step]
        self._at = at
        self._forget()
        if not by_name and only_renamed(before, step):
            shown = replace(self.shown, step=step, compared=self.shown.compared or before.live)
        else:
            shown = compared(Shown(self.shown.revision, step, before, by_name))
        self.shown = replace(
            shown, revision=shown.revision + 1, milliseconds=1000 * (time.perf_counter() - started)
        )
        self._keep_labels(before, step, by_name)
        self._grow(step)
        if not shown.settled and self._settling is None:
            self._settling = Thread(target=self._settle, name="settle")
            self._settling.start()
        return self.shown

    def _settle(self) -> None:
        """Puts final figures in the place of those that are not, of what is shown, until there are none."""
        with suppress(AttributeError, OSError):  # of systems whose threads have no priorities
            os.setpriority(os.PRIO_PROCESS, get_native_id(), _PATIENT)
        try:
            while (step := self._unsettled()) is not None:
                result = self.fit.solve(step.live.codes, len(step.live.classes))
                with self._lock:
                    self._put(step, replace(step, result=result))
        finally:
            with self._lock:
                if self._settling is current_thread():
                    self._settling = None

    def _unsettled(self) -> Step | None:
        with self._lock:
            if self.shown.settled or self._closed:
                self._settling = None
                return None
            return self.shown.step

    def _put(self, old: Step, new: Step) -> None:
        """A step in the place of another, wherever it is."""
        self._steps = [new if one is old else one for one in self._steps]
        if self.shown.before is old:
            self.shown = compared(replace(self.shown, before=new))
        if self.shown.step is old:
            self.shown = compared(replace(self.shown, step=new))
            self._grow(new)

    def _solved(self, step: Step) -> Step:
        from classifiers.errors import HeadError

        if step.why is not None or (step.result is not None and step.result.settled):
            return step
        try:
            return replace(step, result=self.fit.at_once(step.live.codes, len(step.live.classes)))
        except HeadError as error:
            sentence = str(error)
            return replace(step, why=f"No figures yet: {sentence}")

    def _begin(self, start: Start) -> None:
        if start not in self._begun:  # else undoing leads back to it
            self._begun[start] = _Work(self.saved.suggested(start))
        self._work = self._begun[start]
        self.growth = []

    def _keep_labels(self, before: Step, step: Step, by_name: bool) -> None:
        """Labels given by hand are kept in the store at once, and so is every change after the first of them."""
        if before.start is not step.start:
            return
        changes = []
        if by_name:
            old, new = before.live.names, step.live.names
            changes = [Change(self._hashes[i], old[i], new[i]) for i in np.flatnonzero(old != new)]
        self._work.by_hand = self._work.by_hand or bool(changes)
        if self._work.by_hand:
            self.saved.keep(self.save_as)
            labels = dict(zip(self._hashes, step.live.names, strict=True))
            self.kept.keep(self.save_as, labels, changes)

    def _grow(self, step: Step) -> None:
        if step.result is None:
            return
        result = step.result
        point = {"labels": result.n, "accuracy": result.accuracy, "low": result.low, "high": result.high}
        self.growth = [*(one for one in self.growth if one["labels"] < result.n), point]

    def _forget(self) -> None:
        """Bounds what is kept: the steps, and the results of those long ago."""
        over = max(0, len(self._steps) - 1 - _STEPS)
        if over and self._at >= over:
            self._steps, self._at = self._steps[over:], self._at - over
        for number, step in enumerate(self._steps):
            if abs(number - self._at) > _RESULTS and step.result is not None:
                self._steps[number] = replace(step, result=None)
