"""Every combination of batch size, streams, inference threads and decoding workers, measured side by side."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openvino
from stages import decode_all, inference_seconds

from embedder import JobSettings, Recipe, embed
from embedder.engines import open_engine
from embedder.machine import usable_processors
from embedder.sources import open_source

BATCHES = (1, 4, 8, 16, 32)
WORKERS = (1, 2, 3, 4)


def sweep(photos: Path, backbones: list[str], precision: str) -> None:
    """Prints images a second: of the engine alone, then from files to store by the number of workers."""
    threads = range(1, usable_processors() + 1)
    splits = [(streams, count) for count in threads for streams in (1, 2) if streams <= count]
    for backbone in backbones:
        recipe = Recipe(backbone, weights="none", precision=precision)
        print(f"{backbone} {precision}, images/s")
        print(
            f"{'batch':>6}{'streams':>9}{'threads':>9}{'engine':>9}"
            + "".join(f"{n:>6} dec." for n in WORKERS)
        )
        for batch, (streams, count) in itertools.product(BATCHES, splits):
            with compiled_with(streams):
                speeds = [engine_speed(recipe, photos, batch, count)]
                speeds += [job_speed(recipe, photos, batch, count, workers) for workers in WORKERS]
            figures = f"{speeds[0]:>9.1f}" + "".join(f"{speed:>11.1f}" for speed in speeds[1:])
            print(f"{batch:>6}{streams:>9}{count:>9}{figures}", flush=True)


def engine_speed(recipe: Recipe, photos: Path, batch: int, threads: int) -> float:
    """Images a second of the engine alone."""
    engine = open_engine(recipe, batch_size=batch, threads=threads)
    pictures = decode_all(open_source(photos).entries[:batch], engine)
    return 1 / inference_seconds(engine, pictures)


def job_speed(recipe: Recipe, photos: Path, batch: int, threads: int, workers: int) -> float:
    """Images a second of a whole job, from the first read to the last commit."""
    work = Path(tempfile.mkdtemp(dir=photos.parent))
    try:
        settings = JobSettings(batch_size=batch, threads=threads, workers=workers)
        return embed(photos, work / "sweep.embank", recipe, settings=settings).images_per_second
    finally:
        shutil.rmtree(work)


@contextmanager
def compiled_with(streams: int) -> Iterator[None]:
    """OpenVINO compiles every model in the block for so many streams, whatever the engine asks for."""
    compile_model = openvino.Core.compile_model

    def with_split(core: Any, model: Any, device: str, settings: dict[str, Any]) -> Any:  # noqa: ANN401
        return compile_model(core, model, device, settings | {"NUM_STREAMS": streams})

    openvino.Core.compile_model = with_split
    try:
        yield
    finally:
        openvino.Core.compile_model = compile_model
