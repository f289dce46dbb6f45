"""Labelling by proposals beside other ways to choose: accuracy on images that are never proposed, by labels given.

Run: python scripts/bench/proposals.py [--seeds 5] [--labels 192] [--shared ../shared] [--only photos] [--no-time]
A labeller who knows the truth answers twelve images a round, as in the explorer's Labelling view, from no label on;
after each round the live fit learns from all labels so far. A seed draws the images that are held out (three in ten),
and the clouds. Beside embank's proposals stand images at random; the least sure alone ("margin", at random until there
are two classes); the farthest from what is labelled alone ("farthest"). "by class" asks embank for images of the class
with the fewest labels, which a labeller chooses who wants some of each. "needs" is the number of labels from which on
the mean over the seeds is at least what random images come to in the end.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from finetune import WEIGHTS
from measuring import timed
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2]))

from classifiers.live import LiveFit, LiveResult, proposals
from classifiers.threads import few_threads
from store import FeatureStore
from tests.small_banks import small_bank

ROUND = 12
SHOWN = (24, 48, 96, 192)
Codes = NDArray[np.intp]
Vectors = NDArray[np.float32]
Way = Callable[[Vectors, Codes, LiveResult | None, np.random.Generator], Codes]


@dataclass(frozen=True)
class Bed:
    """Images to label: their vectors in memory, the class of each, and which are held out to judge."""

    fit: LiveFit
    truth: Codes
    held: NDArray[np.bool_]

    @classmethod
    def of(cls, store: FeatureStore, images: slice | NDArray[np.intp], truth: Codes, seed: int) -> Bed:
        """Of some images of a store with one space; three in ten of each class are held out."""
        rng = np.random.default_rng(seed)
        held = np.zeros(len(truth), bool)
        for code in np.unique(truth):
            own = np.flatnonzero(truth == code)
            held[rng.permutation(own)[: max(round(0.3 * len(own)), 1)]] = True
        (space,) = store.spaces
        return cls(LiveFit(store, space, store.images().iloc[images]), truth, held)


def main() -> None:
    """Prints a table a bed, then the time of a call."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--labels", type=int, default=192)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--shared", type=Path, default=Path(__file__).parents[3] / "shared")
    parser.add_argument("--only", help="Beds whose name begins so.", default="")
    parser.add_argument("--no-time", action="store_true")
    options = parser.parse_args()
    if options.seeds < 2 or options.labels < 2 * ROUND:
        parser.error(f"a spread needs two seeds or more, and figures {2 * ROUND} labels or more.")
    with tempfile.TemporaryDirectory(prefix="embank-bench-") as work, few_threads(small=True):
        for name, beds in all_beds(Path(work), options).items():
            if name.startswith(options.only):
                compare(name, list(beds), options.labels)
        if not options.no_time:
            clock_call()


def compare(name: str, beds: list[Bed], labels: int) -> None:
    """Prints what each way comes to on the same beds."""
    print(f"{name}: {len(beds[0].truth):,} images, smallest class {np.bincount(beds[0].truth).min():,}")
    curves = {
        way: np.stack([simulate(bed, choose, labels, seed) for seed, bed in enumerate(beds)])
        for way, choose in WAYS.items()
    }  # (seeds, rounds, figures)
    goals = curves["random"].mean(axis=0)[-1]
    for way, curve in curves.items():
        print(f"  {way:9}", *described(curve, goals), sep="  ", flush=True)


