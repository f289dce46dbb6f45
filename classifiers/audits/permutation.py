"""Whether labels are told better than shuffled ones are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from classifiers.audits.ground import Ground
from classifiers.factorization import Factorization
from classifiers.intervals import group_numbers
from classifiers.splits import Rows
from classifiers.targets import Targets
from classifiers.threads import few_threads, for_shares

SHUFFLES = 1000
_SEED = 0
_TESTED = 1024  # test rows that are looked at
_SOME_TESTED = 256  # enough where these leave no doubt
_CLEAR = 1e-5
_CELLS = 1 << 22  # most test rows × rows
_AT_ONCE = 50  # shuffles
_TARGETS = 1 << 20  # cells of a block of shuffled targets, which stays in the cache
_FEW_CLASSES = 32
_FEW_TESTED = 128  # test rows where there are more classes
_COUNTED = 10  # shuffles that must do as well for their share to be a p-value to correct
_SMALLEST = 1e-6  # p-value that is told from the shape of so few shuffles


@dataclass(frozen=True)
class Permutation:
    """`accuracy` on the real labels, and the mean (`null_mean`) and 95 % point (`null_high`) of that on shuffled ones.

    The statistic is the accuracy, on 256 held-out images or where these leave a doubt on 1,024, of a ridge whose
    strength is the mean eigenvalue of its training images' vectors: it depends on no label, so that real and shuffled
    labels are treated alike. Labels are shuffled among all images, trained and tested ones, and the ridge is fitted
    anew (Ojala & Garriga 2010, J. Mach. Learn. Res. 11, 1833). Where there are groups, whole groups change places.

    `p` is (1 + shuffles that do as well) / (1 + shuffles). `p_holm` is corrected for the number of schemes on the
    space (Holm 1979, Scand. J. Stat. 6, 65); below what shuffles can count it goes by the shape of their accuracies,
    down to 1e-6.
    """

    accuracy: float
    null_mean: float
    null_high: float
    p: float
    p_holm: float
    shuffles: int


class PermutationTest:
    """The test, for any number of schemes on the same ground: shuffles and the ridge do not depend on labels."""

    def __init__(self, ground: Ground, shuffles: int = SHUFFLES) -> None:
        self._ground = ground
        self._shuffles = shuffles

    def permutation(self, codes: Targets) -> Permutation:
        """Codes (n,), or an indicator (n, t), of the ground's rows. `p_holm` is not corrected yet: see `holm`."""
        if codes.ndim == 1:
            _, codes = np.unique(codes, return_inverse=True)  # no code without images
        many = (codes.shape[1] if codes.ndim == 2 else int(codes.max()) + 1) > _FEW_CLASSES
        found = self._of_rows(codes, _FEW_TESTED if many else _SOME_TESTED)
        return found if many or found.p_holm <= _CLEAR else self._of_rows(codes, _TESTED)

    def _of_rows(self, codes: Targets, most: int) -> Permutation:
        """The test on so many test rows."""
        step = -(-len(self._test) // most)
        accuracies = _accuracies(self._weights[::step], self._test[::step], codes, self._orders)
        null, found = accuracies[1:], float(accuracies[0])
        count = int((null >= found - 1e-9).sum())
        p = (1 + count) / (1 + len(null))
        tail = p if count >= _COUNTED else min(p, max(_SMALLEST, _tail(null, found)))
        return Permutation(found, float(null.mean()), float(np.quantile(null, 0.95)), p, tail, len(null))

    @cached_property
    def _orders(self) -> NDArray[np.int32]:
        """(1 + shuffles, n): where the label of each row comes from; the first order is that of the real labels."""
        groups, count = self._ground.groups, len(self._ground.rows)
        units = np.arange(count) if groups is None else group_numbers(groups)
        generator = np.random.default_rng(_SEED)
        places = np.argsort(units, kind="stable")  # rows of a group side by side
        orders = np.empty((1 + self._shuffles, count), np.int32)
        orders[0] = np.arange(count)
        for shuffle in range(1, len(orders)):
            orders[shuffle, places] = np.argsort(generator.random(units.max() + 1)[units], kind="stable")
        return orders

    @cached_property
    def _chosen(self) -> list[tuple[Rows, Rows]]:
        """Each split with some of its test rows, spread evenly over all."""
        tests = self._ground.test
        most = max(32, min(_TESTED, _CELLS // len(self._ground.rows)))
        step = max(1, -(-len(tests) // most))
        ends = np.cumsum([0, *(len(test) for _, test in self._ground.splits)])
        return [
            (train, test[-start % step :: step])
            for (train, test), start in zip(self._ground.splits, ends[:-1].tolist(), strict=True)
        ]

    @cached_property
    def _test(self) -> Rows:
        return np.concatenate([test for _, test in self._chosen])

    @cached_property
    def _weights(self) -> NDArray[np.float32]:
        """(m, n): the score of each test row as weights of all rows' targets; none of rows it is not trained on."""
        weights = np.zeros((len(self._test), len(self._ground.rows)), np.float32)
        start = 0
        for train, test in self._chosen:
            if len(test):
                factor = self._ground.factorization(train)
                some = slice(start, start + len(test))
                weights[some, train] = _ridge_weights(factor, self._ground.vectors[test])
                start += len(test)
        return weights


def holm(tests: Sequence[Permutation]) -> list[Permutation]:
    """The same with `p_holm` corrected for their number."""
    order = np.argsort([one.p_holm for one in tests], kind="stable")
    raw = np.array([tests[i].p_holm for i in order])
    corrected = np.minimum(1.0, np.maximum.accumulate(raw * np.arange(len(raw), 0, -1)))
    found = list(tests)
    for place, i in enumerate(order.tolist()):
        found[i] = replace(tests[i], p_holm=float(corrected[place]))
    return found


def _ridge_weights(factor: Factorization, test: NDArray[np.float32]) -> NDArray[np.float32]:
    """(m, n) weights of the training rows' targets in the scores of test rows (m, d); they add up to 1."""
    mean, basis = factor.mean.astype(np.float32), factor.narrow()
    own, others = np.asarray(factor.X[:]) - mean, test - mean
    damping = (1 / (factor.values + factor.scale)).astype(np.float32)
    solved = (((others @ own.T if factor.wide else others) @ basis) * damping) @ basis.T
    return np.asarray((solved if factor.wide else solved @ own.T) + np.float32(1 / len(own)))


def _accuracies(
    weights: NDArray[np.float32], test: Rows, codes: Targets, orders: NDArray[np.int32]
) -> NDArray[np.float64]:
    """The accuracy with each order of the labels: (shuffles,)."""
    several = codes.ndim == 2
    columns = codes.shape[1] if several else int(codes.max()) + 1
    step = max(1, min(_AT_ONCE, _TARGETS // (len(codes) * columns)))
    named = _named_labels if several else _named_of_few if columns <= _FEW_CLASSES else _named_of_many

    def share(starts: range) -> NDArray[np.float64]:
        blocks = []
        for start in starts:
            shuffled = codes[orders[start : start + starts.step]]
            right = named(weights, shuffled) == shuffled[:, test]
            blocks.append((right.all(axis=2) if several else right).mean(axis=1))
        return np.concatenate(blocks)

    with few_threads(True):
        return np.concatenate(for_shares(share, len(orders), step))


def _named_of_few(weights: NDArray[np.float32], shuffled: Targets) -> Targets:
    """The codes (b, m) that are named with shuffled codes (b, n), by products with one column a class."""
    classes = np.arange(1, int(shuffled.max()) + 1)
    hot = (shuffled == classes[:, None, None]).astype(np.float32)
    scores = (hot.reshape(-1, shuffled.shape[1]) @ weights.T).reshape(len(classes), len(shuffled), -1)
    best = weights.sum(axis=1) - scores.sum(axis=0)  # of the first class
    named = np.zeros(best.shape, shuffled.dtype)
    for code, one in zip(classes.tolist(), scores, strict=True):
        better = one > best
        named[better] = code
        np.maximum(best, one, out=best)
    return named


def _named_of_many(weights: NDArray[np.float32], shuffled: Targets) -> Targets:
    """The same by sums over the rows of each class, whose cost does not depend on their number."""
    by_row = np.ascontiguousarray(weights.T)
    starts = np.searchsorted(np.sort(shuffled[0]), np.arange(int(shuffled[0].max()) + 1))
    named = [
        np.add.reduceat(by_row[np.argsort(one, kind="stable")], starts, axis=0).argmax(axis=0)
        for one in shuffled
    ]
    return np.array(named, shuffled.dtype)


def _named_labels(weights: NDArray[np.float32], shuffled: Targets) -> Targets:
    """The labels (b, m, t) that are named with shuffled indicators (b, n, t)."""
    count, rows, labels = shuffled.shape
    hot = shuffled.transpose(0, 2, 1).reshape(-1, rows).astype(np.float32)
    scores = (hot @ weights.T).reshape(count, labels, -1)
    return np.asarray(scores.transpose(0, 2, 1) > 0.5)


def _tail(null: NDArray[np.float64], found: float) -> float:
    """The probability of `found` or more by the shape of the null distribution, beyond what shuffles can count.

    1,000 shuffles cannot say less than 1 in 1,001, and 100 schemes corrected for their number would never be
    significant: a gamma distribution with the null's mean, variance and skewness goes on (Winkler et al. 2016,
    "Faster permutation inference in brain imaging", NeuroImage 141, 502).
    """
    from scipy.special import gammainc, gammaincc, ndtr

    spread = null.std()
    if spread == 0:
        return 1.0 if found <= null.mean() else 1 / (1 + len(null))
    z = (found - null.mean()) / spread
    skew = float((((null - null.mean()) / spread) ** 3).mean())
    if abs(skew) < 1e-3:
        return float(ndtr(-z))
    shape = 4 / skew**2
    at = max(0.0, shape + np.copysign(np.sqrt(shape), skew) * z)
    return float(gammaincc(shape, at) if skew > 0 else gammainc(shape, at))
