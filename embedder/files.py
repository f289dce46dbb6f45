"""Vectors of a few files, without a store: what predicting for new images needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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
    """Embeds files with an opened engine; one that cannot be read or decoded has its reason instead."""
    space = engine.recipe.space
    vectors = np.full((len(entries), engine.dim), np.nan, np.float32)
    row_of = {id(entry): row for row, entry in enumerate(entries)}
    problems: list[str | None] = [None] * len(entries)
    with Pipeline({space: engine}, usable_processors()).running() as pipeline:

        def tasks() -> Iterator[Task]:
            for image in pipeline.read(entries):
                problems[row_of[id(image.entry)]] = image.problem
                if not image.problem:
                    yield Task(image, frozenset([space]))

        def sound(images: Iterable[Decoded]) -> Iterator[Decoded]:
            for image in images:
                problems[row_of[id(image.task.image.entry)]] = image.problem
                yield image

        for embedded in pipeline.infer(sound(pipeline.decode(tasks()))):
            rows = [row_of[id(image.task.image.entry)] for image in embedded.images]
            vectors[rows] = embedded.vectors
            for row in rows:
                if not np.isfinite(vectors[row]).all():
                    problems[row] = "its vector is not finite"
                    vectors[row] = np.nan
            if progress:
                progress(len(rows), len(entries))
    return FileVectors(vectors, problems)