def described(curve: NDArray[np.float64], goals: NDArray[np.float64]) -> Iterator[str]:
    """A cell a figure: mean and standard deviation over the seeds, in per cent."""
    means, spreads = 100 * curve.mean(axis=0), 100 * curve.std(axis=0, ddof=1)
    for figure, title in enumerate(("accuracy", "balanced")):
        shown = [number // ROUND - 1 for number in SHOWN if number <= ROUND * len(means)]
        cells = (f"{means[at, figure]:.1f}±{spreads[at, figure]:.1f}" for at in shown)
        reached = np.flatnonzero(means[:, figure] >= 100 * goals[figure] - 1e-9)
        needs = str(ROUND * (reached[0] + 1)) if len(reached) else "more"
        yield f"{title} {' '.join(cells)} needs {needs}"
    rounds = (curve[:, :, 2] < 1).sum(axis=1) + 1
    found = ("more" if number > len(means) else str(ROUND * number) for number in rounds)
    yield f"all classes after {', '.join(found)}"


def simulate(bed: Bed, choose: Way, labels: int, seed: int) -> NDArray[np.float64]:
    """Accuracy and balanced accuracy on the images held out, and the share of classes found, a round (rounds, 3)."""
    rng = np.random.default_rng(seed)
    pool = np.flatnonzero(~bed.held)
    codes, classes = np.full(len(bed.truth), -1), int(bed.truth.max()) + 1
    result, figures = None, []
    while len(figures) < labels // ROUND:
        seen = None if result is None else of_rows(result, pool)
        chosen = pool[choose(bed.fit.vectors[pool], codes[pool], seen, rng)]
        assert len(chosen) == ROUND and (codes[chosen] < 0).all()  # noqa: S101
        codes[chosen] = bed.truth[chosen]
        found = np.unique(codes[codes >= 0])
        if len(found) > 1:
            result = bed.fit.solve(codes, classes)
        figures.append((*judged(bed, result, int(found[0])), len(found) / classes))
    return np.array(figures)


def judged(bed: Bed, result: LiveResult | None, only: int) -> tuple[float, float]:
    """Accuracy and balanced accuracy on the images held out."""
    truth = bed.truth[bed.held]
    right = truth == (only if result is None else result.predicted[bed.held])
    return float(right.mean()), float(np.mean([right[truth == code].mean() for code in np.unique(truth)]))


def of_rows(result: LiveResult, rows: Codes) -> LiveResult:
    """What a result says of some images."""
    return replace(
        result,
        **{name: getattr(result, name)[rows] for name in ("codes", "predicted", "scores", "confidence")},
    )


def embank(vectors: Vectors, codes: Codes, result: LiveResult | None, rng: np.random.Generator) -> Codes:
    """As the page proposes."""
    return proposals(vectors, codes, result, ROUND)


def by_class(vectors: Vectors, codes: Codes, result: LiveResult | None, rng: np.random.Generator) -> Codes:
    """As the page proposes for the class with the fewest labels of those that were found."""
    counts = np.bincount(codes[codes >= 0])
    code = None if result is None else int(np.where(counts, counts, len(codes)).argmin())
    return proposals(vectors, codes, result, ROUND, code)


def at_random(vectors: Vectors, codes: Codes, result: LiveResult | None, rng: np.random.Generator) -> Codes:
    """Any without a label."""
    return rng.choice(np.flatnonzero(codes < 0), ROUND, replace=False)


def margin(vectors: Vectors, codes: Codes, result: LiveResult | None, rng: np.random.Generator) -> Codes:
    """The smallest gap between the two likeliest classes, whatever their likeness."""
    if result is None:
        return at_random(vectors, codes, result, rng)
    free = np.flatnonzero(codes < 0)
    top = np.sort(result.probabilities[free], axis=1)
    return free[np.argsort(top[:, -1] - top[:, -2], kind="stable")[:ROUND]]


def farthest(vectors: Vectors, codes: Codes, result: LiveResult | None, rng: np.random.Generator) -> Codes:
    """The farthest first, from what is labelled and from one another, by the angle; the first at random."""
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    known = list(np.flatnonzero(codes >= 0)) or [int(rng.integers(len(codes)))]
    taken = [] if (codes >= 0).any() else list(known)
    far = 1 - (units @ units[known].T).max(axis=1)
    while len(taken) < ROUND:
        best = int(np.where(codes < 0, far, -1).argmax())
        taken.append(best)
        far = np.minimum(far, 1 - units @ units[best])
    return np.array(taken)


WAYS: dict[str, Way] = {
    "embank": embank,
    "by class": by_class,
    "random": at_random,
    "margin": margin,
    "farthest": farthest,
}


def all_beds(work: Path, options: argparse.Namespace) -> dict[str, Iterator[Bed]]:
    """What is labelled, by name; a bed a seed."""
    seeds = range(options.seeds)
    shares = {"balanced": np.full(10, 0.1), "one class of 2 %": np.r_[0.02, np.full(9, 0.98 / 9)]}
    found: dict[str, Iterator[Bed]] = {}
    if options.shared.is_dir():
        found["photos"] = photos(work, options.shared, seeds, rare=1)
        found["photos, one class of 2 %"] = photos(work, options.shared, seeds, rare=0.2)
    for name, share in shares.items():
        place = work / name.replace(" ", "-")
        found[f"clouds, {name}"] = clouds(place, options.rows, options.dim, share, seeds)
    return found


def photos(work: Path, shared: Path, seeds: range, rare: float) -> Iterator[Bed]:
    """The real photos in MobileNetV2's space, seven classes; of one class the first so many of a random order."""
    from embedder import Recipe, embed

    place = work / "photos.embank"
    if not place.exists():
        recipe = Recipe("MobileNetV2", str(shared / WEIGHTS))
        for name in ("flowers", "hymenoptera"):
            embed(shared / "data" / name, place, recipe)
    store = FeatureStore(place)
    codes = np.asarray(store.images()["folder"].astype("category").cat.codes, np.intp)
    for seed in seeds:
        own = np.random.default_rng(seed).permutation(np.flatnonzero(codes == seed % 5 + 2))
        rows = np.setdiff1d(np.arange(len(codes)), own[round(rare * len(own)) :])
        yield Bed.of(store, rows, codes[rows], seed)


def clouds(place: Path, rows: int, dim: int, share: NDArray[np.float64], seeds: range) -> Iterator[Bed]:
    """Classes of three clouds each that overlap, with few strong directions and many weak ones, as features have."""
    for seed in seeds:
        rng = np.random.default_rng(seed)
        codes = rng.choice(len(share), rows, p=share)
        kinds = 3 * codes + rng.choice(3, rows, p=(0.6, 0.3, 0.1))
        scales = np.sqrt(30 / (1 + np.arange(dim)))
        centres = rng.standard_normal((3 * len(share), dim)) * 0.55
        X = (scales * (centres[kinds] + rng.standard_normal((rows, dim)))).astype(np.float32)
        store = small_bank(
            Path(f"{place}-{seed}.embank"), [f"{number:06}.jpg" for number in range(rows)], [X]
        )
        order = np.asarray(store.images()["key"].str.removesuffix(".jpg").astype(int))
        yield Bed.of(store, slice(None), np.asarray(codes[order], np.intp), seed)


def clock_call() -> None:
    """Prints the median time of a call for many images, with 300 of them labelled and with none."""
    rng = np.random.default_rng(0)
    vectors = np.maximum(rng.standard_normal((10_000, 2048), np.float32), 0)
    none, some = np.full(10_000, -1), np.where(np.arange(10_000) < 300, np.arange(10_000) % 10, -1)
    scores = rng.standard_normal((10_000, 10)).astype(np.float32)
    result = LiveResult(some, scores.argmax(axis=1), scores, scores.max(axis=1), 1.0, 0.0)
    cases = {"no label": (none, None, None), "300 labels": (some, result, None), "a class": (some, result, 3)}
    for name, (codes, known, code) in cases.items():
        ask = partial(proposals, vectors, codes, known, ROUND, code)
        milliseconds = 1000 * statistics.median(timed(ask)[0] for _ in range(9))
        print(f"a call at 10,000 x 2,048, {name}: {milliseconds:.0f} ms")


if __name__ == "__main__":
    main()
