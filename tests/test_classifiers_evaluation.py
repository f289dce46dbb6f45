"""Figures equal scikit-learn's, with one label an image and with several."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics

from classifiers.errors import HeadError
from classifiers.evaluation import FIGURES, evaluate_codes

K = 7
SEEDS = st.integers(0, 10_000)


def drawn(seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """True and predicted codes of 7 classes, some of which may not occur, and probabilities; some scores are tied."""
    generator = np.random.default_rng(seed)
    n, used = generator.integers(2, 60), generator.integers(1, K + 1)
    scores = generator.normal(size=(n, K)).round(int(generator.integers(1, 4)))
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return generator.integers(0, used, n), generator.integers(0, K, n), probabilities


@given(SEEDS)
def test_equal_to_scikit_learn(seed: int) -> None:
    true, predicted, probabilities = drawn(seed)
    figures = evaluate_codes(true, predicted, K, probabilities)
    occur = np.unique(true)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of classes that are predicted but do not occur
        balanced = metrics.balanced_accuracy_score(true, predicted)
        precision, recall, f1, _ = metrics.precision_recall_fscore_support(
            true, predicted, labels=range(K), zero_division=np.nan
        )
    assert figures.accuracy == pytest.approx(metrics.accuracy_score(true, predicted))
    assert figures.balanced_accuracy == pytest.approx(balanced)
    assert figures.macro_f1 == pytest.approx(metrics.f1_score(true, predicted, labels=occur, average="macro"))
    assert figures.log_loss == pytest.approx(metrics.log_loss(true, probabilities, labels=range(K)))
    assert figures.majority == np.bincount(true).max() / len(true)
    assert (figures.confusion == metrics.confusion_matrix(true, predicted, labels=range(K))).all()
    np.testing.assert_allclose(figures.counts.precision, precision)
    np.testing.assert_allclose(figures.counts.recall, recall)
    np.testing.assert_allclose(figures.counts.f1, f1)
    areas = [metrics.roc_auc_score(true == code, probabilities[:, code]) for code in occur if len(occur) > 1]
    assert figures.roc_auc == (pytest.approx(np.mean(areas)) if areas else None)
    assert figures.average_precision is None and figures.micro_f1 is None
    for name, (low, high) in {
        **figures.intervals,
        "accuracy": (figures.accuracy_low, figures.accuracy_high),
    }.items():
        assert low <= getattr(figures, name) <= high


def test_top_five_equals_scikit_learn_where_no_scores_are_tied() -> None:
    generator = np.random.default_rng(0)
    true, probabilities = generator.integers(0, K, 200), generator.dirichlet(np.ones(K), 200)
    figures = evaluate_codes(true, probabilities.argmax(axis=1), K, probabilities)
    assert figures.top_5_accuracy == pytest.approx(metrics.top_k_accuracy_score(true, probabilities, k=5))
    few = evaluate_codes(true % 5, true % 5, 5, probabilities[:, :5])
    assert few.top_5_accuracy is None
    tied = evaluate_codes(np.array([4, 5]), np.array([0, 0]), K, np.full((2, K), 1 / K))
    assert tied.top_5_accuracy == 0.5


def test_two_classes_have_one_area() -> None:
    true, scores = np.array([0, 0, 1, 1, 1]), np.array([0.1, 0.6, 0.6, 0.7, 0.2])
    figures = evaluate_codes(true, (scores > 0.5).astype(int), 2, np.stack([1 - scores, scores], axis=1))
    assert figures.roc_auc == pytest.approx(metrics.roc_auc_score(true, scores))


def test_calibration_error_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])
    figures = evaluate_codes(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]), 2, probabilities)
    # bins of 0.9 (2 images, half right), 0.8 and 0.6 (one image each, right)
    assert figures.calibration_error == pytest.approx((abs(1 - 1.8) + 0.2 + 0.4) / 4)


def indicators(seed: int) -> tuple[NDArray[np.int8], NDArray[np.int8], NDArray[np.float64]]:
    generator = np.random.default_rng(seed)
    n, t = int(generator.integers(2, 40)), int(generator.integers(2, 6))
    true = (generator.random((n, t)) < generator.random(t)).astype(np.int8)
    probabilities = generator.random((n, t)).round(int(generator.integers(1, 4)))
    return true, (probabilities > 0.5).astype(np.int8), probabilities


@given(SEEDS)
def test_several_labels_equal_scikit_learn(seed: int) -> None:
    true, predicted, probabilities = indicators(seed)
    figures = evaluate_codes(true, predicted, true.shape[1], probabilities)
    assert figures.accuracy == pytest.approx(metrics.accuracy_score(true, predicted))
    occur = np.flatnonzero(true.any(axis=0))
    both = [j for j in occur if not true[:, j].all()]
    precision = [metrics.average_precision_score(true[:, j], probabilities[:, j]) for j in occur]
    area = [metrics.roc_auc_score(true[:, j], probabilities[:, j]) for j in both]
    assert figures.average_precision == (pytest.approx(np.mean(precision)) if len(occur) else None)
    assert figures.roc_auc == (pytest.approx(np.mean(area)) if both else None)
    if len(occur):
        assert figures.micro_average_precision == pytest.approx(
            metrics.average_precision_score(true, probabilities, average="micro")
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            macro = metrics.f1_score(true, predicted, labels=occur, average="macro", zero_division=0)
        assert figures.macro_f1 == pytest.approx(macro)
    if true.any() or predicted.any():
        assert figures.micro_f1 == pytest.approx(metrics.f1_score(true, predicted, average="micro"))
    clipped = np.clip(probabilities, np.finfo(float).eps, 1 - np.finfo(float).eps)
    loss = -np.log(np.where(true == 1, clipped, 1 - clipped)).mean()
    assert figures.log_loss == pytest.approx(loss, rel=1e-6)
    assert (figures.confusion == metrics.multilabel_confusion_matrix(true, predicted)).all()
    if len(both) == true.shape[1]:
        balanced = [metrics.balanced_accuracy_score(true[:, j], predicted[:, j]) for j in both]
        assert figures.balanced_accuracy == pytest.approx(np.mean(balanced))


def test_macro_f1_of_a_subset_is_of_the_classes_that_occur_there() -> None:
    true, predicted = np.zeros(10, int), np.array([0] * 7 + [1, 2, 3])
    figures = evaluate_codes(true, predicted, 4)
    assert figures.macro_f1 == pytest.approx(2 * 7 / 17)
    assert figures.balanced_accuracy == pytest.approx(0.7)


def test_without_probabilities_there_are_counts_alone() -> None:
    figures = evaluate_codes(np.array([0, 1, 1]), np.array([0, 1, 0]), 2)
    assert figures.log_loss is figures.roc_auc is figures.calibration_error is None
    flat = figures.to_dict()
    assert set(flat) == {"n", *FIGURES}
    assert flat["roc_auc"] is None and flat["roc_auc_low"] is None
    assert flat["macro_f1_low"] <= flat["macro_f1"] <= flat["macro_f1_high"]


def test_what_cannot_be_evaluated() -> None:
    with pytest.raises(HeadError, match="no images"):
        evaluate_codes(np.zeros(0, int), np.zeros(0, int), 2)
    scores = np.full((3, 2), 0.5)
    scores[1, 0] = np.nan
    with pytest.raises(HeadError, match=r"no numbers \(NaN or infinity\) for 1 image of 3, first in row 1"):
        evaluate_codes(np.array([0, 1, 1]), np.array([0, 1, 1]), 2, scores)


def test_one_image_and_one_class() -> None:
    single = evaluate_codes(np.array([1]), np.array([1]), 2, np.array([[0.2, 0.8]]))
    assert (single.accuracy, single.intervals, single.roc_auc) == (1.0, {}, None)
    assert single.accuracy_low == pytest.approx(0.2065, abs=1e-4)


def test_five_thousand_classes_need_little() -> None:
    k, n = 5000, 600
    generator = np.random.default_rng(0)
    true, probabilities = generator.integers(0, k, n), generator.random((n, k), np.float32)
    probabilities[np.arange(n), true] += 0.5
    figures = evaluate_codes(
        true, probabilities.argmax(axis=1), k, probabilities / probabilities.sum(axis=1)[:, None]
    )
    assert figures.roc_auc is not None and 0.8 < figures.roc_auc < 1
    assert figures.top_5_accuracy is not None and figures.accuracy <= figures.top_5_accuracy < 1
    held = sum(array.nbytes for array in vars(figures).values() if isinstance(array, np.ndarray))
    assert held < 100_000  # the (5000, 5000) confusion matrix is made only when it is asked for


def test_rows_of_counts() -> None:
    figures = evaluate_codes(np.array([0, 0, 2]), np.array([0, 1, 2]), 4)
    rows: list[dict[str, Any]] = figures.counts.rows(["a", "b", "c", "d"])
    assert rows[0] == {"class": "a", "n": 2, "precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3)}
    assert rows[1] == {"class": "b", "n": 0, "precision": 0.0, "recall": None, "f1": 0.0}
    assert rows[3] == {"class": "d", "n": 0, "precision": None, "recall": None, "f1": None}
