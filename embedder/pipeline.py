"""The stages between a list of entries and vectors: read, hash, decode, batch, infer. Nothing is stored here.

One thread, the caller's, decides and keeps the order; reading and decoding run on worker threads and the
engine on its own, each a fixed number of items ahead, so that memory does not grow with the number of images.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from embedder.engines import Engine
from embedder.errors import ImageError
from embedder.images import Geometry, Picture, decode
from embedder.sources import Entry, read_entry
from store.commit import checksum

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class ReadImage:
    """An entry with its bytes and their hash, or with the reason why it could not be read."""

    entry: Entry
    data: bytes = b""
    hash: str = ""
    problem: str | None = None


@dataclass(frozen=True)
class Task:
    """An image to be decoded for these engines (by their space)."""

    image: ReadImage
    spaces: frozenset[str]


@dataclass(frozen=True)
class Decoded:
    """A task with its picture, or with the reason why it could not be decoded."""

    task: Task
    picture: Picture | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Embedded:
    """Vectors (n, dim) of one engine for n decoded images, in their order."""

    space: str
    images: list[Decoded]
    vectors: NDArray[np.float32]


@dataclass
class Pipeline:
    """Runs images through engines. Use it as `with Pipeline(engines, workers).running() as pipeline`."""

    engines: dict[str, Engine]
    workers: int
    _decoders: Executor = field(init=False)
    _inference: Executor = field(init=False)

    @contextmanager
    def running(self) -> Iterator[Pipeline]:
        """Starts the threads and ends them, whatever happens; work not begun by then is dropped."""
        streams = max(engine.streams for engine in self.engines.values())
        self._decoders = ThreadPoolExecutor(self.workers, thread_name_prefix="decode")
        self._inference = ThreadPoolExecutor(streams, thread_name_prefix="infer")
        try:
            yield self
        finally:
            self._decoders.shutdown(cancel_futures=True)
            self._inference.shutdown(cancel_futures=True)

    def read(self, entries: Iterable[Entry]) -> Iterator[ReadImage]:
        """Reads and hashes entries, in their order."""
        return _ordered(self._decoders, _read, entries, ahead=4 * self.workers)

    def decode(self, tasks: Iterable[Task]) -> Iterator[Decoded]:
        """Decodes and fits images for the engines that want them, in their order."""
        geometries = {space: engine.recipe.geometry for space, engine in self.engines.items()}
        ahead = 2 * self.workers + max(engine.batch_size for engine in self.engines.values())
        return _ordered(self._decoders, lambda task: _decode(task, geometries), tasks, ahead)

    def infer(self, decoded: Iterable[Decoded]) -> Iterator[Embedded]:
        """Runs images in batches; of each engine in order, engines interleaved. Problems are not passed on."""
        streams = max(engine.streams for engine in self.engines.values())
        return _ordered(self._inference, self._run_batch, self._batches(decoded), ahead=streams + 1)

    def _batches(self, decoded: Iterable[Decoded]) -> Iterator[tuple[str, list[Decoded]]]:
        waiting: dict[str, list[Decoded]] = {space: [] for space in self.engines}
        for image in decoded:
            for space in sorted(image.task.spaces) if image.picture else ():
                waiting[space].append(image)
                if len(waiting[space]) == self.engines[space].batch_size:
                    yield space, waiting[space]
                    waiting[space] = []
        for space, images in waiting.items():
            if images:
                yield space, images

    def _run_batch(self, batch: tuple[str, list[Decoded]]) -> Embedded:
        space, images = batch
        engine = self.engines[space]
        geometry = engine.recipe.geometry
        pictures = np.stack([image.picture.squares[geometry] for image in images if image.picture])
        return Embedded(space, images, engine(pictures))


def _read(entry: Entry) -> ReadImage:
    try:
        data = read_entry(entry)
    except ImageError as error:
        return ReadImage(entry, problem=str(error))
    return ReadImage(entry, data, checksum(data))


def _decode(task: Task, geometries: dict[str, Geometry]) -> Decoded:
    try:
        return Decoded(task, decode(task.image.data, {geometries[space] for space in task.spaces}))
    except ImageError as error:
        return Decoded(task, problem=str(error))


def _ordered(
    pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Iterator[Result]:
    """`map` on a pool: results in order, at most `ahead` items taken before the first result is asked for."""
    pending: deque[Future[Result]] = deque()
    for item in items:
        pending.append(pool.submit(function, item))
        if len(pending) > ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
