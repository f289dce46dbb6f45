"""The noise ceiling and likely label errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier

from classifiers.audits.label_errors import label_errors
from classifiers.audits.neighbours import Neighbours
from classifiers.audits.noise import _ceiling, _left_out, noises
from classifiers.factorization import factorize
from tests.test_classifiers_permutation import ground_of, halves


def made(n: int = 200, classes: int = 3, apart: float = 6.0) -> tuple[Any, Any]:
    """Classes around centres."""
    generator = np.random.default_rng(0)
    codes = np.arange(n) % classes
    centres = apart * np.linalg.qr(generator.normal(size=(8, 8)))[0][:classes]
    return (centres[codes] + generator.normal(size=(n, 8))).astype(np.float32), codes


def test_switched_labels_are_found() -> None:
    X, codes = made()
    wrong = np.array([3, 40, 77, 120, 150])
    given = codes.copy()
    given[wrong] = (given[wrong] + 1) % 3
    probabilities = _left_out(factorize(X), [given])[0]
    found = label_errors(probabilities, given)
    assert sorted(found.rows) == wrong.tolist()
    np.testing.assert_array_equal(found.suggested, codes[found.rows])
    assert (np.diff(found.margin) <= 0).all() and (found.margin > 0).all()
    assert 4 <= found.count <= 7
    clean = label_errors(_left_out(factorize(X), [codes])[0], codes)
    assert len(clean.rows) == 0 and clean.count <= 1


def test_a_class_of_one_image_is_left_alone() -> None:
    X, codes = made(60)
    codes[7] = 3
    found = label_errors(_left_out(factorize(X), [codes])[0], codes)
    assert 7 not in found.rows


@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_are_of_heads_that_did_not_see_the_row(classes: int) -> None:
    X, codes = made(40, classes, apart=1.0)
    probabilities = _left_out(factorize(X), [codes])[0]
    assert probabilities.sum(axis=1) == pytest.approx(1)
    others = np.arange(40) != 5
    strengths = np.logspace(-3, 3, 13) * float(((X - X.mean(axis=0)) ** 2).sum() / 8)
    named = {
        int(RidgeClassifier(alpha=a).fit(X[others], codes[others]).predict(X[5:6])[0]) for a in strengths
    }
    assert int(probabilities[5].argmax()) in named


def test_the_ceiling() -> None:
    assert _ceiling(1.0, 5) == 1.0
    assert _ceiling(0.2, 5) == pytest.approx(0.2)  # chance
    assert _ceiling(0.1, 5) == pytest.approx(0.2)
    error = 1 - _ceiling(0.8, 3)
    assert error * (2 - 1.5 * error) == pytest.approx(0.2)


def test_noise_of_schemes(tmp_path: Any) -> None:
    X, codes = made(90)
    other = np.random.default_rng(0).integers(0, 2, 90)
    ground = ground_of(X, halves(90), tmp_path)
    nearest = Neighbours.of(ground.rows, ground.rows, ground.bank).nearest_among(ground.rows)
    real, none = noises(ground, nearest, [codes, other], [0.99, 0.5])
    assert real.nearest_accuracy == 1.0 and real.ceiling == 1.0 and real.count == 0
    assert none.nearest_accuracy < 0.7 and none.ceiling >= 0.5
    best = next(iter(noises(ground, nearest, [other], [0.97])))
    assert best.ceiling == 0.97
