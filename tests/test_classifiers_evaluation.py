"""Figures equal scikit-learn's, and the interval is Wilson's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from classifiers.errors import HeadError
from classifiers.evaluation import evaluate_codes, wilson_interval

PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60)


@given(PAIRS)
def test_equal_to_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    true, predicted = np.array(pairs).T
    figures = evaluate_codes(true, predicted, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of classes that are predicted but do not occur
        balanced = metrics.balanced_accuracy_score(true, predicted)
    assert figures.accuracy == pytest.approx(metrics.accuracy_score(true, predicted))
    assert figures.balanced_accuracy == pytest.approx(balanced)
    assert figures.macro_f1 == pytest.approx(metrics.f1_score(true, predicted, average="macro"))
    assert figures.majority == np.bincount(true).max() / len(true)
    assert (figures.confusion == metrics.confusion_matrix(true, predicted, labels=range(5))).all()
    assert 0 <= figures.accuracy_low <= figures.accuracy <= figures.accuracy_high <= 1


def test_interval() -> None:
    # Newcombe 1998, Statistics in Medicine 17, 857, table I: 81 of 263.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(29, 29)[1] == 1.0


def test_nothing_to_evaluate() -> None:
    with pytest.raises(HeadError, match="no images"):
        evaluate_codes(np.zeros(0, int), np.zeros(0, int), 2)
