"""Vectors of a few files, without a store: what predicting for new images needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedder.engines import Engine
from embedder.machine import usable_processors
from embedder.pipeline import Decoded, Pipeline, Task
from embedder.sources import Entry


@dataclass(frozen=True)
class FileVectors:
    """vectors: (n, dim) float32, one row an entry, in the order of the entries; NaN where `problems` says why."""

    vectors: NDArray[np.float32]
    problems: list[str | None]


def embed_files(
    entries: list[Entry], engine: Engine, progress: Callable[[int, int], None] | None = None
) -> FileVectors:
    """Embeds files with an opened engine, plain; one that cannot be read or decoded has its reason instead."""
    space = engine.recipe.space
    vectors = np.full((len(entries), engine.dim), np.nan, np.float32)
    problems: list[str | None] = [None] * len(entries)
    readable: list[int] = []  # the rows that go to the decoder, in order
    sound: list[int] = []  # and those that go to the engine
    with Pipeline({space: engine}, usable_processors(), plain=True).running() as pipeline:

        def tasks() -> Iterator[Task]:
            for row, image in enumerate(pipeline.read(entries)):
                problems[row] = image.problem
                if not image.problem:
                    readable.append(row)
                    yield Task(image, frozenset([space]))

        def decoded() -> Iterator[Decoded]:
            for number, image in enumerate(pipeline.decode(tasks())):
                problems[readable[number]] = image.problem
                if not image.problem:
                    sound.append(readable[number])
                    yield image

        done = 0
        for embedded in pipeline.infer(decoded()):
            rows = sound[done : done + len(embedded.images)]
            done += len(rows)
            vectors[rows] = embedded.vectors
            if progress:
                progress(done, len(entries))
    for row in np.flatnonzero(~np.isfinite(vectors).all(axis=1)):
        problems[row] = problems[row] or "its vector is not finite"
        vectors[row] = np.nan
    return FileVectors(vectors, problems)
