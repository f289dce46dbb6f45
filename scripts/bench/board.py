"""A board of many schemes with all honest figures, and where its time goes.

Run: python scripts/bench/board.py [--schemes 100] [--rows 3670] [--dim 1280] [--cv 5] [--heads ridge,logistic]
     [--profile]
The store is made anew: vectors as pooled activations are, schemes of 2 to 8 classes in a label table, pictures of
random colours, so that mean colours have something to read.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import pstats
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from heads import made_labels, made_vectors
from PIL import Image

from classifiers import run_comparison
from classifiers.curves import few_shots
from classifiers.report import best_results, vector_maps, write_report
from classifiers.results import Comparison
from store import FeatureStore, StoreWriter
from store.labels import make_label_table
from store.part import PartRows

RECIPE = {"backbone": "Bench", "dtype": "float32"}


def main() -> None:
    """Prints the time of each part, and of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schemes", type=int, default=100)
    parser.add_argument("--rows", type=int, default=3670)
    parser.add_argument("--dim", type=int, default=1280)
    parser.add_argument("--cv", type=int, default=5)
    parser.add_argument("--heads", default="ridge,logistic")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="embank-bench-"))
    try:
        store = made_store(work, options.rows, options.dim, options.schemes)
        profiler = cProfile.Profile()
        if options.profile:
            profiler.enable()
        bench(store, options.heads.split(","), options.cv, work / "report.html")
        if options.profile:
            pstats.Stats(profiler).sort_stats("cumulative").print_stats(60)
    finally:
        shutil.rmtree(work)


def bench(store: FeatureStore, heads: list[str], cv: int, path: Path) -> None:
    """The board, then the report."""
    watch = Watch()
    pictures = Pictures()
    comparison = run_comparison(store, None, heads, cv=cv, pictures=pictures, progress=watch)
    watch(0, 0, "")  # the board and its pairs are made after the last report
    board = watch.total
    reporting = Watch()
    best = list(best_results(comparison.results).values())
    reporting(0, 0, "curves")
    curves = few_shots(store, comparison, best[0].space)
    reporting(0, 0, "map")
    maps = vector_maps(store, comparison, best)
    reporting(0, 0, "writing")
    write_report(path, comparison, title="Bench", pictures=pictures, about={}, curves=curves, maps=maps)
    reporting(0, 0, "")
    for part, seconds in (watch.parts + reporting.parts).items():
        print(f"  {part}: {seconds:.1f} s")
    report = reporting.total
    print(f"  report, {path.stat().st_size / 1e6:.1f} MB: {report:.1f} s")
    rows = f"{len(comparison.audits)} schemes x {len(heads)} heads x {cv} folds"
    print(f"{rows} on {len(comparison.images):,} images: {board + report:.1f} s (60 at most for 100 schemes)")
    describe(comparison)


def describe(comparison: Comparison) -> None:
    """That the figures are what such labels should have."""
    board = comparison.board
    means = board.groupby("head")["accuracy"].mean()
    print(f"  mean accuracy {', '.join(f'{head} {share:.3f}' for head, share in means.items())}")
    print(f"  mean nuisance {board['nuisance'].mean():.3f}, majority {board['majority'].mean():.3f}")
    print(f"  largest p {board['p_holm'].max():.2g}, mean ceiling {board['ceiling'].mean():.3f}")


class Watch:
    """Where the time between two reports of progress went, by the first words of what was reported."""

    def __init__(self) -> None:
        self.parts: Counter[str] = Counter()
        self._start = self._last = time.perf_counter()
        self._what = "start"

    def __call__(self, done: int, total: int, what: str) -> None:
        now = time.perf_counter()
        self.parts[self._what] += now - self._last
        self._last = now
        self._what = (
            "pairs"
            if what == "done"
            else "honest figures"
            if what.startswith("honest")
            else what.split(" ", maxsplit=1)[0]
        )

    @property
    def total(self) -> float:
        """Seconds until the last report."""
        return self._last - self._start


class Pictures:
    """JPEGs of 160 pixels, of a few colours."""

    def __init__(self) -> None:
        generator = np.random.default_rng(0)
        self._known = []
        for blobs in generator.integers(0, 256, (16, 4, 5, 3), dtype=np.uint8):
            out = io.BytesIO()
            Image.fromarray(blobs).resize((160, 120)).save(out, "JPEG")
            self._known.append(out.getvalue())

    def __call__(self, images: pd.DataFrame) -> list[bytes | None]:
        return [self._known[int(one[:1], 16)] for one in images["hash"]]


def made_store(work: Path, rows: int, dim: int, schemes: int) -> FeatureStore:
    """A store with one space, and a label table with a column a scheme."""
    generator = np.random.default_rng(0)
    hashes = generator.integers(0, 256, (rows, 16), dtype=np.uint8)
    keys = [f"{number:05}.jpg" for number in range(rows)]
    writer = StoreWriter(work / "bench.embank")
    part = PartRows(hashes, np.zeros(rows, np.int16), made_vectors(rows, dim), keys, ["s"] * rows)
    writer.commit_part(RECIPE, part)
    table = pd.DataFrame(
        {
            "key": keys,
            "hash": [one.tobytes().hex() for one in hashes],
            "bytes": generator.integers(10_000, 200_000, rows),
            "mtime": 0,
            "width": generator.integers(200, 500, rows),
            "height": generator.integers(200, 500, rows),
            "status": "ok",
        }
    )
    writer.add_to_listing("s", "nowhere", table)
    labels = made_labels(rows, dim, schemes)
    columns = {f"scheme{number:03}": [f"c{code}" for code in one] for number, one in enumerate(labels)}
    made, _ = make_label_table("made", pd.DataFrame({"key": keys, **columns}))
    writer.attach_labels(made)
    return FeatureStore(work / "bench.embank")


if __name__ == "__main__":
    main()
