"""The store beside plain numpy files: reading, gathering and writing, and opening a large store.

Run: python scripts/bench/storing.py [--rows 100000] [--parts 5000] [--folder DIR]
Each figure is the median of several turns in which both sides take their turn; ratios are what to quote.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measuring import timed

from store import FeatureStore, StoreWriter
from store.part import PartRows
from store.recipes import space_id

DIM = 2048
RECIPE = {"backbone": "Bench", "dtype": "float32"}
SMALL = {"backbone": "Small", "dtype": "float16"}
TURNS = 5


def main() -> None:
    """Prints one line a figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--parts", type=int, default=5_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(dir=options.folder, prefix="embank-bench-"))
    try:
        vectors = np.random.default_rng(0).standard_normal((options.rows, DIM), np.float32)
        hashes = np.random.default_rng(1).integers(0, 256, (options.rows, 16), dtype=np.uint8)
        bench_writing(work, vectors, hashes)
        bench_reading(work, vectors, hashes)
        bench_opening(work, options.parts)
    finally:
        shutil.rmtree(work)


def bench_writing(work: Path, vectors: np.ndarray, hashes: np.ndarray) -> None:
    """Committing parts of 4,096 rows against numpy.save and fsync of the same blocks."""
    blocks = [slice(start, start + 4096) for start in range(0, len(vectors), 4096)]

    def ours() -> None:
        shutil.rmtree(work / "w.embank", ignore_errors=True)
        writer = StoreWriter(work / "w.embank")
        for block in blocks:
            writer.commit_part(RECIPE, part_rows(vectors[block], hashes[block], block.start))

    def plain() -> None:
        for number, block in enumerate(blocks):
            path = work / f"plain-{number}.npy"
            np.save(path, vectors[block])
            with path.open("rb+") as file:
                os.fsync(file.fileno())

    compare(f"write {len(vectors):,} x {DIM} durably", ours, plain, "numpy.save + fsync", turns=3)
    np.save(work / "plain.npy", vectors)


def bench_reading(work: Path, vectors: np.ndarray, hashes: np.ndarray) -> None:
    """Reading everything, and a random 1 %, against one .npy file."""
    space = FeatureStore(work / "w.embank").spaces[space_id(RECIPE)]
    rows = space.find(hashes)
    out = np.empty_like(vectors)
    compare("read all", lambda: space.read(rows, out), lambda: np.load(work / "plain.npy"), "numpy.load")
    if not np.array_equal(out, vectors):
        sys.exit("what was read is not what was written")
    some = np.random.default_rng(2).choice(len(vectors), len(vectors) // 100, replace=False)
    few = np.empty((len(some), DIM), np.float32)
    compare(
        f"gather {len(some):,} random rows",
        lambda: space.read(space.find(hashes[some]), few),
        lambda: np.load(work / "plain.npy", mmap_mode="r")[some],
        "memory-mapped .npy",
    )
    if not np.array_equal(few, vectors[some]):
        sys.exit("what was gathered is not what was written")


def bench_opening(work: Path, parts: int) -> None:
    """Opening a store of many parts of 2,000 rows, in a fresh process each time."""
    writer = StoreWriter(work / "many.embank")
    rng = np.random.default_rng(3)
    for number in range(parts):
        hashes = rng.integers(0, 256, (2000, 16), dtype=np.uint8)
        rows = PartRows(
            hashes, np.zeros(2000, np.int16), np.zeros((2000, 2), np.float16), [""] * 2000, [""] * 2000
        )
        writer.commit_part(SMALL, rows)
        if number % 500 == 0:
            print(f"  preparing: {number} of {parts} parts", file=sys.stderr)
    for state in ("cold", "warm", "warm", "warm"):
        seconds, megabytes = open_in_a_process(work / "many.embank")
        print(
            f"open {parts:,} parts, {parts * 2000:,} rows, {state}: {seconds:.2f} s, {megabytes:.0f} MB resident"
        )


def open_in_a_process(store: Path) -> tuple[float, float]:
    """Seconds to open the store and find a row, without the imports, and resident megabytes at the end."""
    script = (
        "import sys, time, numpy as np\n"
        "from store import FeatureStore\n"
        "import store.index_cache\n"
        "start = time.perf_counter()\n"
        "(space,) = FeatureStore(sys.argv[1]).spaces.values()\n"
        "space.find(np.zeros((1, 16), np.uint8))\n"
        "taken = time.perf_counter() - start\n"
        "peak = [line for line in open('/proc/self/status') if line.startswith('VmHWM')]\n"
        "print(taken, int(peak[0].split()[1]) / 1024)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(store)], capture_output=True, text=True, check=True
    )
    seconds, megabytes = ran.stdout.split()
    return float(seconds), float(megabytes)


def part_rows(vectors: np.ndarray, hashes: np.ndarray, start: int) -> PartRows:
    """A part of these rows with keys as long as usual ones."""
    keys = [f"train/some_class/image_{start + number:08d}.jpg" for number in range(len(vectors))]
    return PartRows(hashes, np.zeros(len(vectors), np.int16), vectors, keys, ["photos"] * len(vectors))


def compare(
    what: str, ours: Callable[[], object], theirs: Callable[[], object], name: str, turns: int = TURNS
) -> None:
    """Times both in turn and prints medians and the median of the ratios."""
    times = [(timed(ours)[0], timed(theirs)[0]) for _ in range(turns + 1)][1:]
    ratio = statistics.median(theirs / ours for ours, theirs in times)
    mine, other = (statistics.median(side) for side in zip(*times, strict=True))
    print(f"{what}: {mine:.3f} s, {name} {other:.3f} s: {ratio:.2f} times its speed")


if __name__ == "__main__":
    main()
