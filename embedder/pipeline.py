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
from embedder.geometry import Geometry
from embedder.images import Picture, decode
from embedder.sources import Entry, read_entry
from embedder.stage_times import StageTimes
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
    """Vectors (n, dim) of one engine, row by row the view `views[i]` of `images[i]`."""

    space: str
    images: list[Decoded]
    views: list[int]
    vectors: NDArray[np.float32]


@dataclass
class Pipeline:
    """Runs images through engines. Use it as `with Pipeline(engines, workers).running() as pipeline`.

    plain: only the images themselves, no augmented views.
    """

    engines: dict[str, Engine]
    workers: int
    plain: bool = False
    times: StageTimes = field(default_factory=StageTimes)
    _geometries: dict[str, Geometry] = field(init=False)
    _decoders: Executor = field(init=False)
    _inference: Executor = field(init=False)

    def __post_init__(self) -> None:
        self._geometries = {space: engine.recipe.geometry for space, engine in self.engines.items()}
        if self.plain:
            self._geometries = {space: each.without_views for space, each in self._geometries.items()}

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
        return self._ordered("read", self._decoders, _read, entries, ahead=4 * self.workers)

    def decode(self, tasks: Iterable[Task]) -> Iterator[Decoded]:
        """Decodes and fits images for the engines that want them, in their order."""
        ahead = 4 * self.workers + max(engine.batch_size for engine in self.engines.values())
        return self._ordered("decode", self._decoders, self._decode, tasks, ahead)

    def infer(self, decoded: Iterable[Decoded]) -> Iterator[Embedded]:
        """Runs images in batches; of each engine in order, engines interleaved. Problems are not passed on."""
        streams = max(engine.streams for engine in self.engines.values())
        return self._ordered("infer", self._inference, self._run_batch, self._batches(decoded), streams + 1)

    def _decode(self, task: Task) -> Decoded:
        try:
            geometries = {self._geometries[space] for space in task.spaces}
            return Decoded(task, decode(task.image.data, geometries))
        except ImageError as error:
            return Decoded(task, problem=str(error))

    def _ordered(
        self,
        stage: str,
        pool: Executor,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        ahead: int,
    ) -> Iterator[Result]:
        """`map` on a pool: results in order, at most `ahead` items taken before the first result is asked for."""

        def work(item: Item) -> Result:
            with self.times.working(stage):
                return function(item)

        def result() -> Result:
            with self.times.waiting(stage):
                return pending.popleft().result()

        pending: deque[Future[Result]] = deque()
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > ahead:
                yield result()
        while pending:
            yield result()

    def _batches(self, decoded: Iterable[Decoded]) -> Iterator[tuple[str, list[Decoded], list[int]]]:
        waiting: dict[str, list[tuple[Decoded, int]]] = {space: [] for space in self.engines}
        for image in decoded:
            for space in sorted(image.task.spaces) if image.picture else ():
                for view in range(self._geometries[space].views):
                    waiting[space].append((image, view))
                    if len(waiting[space]) == self.engines[space].batch_size:
                        yield _batch(space, waiting.pop(space))
                        waiting[space] = []
        yield from (_batch(space, pairs) for space, pairs in waiting.items() if pairs)

    def _run_batch(self, batch: tuple[str, list[Decoded], list[int]]) -> Embedded:
        space, images, views = batch
        pairs = zip(images, views, strict=True)
        squares = [
            image.picture.squares[self._geometries[space]][view] for image, view in pairs if image.picture
        ]
        return Embedded(space, images, views, self.engines[space](np.stack(squares)))


def _batch(space: str, pairs: list[tuple[Decoded, int]]) -> tuple[str, list[Decoded], list[int]]:
    return space, [image for image, _ in pairs], [view for _, view in pairs]


def _read(entry: Entry) -> ReadImage:
    try:
        data = read_entry(entry)
    except ImageError as error:
        return ReadImage(entry, problem=str(error))
    return ReadImage(entry, data, checksum(data))
