"""The explorer's edits: server time from the request's fields to the answer, and beside it scikit-learn's ridge anew.

Run: python scripts/bench/explore.py [--rows 10000] [--dim 2048] [--classes 20] [--times 7]
Each edit is asked for as the page does, through all checks of the server but without a socket; medians, and beside
them the time of a processor, which a busy machine changes less. What a user would do instead after each edit is to fit
RidgeClassifierCV on the new labels, with leave-one-out.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measuring import timed
from numpy.typing import NDArray
from sklearn.linear_model import RidgeClassifierCV

sys.path.insert(0, str(Path(__file__).parents[2]))

from classifiers.live import LiveResult
from classifiers.threads import few_threads
from tests.explorers import Explorer, explorer
from tests.small_banks import small_bank

_DROPS = 5  # the final figures of each need a factorization of the images that are left: seconds
_LABELLED = 1500  # of a store without labels, before one more is measured


def main() -> None:
    """Prints one line a figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--times", type=int, default=7)
    parser.add_argument(
        "--no-sklearn", action="store_true", help="Do not fit scikit-learn's, which takes a minute."
    )
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="embank-bench-"))
    try:
        X, codes = make_bank(work / "x.embank", options.rows, options.dim, options.classes)
        cold, _ = timed(lambda: opened(work))
        warm, at = timed(lambda: opened(work))
        print(
            f"{options.rows:,} x {options.dim}, {options.classes} classes: to open {cold:.1f} s, again {warm:.1f} s"
        )
        with few_threads(small=True):  # as the server runs
            medians, near = bench_edits(at, options.classes, options.times)
            medians |= bench_labelling(at, codes, options.times)
        at.session.close()
        for name, (median, processor) in medians.items():
            print(f"  {name}: {1000 * median:.0f} ms ({1000 * processor:.0f} ms of a processor)")
        print(f"  {near}")
        if not options.no_sklearn:
            theirs = bench_sklearn(X, codes)
            ratio = theirs / medians["merge"][0]
            print(f"  scikit-learn's RidgeClassifierCV after a merge: {theirs:.1f} s, {ratio:.0f} times ours")
    finally:
        shutil.rmtree(work)


def opened(work: Path) -> Explorer:
    """The explorer on the bank, with its first figures."""
    from store import FeatureStore

    return explorer(FeatureStore(work / "x.embank"))


def make_bank(path: Path, rows: int, dim: int, classes: int) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """A bank of clouds that overlap, as pooled features do; its vectors and the folder of each."""
    generator = np.random.default_rng(0)
    codes = generator.integers(0, classes, rows)
    centres = generator.standard_normal((classes, dim), np.float32) * 0.12
    X = np.maximum(generator.standard_normal((rows, dim), np.float32) + centres[codes], 0)
    small_bank(path, [f"kind {code:03}/{number:06}.jpg" for number, code in enumerate(codes)], [X])
    return X, codes


def bench_edits(at: Explorer, classes: int, times: int) -> tuple[dict[str, tuple[float, float]], str]:
    """Median seconds of each edit, each on other classes and images, and of the processor for it; how near figures
    that are there at once come to the final ones.
    """
    near: list[LiveResult | None] = []
    final: list[LiveResult | None] = []
    clocks = Clocks(at)
    clock, record = clocks.edit, clocks.record
    rng = np.random.default_rng(0)
    for number in range(times):
        one, other = (int(code) for code in rng.permutation(classes)[:2])
        clock("merge", "merge", classes=[one, other], name=f"both {number}")
        clock("undo", "undo")
        clock("redo", "redo")
        at.post("undo")
        clock("split by clusters", "split", **{"class": one, "clusters": 2})
        at.post("undo")
        where = f"width + {number} > 0 and key > 'kind {one:03}/005'"
        clock("split by expression", "split", **{"class": one, "where": where})
        at.post("undo")
        images, name = len(at.session.collection), at.session.shown.step.live.classes[other]
        clock("relabel one", "relabel", ids=rng.integers(0, images, 1).tolist(), label=name)
        clock("relabel 200", "relabel", ids=rng.integers(0, images, 200).tolist(), label=name)
        at.post("undo")
        at.post("undo")
        record("state", lambda: at.get("state"))
        record("first page of mistakes", lambda: at.get("images", kind="mistakes", limit=100))
        at.post("merge", classes=[one, other], name=f"both {number}")
        record("learning curve and warnings", lambda: at.get("slow"))
        at.post("undo")
        if number < _DROPS:
            clock("drop", "drop", **{"class": one})
            near.append(at.session.shown.step.result)
            record("final figures after", at.session.wait, wait=False)
            final.append(at.session.shown.step.result)
            at.post("undo")
    at.session.wait()
    at.post("drop", **{"class": 0})
    clock("drop another before they are there", "drop", wait=False, **{"class": 0})
    at.session.wait()
    at.post("undo")
    at.post("undo")
    return clocks.medians(), nearness(near, final)


