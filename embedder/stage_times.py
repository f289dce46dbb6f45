"""Where the time of a run goes, stage by stage."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

STAGES = ("read", "decode", "infer", "write")


class StageTimes:
    """Seconds that threads worked in each stage, and that the run stood still until a stage had a result.

    Stages overlap, so work adds up to more than the run; waiting does not. What is waited for most limits the run.
    """

    def __init__(self) -> None:
        self.worked = dict.fromkeys(STAGES, 0.0)
        self.waited = dict.fromkeys(STAGES, 0.0)
        self._lock = threading.Lock()

    @contextmanager
    def working(self, stage: str) -> Iterator[None]:
        """Counts the block as work of this thread."""
        started = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self.worked[stage] += time.perf_counter() - started

    @contextmanager
    def waiting(self, stage: str) -> Iterator[None]:
        """Counts the block as standing still. For one thread only, the one that runs the job."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.waited[stage] += time.perf_counter() - started

    @property
    def limit(self) -> str:
        """The stage that was waited for most."""
        return max(STAGES, key=self.waited.__getitem__)

    def to_dict(self) -> dict[str, dict[str, float]]:
        """`worked` and `waited` seconds by stage."""
        return {
            stage: {"worked": round(self.worked[stage], 3), "waited": round(self.waited[stage], 3)}
            for stage in STAGES
        }
