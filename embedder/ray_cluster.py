"""A Ray cluster: how a run gets hold of one, and how it is shared out between worker processes."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from typing import Any

from embedder.errors import RunnerError
from embedder.machine import usable_processors
from store.errors import first_line
from store.keras_setup import standard_error_held_back

# A process of more processors waits for Python's interpreter lock; one of fewer holds another copy of the backbone.
_PROCESSORS = 4
_OBJECT_STORE_BYTES = 128 << 20  # only keys and counts travel; Ray would take a third of the memory
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
LOCAL = "local"
_ANSWERS_S = 10.0


@dataclass(frozen=True)
class Hands:
    """So many worker processes, each with so many processors and GPUs."""

    workers: int
    processors: int
    gpus: int


def share_out(nodes: Sequence[Mapping[str, float]], wanted: int | None, with_gpus: bool) -> Hands:
    """How many processes to start on machines with these resources (`CPU`, `GPU`), and what each of them gets.

    wanted: so many processes; None fills the cluster. with_gpus: a GPU for each where there are any. Raises
    RunnerError if the cluster is too small.
    """
    gpus = sum(int(node.get("GPU", 0)) for node in nodes)
    if with_gpus and gpus:
        if wanted is not None and wanted > gpus:
            raise RunnerError(_too_small(wanted, gpus, "GPU"))
        each = min(int(node.get("CPU", 0) // node["GPU"]) for node in nodes if node.get("GPU", 0) >= 1)
        return Hands(wanted or gpus, max(1, each), 1)
    processors = [int(node.get("CPU", 0)) for node in nodes if node.get("CPU", 0) >= 1]
    if not processors or (wanted or 1) > sum(processors):
        raise RunnerError(_too_small(wanted or 1, sum(processors), "processor"))
    if wanted is None:
        each = min(_PROCESSORS, *processors)
        return Hands(sum(count // each for count in processors), each, 0)
    each = sum(processors) // wanted
    while sum(count // each for count in processors) < wanted:
        each -= 1
    return Hands(wanted, each, 0)


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connects to the cluster at an address, to the one that RAY_ADDRESS names, or starts one on this machine.

    A connection that the program has made before is used and left as it is; another one ends with the block, and
    with it a cluster that was started. What Ray itself has to say goes to standard error. Raises RunnerError.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise RunnerError(
            f"--runner ray needs the package ray ({error}): pip install 'embank[ray]' adds it."
        ) from error
    with redirect_stdout(sys.stderr):
        if ray.is_initialized():
            yield
            return
        try:
            _connect(address or os.environ.get("RAY_ADDRESS") or LOCAL)
            yield
        finally:
            ray.shutdown()


def resources_of_nodes() -> list[Mapping[str, float]]:
    """What each living machine of the cluster has."""
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _connect(address: str) -> None:
    import ray

    if address.startswith("ray://"):
        raise RunnerError(
            f"{address} is an address of Ray Client, by which a source and a store cannot be reached: run embank on a "
            "machine of the cluster, with --address auto."
        )
    if address not in (LOCAL, "auto"):
        _check_answers(address)
    of_a_new_one: dict[str, Any] = {
        "num_cpus": usable_processors(),
        "object_store_memory": _OBJECT_STORE_BYTES,
        "include_dashboard": False,
    }
    failure: Exception | None = None
    with _own_signal_handlers(), standard_error_held_back():
        try:
            ray.init(
                address=address,
                logging_level=logging.ERROR,
                log_to_driver=False,
                **(of_a_new_one if address == LOCAL else {}),
            )
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            failure = error  # raised outside, so that what Ray has printed about it stays held back
    if failure:
        raise _no_cluster(address, first_line(failure)) from failure


def _check_answers(address: str) -> None:
    """Ray would wait for one that does not answer without end."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal():
        raise RunnerError(
            f"{address!r} is no address of a Ray cluster: expected auto, or HOST:PORT as of `ray start`."
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWERS_S).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, getattr(error, "strerror", None) or str(error)) from error


def _no_cluster(address: str, why: str) -> RunnerError:
    where = "could be started on this machine" if address == LOCAL else f"answers at {address}"
    return RunnerError(
        f"no Ray cluster {where} ({why.rstrip('.')}). `ray status` says what there is; one that asks for a token "
        "wants RAY_AUTH_MODE=token; leave --address and RAY_ADDRESS out to start one on this machine alone."
    )


@contextmanager
def _own_signal_handlers() -> Iterator[None]:
    """Ray would end the program on SIGTERM in its own way, without the commit of what is done."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            with suppress(TypeError):  # a handler that was not set from Python cannot be set again
                signal.signal(signal.SIGTERM, before)


def _too_small(wanted: int, there: int, what: str) -> str:
    return (
        f"{wanted} Ray {'worker needs' if wanted == 1 else 'workers need'} at least a {what} each, and the cluster has "
        f"{there}: give a smaller number with --ray-workers, or leave it out."
    )