def nearness(near: list[LiveResult | None], final: list[LiveResult | None]) -> str:
    """How far the first figures of drops were from the final ones."""
    both = [(a, b) for a, b in zip(near, final, strict=True) if a is not None and b is not None]
    points = max(100 * abs(a.accuracy - b.accuracy) for a, b in both)
    others = max(int((a.predicted != b.predicted)[b.judged].sum()) for a, b in both)
    return (
        f"the first figures of a drop were at most {points:.2f} points from the final ones; "
        f"{others} of {both[0][1].n:,} images named otherwise"
    )


def bench_labelling(at: Explorer, codes: NDArray[np.intp], times: int) -> dict[str, tuple[float, float]]:
    """Median seconds of one more label in a store with some, and of the processor for it."""
    clocks = Clocks(at)
    at.post("start", **{"from": "nothing"})
    rows = np.random.default_rng(0).permutation(len(codes))[: _LABELLED + times]
    for code in np.unique(codes):
        some = rows[:_LABELLED][codes[rows[:_LABELLED]] == code]
        at.post("relabel", ids=some.tolist(), label=f"kind {code}")
    for row in rows[_LABELLED:]:
        clocks.edit(f"one label beside {_LABELLED:,}", "relabel", ids=[int(row)], label=f"kind {codes[row]}")
    return clocks.medians()


class Clocks:
    """Seconds of what is asked for under each name, and of the processor."""

    def __init__(self, at: Explorer) -> None:
        self._at = at
        self._found: dict[str, list[tuple[float, float]]] = {}

    def edit(self, name: str, path: str, /, *, wait: bool = True, **body: object) -> None:
        """An edit by the address and the fields that the page sends."""
        self.record(name, lambda: self._at.post(path, **body), wait=wait)

    def record(self, name: str, ask: Callable[[], object], *, wait: bool = True) -> None:
        """Anything; after what was asked for before has come to its end, unless not waited for."""
        if wait:
            self._at.session.wait()
            self._at.session.kept.flush()  # a person takes longer to the next edit
        processor = time.process_time()
        seconds, _ = timed(ask)
        self._found.setdefault(name, []).append((seconds, time.process_time() - processor))

    def medians(self) -> dict[str, tuple[float, float]]:
        """Of each name."""
        medians: dict[str, tuple[float, float]] = {}
        for name, pairs in self._found.items():
            seconds, processor = zip(*pairs, strict=True)
            medians[name] = statistics.median(seconds), statistics.median(processor)
        return medians


def bench_sklearn(X: NDArray[np.float32], codes: NDArray[np.intp]) -> float:
    """Seconds of scikit-learn's ridge with the same strengths by leave-one-out, after two classes were merged."""
    merged = np.where(codes == 1, 0, codes)
    scale = float(((X - X.mean(axis=0)) ** 2).sum() / min(X.shape))
    return timed(lambda: RidgeClassifierCV(alphas=np.logspace(-3, 3, 13) * scale).fit(X, merged))[0]


if __name__ == "__main__":
    main()
