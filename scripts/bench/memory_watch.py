"""The memory of a process and its children, without the pages of files that it has mapped."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

_EVERY_S = 0.05


class MemoryWatch:
    """Samples anonymous resident memory (RssAnon in /proc) every 50 ms; the highest of this process and of a child."""

    def __init__(self) -> None:
        self.own = self.child = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def restart(self) -> tuple[float, float]:
        """The highest since the last call, GB; from here on anew."""
        own, child = self.own, self.child
        self.own = self.child = 0.0
        return own, child

    def _watch(self) -> None:
        while not self._stop.wait(_EVERY_S):
            self.own = max(self.own, _anonymous(Path("/proc/self/status")))
            for task in Path("/proc/self/task").iterdir():
                try:
                    children = (task / "children").read_text().split()
                except OSError:
                    continue
                for child in children:
                    self.child = max(self.child, _anonymous(Path(f"/proc/{child}/status")))


def _anonymous(status: Path) -> float:
    try:
        lines = status.read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1e6 for line in lines if line.startswith("RssAnon")), 0.0)
