"""Ridge and logistic heads beside scikit-learn's, looped; one more scheme on a warm cache.

Run: python scripts/bench/heads.py [--schemes 100] [--sample 2] [--folder DIR]
scikit-learn fits a sample of the problems, and its time is scaled to all. Both sides have the same vectors
(float32, as a store gives them), labels, strengths and folds. Ratios are what to quote.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measuring import Result, timed
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV

from classifiers import LogisticHead, RidgeHead, fit_many
from classifiers.factor_cache import FactorCache
from classifiers.fitting import fit_together
from classifiers.logistic_fitting import FOLDS, fold_numbers
from classifiers.threads import few_threads

LATENT = 30


def main() -> None:
    """Prints one line a figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schemes", type=int, default=100)
    parser.add_argument("--sample", type=int, default=2, help="schemes that scikit-learn fits")
    parser.add_argument("--vectors", default="7349x1280", help="rows x dimensions")
    parser.add_argument("--warm", default="10000x2048")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of heads that have not converged
    work = Path(tempfile.mkdtemp(dir=options.folder, prefix="embank-bench-"))
    try:
        rows, dim = map(int, options.vectors.split("x"))
        bench_ridge(rows, dim, options.schemes, options.sample)
        bench_logistic(rows, dim, options.schemes, options.sample)
        rows, dim = map(int, options.warm.split("x"))
        bench_warm(work, rows, dim)
    finally:
        shutil.rmtree(work)


def bench_ridge(rows: int, dim: int, schemes: int, sample: int) -> None:
    """All schemes at 10 strengths, chosen by leave-one-out."""
    X, ys = made_vectors(rows, dim), made_labels(rows, dim, schemes)
    alphas = np.logspace(-3, 3, 10) * float(((X - X.mean(axis=0)) ** 2).sum() / dim)
    ours, heads = timed(lambda: fit_many(X, ys, alphas=alphas.tolist()))
    theirs, looped = quicker(lambda: [RidgeClassifierCV(alphas=alphas).fit(X, y) for y in ys[:sample]])
    same = sum(np.isclose(a.alpha_, b.alpha_) for a, b in zip(heads, looped, strict=False))
    what = f"ridge, {rows:,} x {dim:,}, {schemes} schemes x 10 strengths, leave-one-out"
    show(what, ours, theirs / sample * schemes, 150)
    print(f"  the same strength in {same} of {sample} schemes")


def bench_logistic(rows: int, dim: int, schemes: int, sample: int) -> None:
    """All schemes at 5 strengths and 5 folds, and a last fit of each at the best strength."""
    X, ys = made_vectors(rows, dim), made_labels(rows, dim, schemes)
    Cs = np.logspace(-1, 3, 5) / float(((X - X.mean(axis=0)) ** 2).sum(axis=1).mean())
    ours, heads = timed(lambda: fit_many(X, ys, head="logistic", C=Cs.tolist()))
    theirs, accuracies = quicker(lambda: [looped_logistic(X, y, Cs) for y in ys[:sample]])
    what = f"logistic, {rows:,} x {dim:,}, {schemes} schemes x 5 strengths x {FOLDS} folds"
    show(what, ours, theirs / sample * FOLDS * schemes, 20)
    mine = [one_fold_accuracy(X, y, Cs) for y in ys[:sample]]
    apart = 100 * abs(np.mean(mine) - np.mean(accuracies))
    figures = f"{100 * np.mean(mine):.2f} %, scikit-learn {100 * np.mean(accuracies):.2f} %"
    print(f"  mean accuracy {figures}: {apart:.2f} points apart (0.2 at most)")
    print(
        f"  rounds of the last fits: {min(h.n_iter_[0] for h in heads)} to {max(h.n_iter_[0] for h in heads)}"
    )


def looped_logistic(X: np.ndarray, y: np.ndarray, Cs: np.ndarray) -> list[float]:
    """scikit-learn's accuracy on the first fold at each strength."""
    train = fold_numbers(y) != 0
    models = [LogisticRegression(C=C, max_iter=1000).fit(X[train], y[train]) for C in Cs]
    return [model.score(X[~train], y[~train]) for model in models]


