"""A ridge board on stores of millions of rows: time, and memory by number of rows.

Run: python scripts/bench/large_board.py [--rows 1000000,3000000,10000000] [--dim 2048] [--workers N] [--folder DIR]
     [--leave-out] [--real]
Three schemes (2, 5 and 10 classes) x 13 strengths, chosen by leaving rows out, float16 vectors.

What is simulated: the parts. Sixteen are written (131,072 rows, 0.5 GB); all others are hard links to one of these,
under a part's name, so that 10 million rows are 1,221 files and no more disk. The index that embank keeps in a store's
cache is written with a hash of its own for every row, and is what the store is opened by; so every row counts, is
found, read, converted and worked on as of any store. What this does not show: reading from a disk, since 0.5 GB stay in
the page cache, and accuracies, since every row has copies: they are those of the 131,072 rows, seen while training.
--real writes all rows instead, with no copies.

Memory is anonymous resident memory (RssAnon, sampled every 50 ms): what a process holds itself, without pages of mapped
files, which the system takes back at will. Opening (the index) and the board are told apart.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measuring import timed
from memory_watch import MemoryWatch

from classifiers.banked_rows import fit_ridge_on_store
from classifiers.by_parts import LeftOut, runner_of
from classifiers.space_rows import SpaceRows
from store import FeatureStore, StoreWriter
from store.index import RowIndex
from store.index_cache import save_index
from store.part import Part, PartFile, PartRows
from store.recipes import space_id
from store.space import part_files

RECIPE = {"backbone": "Bench", "dtype": "float16"}
PART, WRITTEN, LATENT = 8192, 16, 30
TELL_EVERY_S = 10.0


def main() -> None:
    """Prints a line a number of rows, and progress to standard error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="1000000")
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--workers", type=int, help="processes; by default threads of this one")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument(
        "--leave-out", action="store_true", help="predictions of every row, left out: 3 times the work"
    )
    parser.add_argument("--real", action="store_true", help="no links: 4 GB of disk for a million rows")
    options = parser.parse_args()
    for rows in map(int, options.rows.split(",")):
        work = Path(tempfile.mkdtemp(dir=options.folder, prefix="embank-bench-"))
        try:
            written = rows if options.real else min(rows, PART * WRITTEN)
            if shutil.disk_usage(work).free < 3 * written * options.dim:
                sys.exit(f"{work} has too little room for {2 * written * options.dim / 1e9:.1f} GB")
            factors = write_parts(work / "large.embank", written, options.dim)
            if written < rows:
                link_parts(work / "large.embank", rows)
            bench(work / "large.embank", factors, rows, options)
        finally:
            shutil.rmtree(work)


def bench(path: Path, factors: np.ndarray, rows: int, options: argparse.Namespace) -> None:
    """The board."""
    workers = options.workers
    schemes = [
        (factors[:, i * k : (i + 1) * k]).argmax(axis=1).astype(np.int8) for i, k in enumerate((2, 5, 10))
    ]
    labels = [np.resize(one, rows) for one in schemes]
    with MemoryWatch() as watch, runner_of(workers) as runner:
        store = FeatureStore(path)
        opening, space = timed(lambda: store.space(space_id(RECIPE)))
        opened, _ = watch.restart()
        seconds, found = timed(
            lambda: fit_ridge_on_store(
                store, space.id, None, labels, runner=runner, tell=Teller(), leave_out=options.leave_out
            )
        )
        own, child = watch.restart()
    accuracies = accuracies_of(store, space.id, found, labels, options.leave_out)
    children = f", {child:.2f} GB in a worker" if workers and workers > 1 else ""
    print(
        f"{rows:,} x {space.dim} float16 in {len(space.parts):,} parts, {len(labels)} schemes x 13 strengths, "
        f"{runner.workers} workers: {seconds:.0f} s; opened in {opening:.1f} s with {opened:.2f} GB at most, board "
        f"{own:.2f} GB at most{children}; accuracies {', '.join(f'{one:.3f}' for one in accuracies)}",
        flush=True,
    )


def accuracies_of(
    store: FeatureStore, space: str, found: list[LeftOut], labels: list[np.ndarray], left_out: bool
) -> list[float]:
    """By leaving each row out, or of the first part."""
    if left_out:
        return [one.accuracy for one in found]
    opened = store.space(space)
    X = SpaceRows(opened, np.arange(min(PART, opened.rows)))[:]
    return [float((one.head.predict(X) == y[: len(X)]).mean()) for one, y in zip(found, labels, strict=True)]


class Teller:
    """Prints how far a pass is, now and then."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, sentence: str) -> None:
        if time.monotonic() - self._last > TELL_EVERY_S:
            self._last = time.monotonic()
            print(sentence, file=sys.stderr, flush=True)


def write_parts(path: Path, rows: int, dim: int) -> np.ndarray:
    """Writes rows in parts; what they were made of, (rows, 30)."""
    writer = StoreWriter(path)
    generator = np.random.default_rng(0)
    mixing = generator.standard_normal((LATENT, dim), np.float32)
    factors = []
    for start in range(0, rows, PART):
        count = min(PART, rows - start)
        some = generator.standard_normal((count, LATENT), np.float32)
        vectors = some @ mixing + 3 * generator.standard_normal((count, dim), np.float32)
        hashes = generator.integers(0, 256, (count, 16), dtype=np.uint8)
        keys = [f"{n}.jpg" for n in range(start, start + count)]
        part = PartRows(hashes, np.zeros(count, np.int16), vectors.astype(np.float16), keys, ["s"] * count)
        writer.commit_part(RECIPE, part)
        factors.append(some)
    return np.concatenate(factors)


def link_parts(path: Path, rows: int) -> None:
    """More names for the parts that were written, and the index of a store in which all of them are different."""
    directory = path / "spaces" / space_id(RECIPE)
    written = [Part.read(file) for file in part_files(directory)]
    template = written[-1].path.name
    for number in range(len(written), -(-rows // PART)):
        name = f"{number + 1:06}{template[template.index('-') :]}"
        os.link(written[number % len(written)].path, directory / name)
    files, parts = part_files(directory), []
    for number, file in enumerate(files):
        known = written[number % len(written)]
        count = min(known.rows, rows - number * PART)
        parts.append(PartFile(file, count, known.dim, known.dtype, known.vectors_at))
    hashes = np.random.default_rng(1).integers(0, 256, (rows, 16), dtype=np.uint8)
    superseded = {file.name: () for file in files}
    save_index(directory, files, parts, superseded, RowIndex(hashes, np.zeros(rows, np.int16)))


if __name__ == "__main__":
    main()
