"""What one image costs in each stage alone: reading and decoding, and inference.

Run: python scripts/bench/stages.py FOLDER BACKBONE PRECISION
Prints one JSON document. Both are core-milliseconds an image: decoding runs on one thread; inference on all
cores, with as many batches at once as the engine takes, and its wall time counts once for each core.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embedder import Recipe
from embedder.engines import Engine, open_engine
from embedder.images import decode
from embedder.machine import usable_processors
from embedder.sources import Entry, open_source, read_entry
from store.commit import checksum

PHOTOS = 128
TURNS = 3  # of decoding
SECONDS = 2.0  # of inference, at least


def main() -> None:
    """Prints the cost of both stages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("backbone")
    parser.add_argument("precision")
    options = parser.parse_args()
    recipe = Recipe(options.backbone, weights="none", precision=options.precision)
    cores = usable_processors()
    engine = open_engine(recipe, threads=cores)
    entries = open_source(options.folder).entries[:PHOTOS]
    pictures = decode_all(entries, engine)
    decoding = statistics.median(timed_decoding(entries, engine) for _ in range(TURNS))
    inference = inference_seconds(engine, pictures) * cores
    print(json.dumps({"decode_ms": 1000 * decoding, "inference_ms": 1000 * inference, "cores": cores}))


def timed_decoding(entries: list[Entry], engine: Engine) -> float:
    """Seconds an image to read, hash, decode and resize on this thread."""
    started = time.perf_counter()
    decode_all(entries, engine)
    return (time.perf_counter() - started) / len(entries)


def decode_all(entries: list[Entry], engine: Engine) -> NDArray[np.uint8]:
    """The pictures of the entries as the engine takes them."""
    geometry = engine.recipe.geometry
    pictures = []
    for entry in entries:
        data = read_entry(entry)
        checksum(data)
        pictures.append(decode(data, {geometry}).squares[geometry][0])
    return np.stack(pictures)


def inference_seconds(engine: Engine, pictures: NDArray[np.uint8]) -> float:
    """Seconds an image of an engine that never waits for pictures, with as many batches at once as it takes."""
    batch = pictures[: engine.batch_size]
    with ThreadPoolExecutor(engine.streams) as pool:
        list(pool.map(engine, [batch] * engine.streams))
        started = time.perf_counter()

        def run_until_enough(_: int) -> int:
            done = 0
            while time.perf_counter() - started < SECONDS:
                done += len(engine(batch))
            return done

        done = sum(pool.map(run_until_enough, range(engine.streams)))
        return (time.perf_counter() - started) / done


if __name__ == "__main__":
    main()
