"""Similar images out of a store beside scikit-learn's brute force on the same rows in memory.

Run: python scripts/bench/similar.py [--rows 1000000] [--dim 1280] [--dtype float16] [--folder DIR]
Ours reads the vectors from the store at every search (from the page cache, if they fit); scikit-learn has them
in memory, and the time to load them is told beside. Memory is the most that the process had before that.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from measuring import timed
from sklearn.neighbors import NearestNeighbors

from classifiers.nearest import nearest
from classifiers.similarity import similar
from store import FeatureStore, StoreWriter
from store.columns import hashes_to_hex
from store.part import PartRows

PART = 16_384
TOP = 12


def main() -> None:
    """Prints one line a figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=1280)
    parser.add_argument("--dtype", choices=["float16", "float32"], default="float16")
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(dir=options.folder, prefix="embank-bench-"))
    try:
        images = make_store(work / "x.embank", options.rows, options.dim, options.dtype)
        bench_search(FeatureStore(work / "x.embank"), images, options.queries)
    finally:
        shutil.rmtree(work)


def make_store(path: Path, rows: int, dim: int, dtype: str) -> pd.DataFrame:
    """A bank of rows that lie in 200 clouds, as pooled features do; returns its images."""
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((200, dim), np.float32)
    hashes = generator.integers(0, 256, (rows, 16), dtype=np.uint8)
    writer = StoreWriter(path)
    for start in range(0, rows, PART):
        count = min(PART, rows - start)
        vectors = generator.standard_normal((count, dim), np.float32)
        vectors += centres[generator.integers(0, len(centres), count)]
        np.maximum(vectors, 0, out=vectors)
        keys = [f"{number}.jpg" for number in range(start, start + count)]
        part = PartRows(
            hashes[start : start + count],
            np.zeros(count, np.int16),
            vectors.astype(dtype),
            keys,
            ["s"] * count,
        )
        writer.commit_part({"backbone": "Bench", "dtype": dtype}, part)
    return pd.DataFrame({"key": [f"{number}.jpg" for number in range(rows)], "hash": hashes_to_hex(hashes)})


def bench_search(store: FeatureStore, images: pd.DataFrame, queries: int) -> None:
    """One query and many, ours and scikit-learn's, on the same rows."""
    some = images.iloc[:queries]
    first, one = timed(lambda: similar(store, "Bench", some.iloc[:1], TOP, images=images))
    again, _ = timed(lambda: similar(store, "Bench", some.iloc[:1], TOP, images=images))
    all_queries, many = timed(lambda: similar(store, "Bench", some, TOP, images=images))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    loading, X = timed(lambda: np.asarray(store.vectors("Bench", images)))
    brute = NearestNeighbors(algorithm="brute", metric="cosine").fit(X)
    theirs, (_, rows) = timed(lambda: brute.kneighbors(X[:1], TOP + 1))
    theirs_all, (_, many_rows) = timed(lambda: brute.kneighbors(X[:queries], TOP + 1))
    in_memory, _ = timed(lambda: nearest(X, X[:queries], TOP + 1))
    for found, expected in ((one, rows), (many, many_rows)):
        keys = images["key"].to_numpy()[expected[:, 1:]].ravel()
        agreeing = np.mean(found["key"].to_numpy() == keys)
        if agreeing < 0.99:  # it rounds in float32, so neighbours may change places
            sys.exit(f"only {agreeing:.1%} of the neighbours are scikit-learn's")
    size = f"{X.shape[0]:,} x {X.shape[1]}"
    print(
        f"{size}: one query from the store {first:.2f} s, again {again:.2f} s, at most {memory:.2f} GB of memory"
    )
    print(
        f"  scikit-learn: to load {loading:.2f} s, then {theirs:.2f} s: {(loading + theirs) / again:.1f} times ours"
    )
    print(f"  {queries} queries from the store {all_queries:.2f} s, in memory {in_memory:.2f} s")
    print(f"  scikit-learn in memory {theirs_all:.2f} s: {theirs_all / in_memory:.1f} times ours")


if __name__ == "__main__":
    main()
