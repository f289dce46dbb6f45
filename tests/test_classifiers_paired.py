"""Two heads on the same images: McNemar's test against a table, and the paired bootstrap."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from classifiers.paired import difference_interval, mcnemar, paired


@pytest.mark.parametrize(("first", "second"), [(0, 0), (3, 9), (15, 5), (7, 7), (1200, 900), (0, 6)])
def test_mcnemar_is_the_binomial_test(first: int, second: int) -> None:
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar(first, second) == pytest.approx(expected)


def test_what_both_have_right_cancels_out() -> None:
    generator = np.random.default_rng(0)
    first = generator.random(2000) < 0.8
    second = np.where(generator.random(2000) < 0.02, ~first, first)
    interval = difference_interval(first, second)
    assert interval is not None
    low, high = interval
    assert low < first.mean() - second.mean() < high
    assert high - low < 0.02  # two independent intervals would be 0.07 wide together
    groups = np.where(first == second, np.arange(2000), -1)  # all that tells the two apart is one dog
    grouped = difference_interval(first, second, groups)
    assert grouped is not None and np.ptp(grouped) > 2 * np.ptp(interval)
    assert difference_interval(first[:1], second[:1]) is None


def result(head: str, right: list[bool], test: list[int], scheme: str = "coat") -> Any:
    return SimpleNamespace(
        scheme=scheme,
        head=head,
        space="Tiny-0",
        right=np.array(right),
        test=np.array(test),
        figures=SimpleNamespace(accuracy=float(np.mean(right))),
    )


def test_the_best_against_each_other_on_common_rows() -> None:
    best = result("ridge", [True] * 9 + [False], list(range(10)))
    other = result("svm", [True] * 3 + [False] * 5, list(range(2, 10)))
    found = paired([other, best, result("knn", [True], [0], "size")])
    assert [(pair.head, pair.other_head) for pair in found] == [("ridge", "svm")]
    pair = found[0]
    assert (pair.n, pair.only_first, pair.only_second) == (8, 4, 0)
    assert pair.difference == 0.5
    assert pair.low is not None and pair.high is not None and 0 <= pair.low < 0.5 < pair.high
    assert pair.p_value == pytest.approx(0.125)
    apart = paired([best, result("svm", [False], [99])])[0]
    assert (apart.n, apart.difference, apart.low, apart.p_value) == (0, 0.0, None, 1.0)
    assert apart.to_dict()["other_head"] == "svm"
