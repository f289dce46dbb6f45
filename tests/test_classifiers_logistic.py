"""The logistic head solves scikit-learn's problem, in fewer steps, and says when it did not finish."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from classifiers import HeadError, LogisticHead, SpaceMismatchError
from store import Vectors


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("weight", [None, "balanced"])
def test_same_solution_as_scikit_learn(classes: int, weight: Literal["balanced"] | None) -> None:
    generator = np.random.default_rng(0)
    X = 0.3 * generator.normal(size=(200, 12)) + 2
    y = generator.integers(0, classes, 200) * (generator.random(200) < 0.7)
    ours = LogisticHead(C=2.0, class_weight=weight, tol=1e-9).fit(X, y)
    theirs = LogisticRegression(C=2.0, class_weight=weight, tol=1e-9, max_iter=10_000).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-4 * np.abs(theirs.coef_).max())
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-4)
    assert ours.converged_


def test_standardizing_forgets_the_scale_of_each_dimension() -> None:
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(80, 5)), np.arange(80) % 2
    scaled = X * np.array([1, 10, 100, 1e3, 1e4])
    a, b = LogisticHead(standardize=True).fit(X, y), LogisticHead(standardize=True).fit(scaled, y)
    np.testing.assert_allclose(a.predict_proba(X), b.predict_proba(scaled), atol=1e-3)


def test_unfinished_is_said() -> None:
    generator = np.random.default_rng(0)
    with pytest.warns(ConvergenceWarning, match="raise max_iter"):
        head = LogisticHead(max_iter=2).fit(generator.normal(size=(50, 9)), np.arange(50) % 3)
    assert not head.converged_


def test_constant_vectors_and_wrong_c() -> None:
    X = np.ones((6, 3), np.float32)
    assert LogisticHead().fit(X, [0, 1, 0, 1, 1, 1]).predict(X).tolist() == [1] * 6
    with pytest.raises(HeadError, match="C of a logistic head"):
        LogisticHead(C=0).fit(np.eye(3), [0, 1, 1])
    with pytest.raises(HeadError, match="class_weight"):
        LogisticHead(class_weight={0: 1.0, 1: 0.0}).fit(np.eye(3), [0, 1, 1])


def test_another_spaces_vectors_are_refused() -> None:
    X = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    ours = Vectors.of(X, "M-1", {"backbone": "M", "image_size": 224})
    theirs = Vectors.of(X.copy(), "M-2", {"backbone": "M", "image_size": 160})
    head = LogisticHead().fit(ours, np.arange(20) % 2)
    assert head.space_ == "M-1"
    assert len(head.predict(ours[:3])) == 3
    assert len(head.predict(X)) == 20
    with pytest.raises(SpaceMismatchError, match="image_size 224 → 160"):
        head.predict(theirs)