def one_fold_accuracy(X: np.ndarray, y: np.ndarray, Cs: np.ndarray) -> list[float]:
    """Ours on the same."""
    train = fold_numbers(y) != 0
    heads = [LogisticHead(C=C) for C in Cs]
    fit_together(heads, X[train], [y[train]] * len(Cs))
    return [head.score(X[~train], y[~train]) for head in heads]


def bench_warm(work: Path, rows: int, dim: int) -> None:
    """One more scheme of 5 classes on images whose factorization is in the cache, read from the disk."""
    X, (first, second) = made_vectors(rows, dim), made_labels(rows, dim, 2, classes=5)
    hashes = np.random.default_rng(1).integers(0, 256, (rows, 16), dtype=np.uint8)
    seconds, _ = timed(lambda: fit_together([RidgeHead()], X, [first], FactorCache(work).rows("a", hashes)))
    print(f"first scheme, {rows:,} x {dim:,}: {seconds:.2f} s")
    C = 30 / float(((X - X.mean(axis=0)) ** 2).sum(axis=1).mean())
    warm_scheme("ridge", RidgeHead, 50, (X, second, hashes, work))
    warm_scheme("logistic", lambda: LogisticHead(C=C), 300, (X, second, hashes, work))


def warm_scheme(
    name: str,
    head: Callable[[], object],
    most: int,
    given: tuple[np.ndarray, np.ndarray, np.ndarray, Path],
) -> None:
    """The time of one fit with the factorization from the disk, and then from memory."""
    X, y, hashes, folder = given
    cache = FactorCache(folder)  # a new one: nothing is in memory
    seconds = [timed(lambda: fit_together([head()], X, [y], cache.rows("a", hashes)))[0] for _ in range(6)]
    print(
        f"one more scheme, 5 classes, {name}: {1000 * float(np.median(seconds[1:])):.0f} ms with the factorization in "
        f"memory, {1000 * seconds[0]:.0f} ms from the disk (at most {most} required)"
    )


def made_vectors(rows: int, dim: int) -> np.ndarray:
    """Pooled activations of a kind: not negative, correlated, with a long tail of eigenvalues."""
    mixing = np.random.default_rng(1).standard_normal((dim, dim), np.float32)
    return np.maximum(hidden(rows, dim) @ mixing + 2, 0)


def made_labels(rows: int, dim: int, schemes: int, classes: int | None = None) -> list[np.ndarray]:
    """Schemes of 2 to 8 classes that the vectors of `made_vectors` tell, up to noise."""
    factors = hidden(rows, dim)[:, :LATENT]
    labels = []
    for number in range(schemes):
        generator = np.random.default_rng(number + 2)
        count = classes or int(generator.integers(2, 9))
        scores = factors @ generator.standard_normal((LATENT, count), np.float32)
        noise = generator.standard_normal(scores.shape, np.float32)
        labels.append((scores + scores.std() * 0.3 * noise).argmax(axis=1))
    return labels


def hidden(rows: int, dim: int) -> np.ndarray:
    """What vectors and labels have in common."""
    factors = np.random.default_rng(0).standard_normal((rows, dim), np.float32)
    return factors * np.arange(1, dim + 1, dtype=np.float32) ** -0.5


def quicker(work: Callable[[], Result]) -> tuple[float, Result]:
    """`timed` for scikit-learn, with all BLAS threads or with one, which is quicker on a busy machine."""
    with few_threads(True):
        alone, result = timed(work)
    return min(alone, timed(work)[0]), result


def show(what: str, ours: float, theirs: float, required: float) -> None:
    """One line of a comparison."""
    ratio = f"{theirs / ours:.0f} times ({required} required)"
    print(f"{what}: {ours:.2f} s, scikit-learn looped {theirs:.0f} s (scaled): {ratio}")


if __name__ == "__main__":
    main()
