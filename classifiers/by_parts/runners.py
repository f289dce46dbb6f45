"""Where tasks on parts are done: in threads of this process, in processes of this machine, or on a Ray cluster.

All of them give the results in the order of the tasks, and let BLAS have one thread a task: so what is summed from
them is the same, bit by bit, whoever worked on it and however many there were.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from classifiers.errors import HeadError
from classifiers.threads import few_threads

Common = TypeVar("Common")
Task = TypeVar("Task")
Made = TypeVar("Made")
Work = Callable[[Common, Task], Made]


class Runner(Protocol):
    """Does tasks, some at a time. A context manager: at its end its processes do."""

    workers: int

    def map(self, work: Work[Common, Task, Made], common: Common, tasks: Sequence[Task]) -> Iterator[Made]:
        """work(common, task) of each task, in the order of the tasks, at most a few of them ahead.

        `work` is a function of a module; what a task raises is raised here.
        """

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class _Closing:
    """A context manager that ends with `close`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends what the runner began."""


class ThreadRunner(_Closing):
    """In threads of this process, one a processor by default: NumPy's products let go of the interpreter."""

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or os.cpu_count() or 1

    def map(self, work: Work[Common, Task, Made], common: Common, tasks: Sequence[Task]) -> Iterator[Made]:
        """As `Runner.map`."""
        with ThreadPoolExecutor(self.workers) as pool:
            yield from _in_order(pool, _alone, [(work, common, task) for task in tasks], self.workers)


class ProcessRunner(_Closing):
    """In processes of this machine, which start when they are first needed (about a second) and end at the end."""

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or os.cpu_count() or 1
        self._pool: ProcessPoolExecutor | None = None

    def map(self, work: Work[Common, Task, Made], common: Common, tasks: Sequence[Task]) -> Iterator[Made]:
        """As `Runner.map`; `common` is written to a file that each process reads once."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.workers,
                multiprocessing.get_context("spawn"),
                _leave_interrupts_to_the_first,
                (os.getpid(),),
            )
        with tempfile.TemporaryDirectory(prefix="embank-") as folder:
            path = Path(folder) / "common"
            path.write_bytes(pickle.dumps(common, pickle.HIGHEST_PROTOCOL))
            calls = [(work, str(path), task) for task in tasks]
            try:
                yield from _in_order(self._pool, _from_file, calls, self.workers)
            except BrokenExecutor as error:
                self.close()
                raise HeadError(
                    "a worker process was ended before it was done: give fewer workers if memory was short. (In a "
                    "script of your own, what starts workers stands under `if __name__ == '__main__':`.)"
                ) from error

    def close(self) -> None:
        """Ends the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


class RayRunner(_Closing):
    """As tasks of a Ray cluster, of one processor each; every machine of it must reach the store by the same path.

    address: of a running cluster, `auto` for the one that this machine belongs to. None is that of RAY_ADDRESS, or
    starts Ray here, with as many processors as `workers` says. A connection that was made before is used and left.
    Raises HeadError without Ray.
    """

    def __init__(self, workers: int | None = None, address: str | None = None) -> None:
        try:
            self._ray: Any = import_module("ray")
        except ImportError as error:
            raise HeadError("the runner ray needs Ray: pip install 'embank[ray]'.") from error
        self._address = address or os.environ.get("RAY_ADDRESS")
        self._connected = False
        self.workers = workers or os.cpu_count() or 1
        self._all = workers is None

    def map(self, work: Work[Common, Task, Made], common: Common, tasks: Sequence[Task]) -> Iterator[Made]:
        """As `Runner.map`; `common` lies in Ray's object store."""
        self._connect()
        remote, shared = self._ray.remote(_alone), self._ray.put(common)
        function, waiting = self._ray.put(work), deque[Any]()
        for task in tasks:
            waiting.append(remote.remote(function, shared, task))
            if len(waiting) > self.workers:
                yield self._result(waiting.popleft())
        while waiting:
            yield self._result(waiting.popleft())

    def close(self) -> None:
        """Leaves the cluster, or ends the one that was started here."""
        if self._connected:
            self._ray.shutdown()
            self._connected = False

    def _connect(self) -> None:
        if not self._ray.is_initialized():
            own_path = {"env_vars": {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}}
            here = {
                "address": "local",
                "num_cpus": self.workers,
                "include_dashboard": False,
                "runtime_env": own_path,
            }
            there = {"address": self._address}
            self._ray.init(**(there if self._address else here), log_to_driver=False, logging_level="ERROR")
            self._connected = True
        if self._all:
            self.workers = int(self._ray.cluster_resources().get("CPU", 1))

    def _result(self, reference: Any) -> Any:  # noqa: ANN401
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            raise getattr(error, "cause", error) from error


def runner_of(workers: int | None = None, runner: str = "local", address: str | None = None) -> Runner:
    """What `--runner`, `--workers` and `--address` ask for. Raises HeadError.

    local: threads of this process, or with `workers` above 1 so many processes.
    """
    if workers is not None and workers < 1:
        raise HeadError(f"workers must be 1 or more; got {workers}.")
    if runner == "ray":
        return RayRunner(workers, address)
    if runner != "local":
        raise HeadError(f"there is no runner {runner!r}: choose local or ray.")
    if address:
        raise HeadError("an address is that of a Ray cluster: it goes with the runner ray.")
    return ThreadRunner(workers) if workers in (None, 1) else ProcessRunner(workers)


def _leave_interrupts_to_the_first(parent: int) -> None:
    """Ctrl-C is for the process that started this one, with which it ends, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _alone(work: Work[Common, Task, Made], common: Common, task: Task) -> Made:
    with few_threads(True):
        return work(common, task)


def _from_file(work: Work[Any, Task, Made], path: str, task: Task) -> Made:
    return _alone(work, _read(path), task)


@lru_cache(maxsize=1)
def _read(path: str) -> Any:  # noqa: ANN401
    return pickle.loads(Path(path).read_bytes())  # noqa: S301 (our own, written for this process a moment ago)


def _in_order(
    pool: Executor, function: Callable[..., Made], calls: Sequence[tuple[Any, ...]], workers: int
) -> Iterator[Made]:
    """Results in order, with one call more than workers under way: results may be large, and wait in memory."""
    waiting: deque[Future[Made]] = deque()
    try:
        for call in calls:
            waiting.append(pool.submit(function, *call))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for one in waiting:
            one.cancel()
