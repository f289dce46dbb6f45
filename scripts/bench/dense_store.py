"""A dense head trained from a store, in batches: how fast it is fed, how busy the processors are, and what it learns.

Run: python scripts/bench/dense_store.py [--rows 200000] [--dim 2048] [--classes 100] [--epochs 3] [--hidden 0]
The store has float16 vectors in parts of 8,192 rows. Printed: rows and MB a second that batches come with when nobody
trains, rows a second of training on them, the share of both processors that was busy meanwhile ((user + system) / (wall
x processors)), and the loss of the last epoch beside that of training on the same vectors in memory.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from measuring import timed
from memory_watch import MemoryWatch

from classifiers import DenseHead
from classifiers.dense_batches import store_batches
from store import FeatureStore, StoreWriter
from store.part import PartRows

RECIPE = {"backbone": "Bench", "dtype": "float16"}
PART = 8192


def main() -> None:
    """Prints a line a figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    sizes = (("rows", 200_000), ("dim", 2048), ("classes", 100), ("epochs", 3), ("hidden", 0))
    for name, default in (*sizes, ("batch-size", 256)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="embank-bench-"))
    try:
        bench(work, options)
    finally:
        shutil.rmtree(work)


def bench(work: Path, options: argparse.Namespace) -> None:
    """Feeding alone, training from the store, training from memory."""
    store, images, labels = made_store(work / "dense.embank", options.rows, options.dim, options.classes)
    batches = store_batches(store, "Bench", images, labels)
    feeding, rows = timed(lambda: sum(len(y) for _, y in batches(1)))
    size = 4 * options.dim * rows / 1e6
    print(f"feeding alone: {rows / feeding:,.0f} rows/s, {size / feeding:,.0f} MB/s as float32")
    import keras  # noqa: F401 (its import is not what is measured)

    hidden = (options.hidden,) if options.hidden else ()
    with MemoryWatch() as watch:
        made = [
            DenseHead(hidden=hidden, epochs=epochs, batch_size=options.batch_size)
            for epochs in (1, 1 + options.epochs)
        ]
        watch.restart()
        first, _ = busy(lambda: made[0].fit_batches(batches))
        seconds, share = busy(lambda: made[1].fit_batches(batches))
        streamed, _ = watch.restart()
        epoch = (seconds - first) / options.epochs
        X = np.asarray(store.vectors("Bench", images))
        head = DenseHead(hidden=hidden, epochs=1 + options.epochs, batch_size=options.batch_size)
        memory, _ = busy(lambda: head.fit(X, labels))
        whole, _ = watch.restart()
    print(
        f"training from the store: {rows / epoch:,.0f} rows/s an epoch, {100 * share:.0f} % of {os.cpu_count()} "
        f"processors busy, the first look included, {streamed:.2f} GB at most; from memory "
        f"{rows * (1 + options.epochs) / memory:,.0f} rows/s, {whole:.2f} GB at most"
    )
    for name, one in (("the store", made[1]), ("memory", head)):
        print(f"  loss by epoch from {name}: {', '.join(f'{loss:.4f}' for loss in one.history_['loss'])}")


def busy(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and the share of all processors that this process had."""
    start, used = time.perf_counter(), time.process_time()
    work()
    seconds = time.perf_counter() - start
    return seconds, (time.process_time() - used) / (seconds * (os.cpu_count() or 1))


def made_store(
    path: Path, rows: int, dim: int, classes: int
) -> tuple[FeatureStore, pd.DataFrame, np.ndarray]:
    """Vectors like a backbone's, none below 0, sorted by class as folders are."""
    writer, rng = StoreWriter(path), np.random.default_rng(0)
    centres = 0.15 * rng.standard_normal((classes, dim), np.float32)
    labels = np.sort(np.arange(rows) % classes)
    hashes = rng.integers(0, 256, (rows, 16), dtype=np.uint8)
    for start in range(0, rows, PART):
        some = slice(start, min(start + PART, rows))
        count = some.stop - some.start
        X = np.maximum(centres[labels[some]] + rng.standard_normal((count, dim), np.float32), 0)
        keys = [f"{n}.jpg" for n in range(count)]
        part = PartRows(hashes[some], np.zeros(count, np.int16), X.astype(np.float16), keys, ["s"] * count)
        writer.commit_part(RECIPE, part)
    images = pd.DataFrame({"hash": [bytes(one).hex() for one in hashes]})
    return FeatureStore(path), images, labels


if __name__ == "__main__":
    main()
