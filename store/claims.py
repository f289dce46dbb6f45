"""Claims: writers on one store tell each other what they are at, so that work is not done twice.

A claim is a file with a heartbeat in `cache/claims/<space>/<source>/`. It is a courtesy, no lock: nothing that
is right depends on it. Where two writers do the same work all the same (a cache that somebody deleted, a
network that stood still), its rows count once.

On an object store a claim is a conditional put, and put again it has a new time. Where a store knows no conditional
put, each writer counts its claims as taken.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import TracebackType

from store.errors import StoreError
from store.files import read_file
from store.object_path import ObjectPath
from store.processes import is_running, this_machine

HEARTBEAT_S = 5.0
OBJECT_HEARTBEAT_S = 15.0  # each is a request that is paid for
EXPIRES_S = 60.0
_LARGEST = 1024  # bytes of a claim


class Claims:
    """The units of work that this writer has claimed, of one source for some spaces.

    Used as a context manager: inside it a thread keeps the claims alive, at its end all are released.
    """

    def __init__(self, store: Path, source: str, spaces: Iterable[str]) -> None:
        self._directories = [store / "cache" / "claims" / space / source for space in sorted(spaces)]
        self._held: dict[str, list[Path]] = {}
        self._pause = OBJECT_HEARTBEAT_S if isinstance(store, ObjectPath) else HEARTBEAT_S
        self._clock_ahead = 0.0  # of the file system's clock, which is another machine's on a shared one
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="claims", daemon=True)

    def __enter__(self) -> Claims:
        self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._heart.join()
        for unit in list(self._held):
            self.release(unit)

    def take(self, unit: str) -> bool:
        """Claims a unit; False if a living writer has it. A claim that cannot be written counts as taken."""
        taken: list[Path] = []
        for directory in self._directories:
            path = self._take_file(directory, unit)
            if path is None:
                _remove(taken)
                return False
            taken.append(path)
        self._held[unit] = taken
        return True

    def release(self, unit: str) -> None:
        """Gives a unit back: what was done of it must be committed by now."""
        _remove(self._held.pop(unit))

    def _take_file(self, directory: Path, unit: str) -> Path | None:
        """The first of `<unit>.0`, `<unit>.1`, … that is free, if those before it are of dead writers.

        Exclusive creation decides between two who want to follow a dead one.
        """
        with suppress(OSError):  # then no file can be made in it either
            directory.mkdir(parents=True, exist_ok=True)
        for number in count():
            path = directory / f"{unit}.{number}"
            try:
                self._write(path)
            except FileExistsError:
                if self._is_alive(path):
                    return None
            except OSError:
                return path
            else:
                return path
        raise AssertionError  # count() does not end

    def _write(self, path: Path) -> None:
        if isinstance(path, ObjectPath):
            path.put_new(_holder())
            if not self._held:  # its clock does not run away
                self._clock_ahead = path.stat().st_mtime - time.time()
            return
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            os.write(descriptor, _holder())
            self._clock_ahead = os.fstat(descriptor).st_mtime - time.time()
        finally:
            os.close(descriptor)

    def _is_alive(self, path: Path) -> bool:
        try:
            age = time.time() + self._clock_ahead - path.stat().st_mtime
            machine, _, pid = read_file(path, _LARGEST).decode(errors="replace").partition(" ")
        except (OSError, StoreError):  # released since, or nothing that a writer made
            return False
        dead = machine == this_machine() and pid.isdecimal() and not is_running(int(pid))
        return abs(age) < EXPIRES_S and not dead  # one of the future could be waited for without end

    def _beat(self) -> None:
        while not self._ended.wait(self._pause):
            for paths in list(self._held.values()):
                for path in paths:
                    with suppress(OSError):
                        _renew(path)


def _holder() -> bytes:
    return f"{this_machine()} {os.getpid()}".encode()


def _renew(path: Path) -> None:
    if isinstance(path, ObjectPath):
        path.put(_holder())
    else:
        os.utime(path)


def _remove(paths: list[Path]) -> None:
    """Removes claims, and those of the dead that they followed."""
    for path in paths:
        unit, _, number = path.name.rpartition(".")
        for earlier in range(int(number) + 1):
            with suppress(OSError):
                path.with_name(f"{unit}.{earlier}").unlink(missing_ok=True)
