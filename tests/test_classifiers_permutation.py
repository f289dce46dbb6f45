"""The permutation test."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier

from classifiers.audits.ground import Ground
from classifiers.audits.permutation import (
    Permutation,
    PermutationTest,
    _named_labels,
    _named_of_few,
    _named_of_many,
    holm,
)
from classifiers.banked import Bank
from classifiers.factor_cache import FactorCache


def ground_of(X: Any, splits: Any, tmp_path: Any, groups: Any = None) -> Ground:
    """All rows of X, with these splits."""
    hashes = np.arange(16 * len(X)).astype(np.uint8).reshape(-1, 16)
    rows = np.arange(len(X))
    bank = Bank("Small-1", [X], rows, len(X), hashes, FactorCache(tmp_path), False)
    return Ground(bank, rows, splits, groups)


def halves(n: int) -> Any:
    """Even rows train, odd ones test."""
    return ((np.arange(0, n, 2), np.arange(1, n, 2)),)


@pytest.mark.parametrize("dim", [5, 100])
@pytest.mark.parametrize("classes", [2, 3, 40])
def test_the_statistic_is_the_accuracy_of_a_ridge(tmp_path: Any, dim: int, classes: int) -> None:
    generator = np.random.default_rng(0)
    codes = np.concatenate([np.arange(classes), generator.integers(0, classes, 160 - classes)])
    X = (generator.normal(size=(classes, dim))[codes] + generator.normal(size=(160, dim))).astype(np.float32)
    ground = ground_of(X, halves(160), tmp_path)
    train, test = ground.splits[0]
    strength = float(((X[train] - X[train].mean(axis=0)) ** 2).sum() / dim)
    head = RidgeClassifier(alpha=strength).fit(X[train], codes[train])
    found = PermutationTest(ground, 50).permutation(codes)
    assert found.accuracy == pytest.approx(head.score(X[test], codes[test]))
    assert found.shuffles == 50 and 1 / 51 <= found.p <= 1


def test_all_ways_to_name_agree() -> None:
    generator = np.random.default_rng(0)
    weights = generator.normal(size=(7, 30)).astype(np.float32)
    weights += (1 - weights.sum(axis=1, keepdims=True)) / 30
    shuffled = np.stack([generator.permutation(np.arange(30) % 4) for _ in range(6)])
    named = _named_of_few(weights, shuffled)
    scores = np.einsum("mn,bnk->bmk", weights, np.eye(4)[shuffled])
    np.testing.assert_array_equal(named, scores.argmax(axis=2))
    np.testing.assert_array_equal(_named_of_many(weights, shuffled), named)
    both = _named_labels(weights, np.stack([shuffled < 2, shuffled > 0], axis=2).astype(np.int8))
    np.testing.assert_array_equal(both[..., 0], (scores[..., :2].sum(axis=2) > 0.5))


def test_labels_that_vectors_tell_and_labels_that_they_do_not(tmp_path: Any) -> None:
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 3, 300)
    X = (2 * generator.normal(size=(3, 6))[codes] + generator.normal(size=(300, 6))).astype(np.float32)
    test = PermutationTest(ground_of(X, halves(300), tmp_path), 200)
    real, noise = test.permutation(codes), test.permutation(generator.integers(0, 3, 300))
    assert real.p == 1 / 201 and real.p_holm < 1e-5 and real.accuracy > real.null_high
    assert noise.p > 0.05 and noise.p_holm == noise.p
    assert real.null_mean == pytest.approx(1 / 3, abs=0.05)
    tags = np.stack([codes == 0, codes == 1], axis=1).astype(np.int8)
    assert test.permutation(tags).p == 1 / 201
    many = np.random.default_rng(1).integers(0, 60, 300)
    assert test.permutation(many).p > 0.05


def test_p_values_of_nothing_are_spread_evenly(tmp_path: Any) -> None:
    generator = np.random.default_rng(3)
    X = generator.normal(size=(80, 6)).astype(np.float32)
    test = PermutationTest(ground_of(X, halves(80), tmp_path), 99)
    values = [test.permutation(generator.integers(0, 2, 80)).p for _ in range(60)]
    assert np.mean(np.array(values) <= 0.1) < 0.25
    assert np.mean(values) == pytest.approx(0.5, abs=0.15)


def test_groups_change_places_as_wholes(tmp_path: Any) -> None:
    generator = np.random.default_rng(0)
    group = np.repeat(np.arange(20), 10)
    X = (3 * generator.normal(size=(20, 8))[group] + generator.normal(size=(200, 8))).astype(np.float32)
    codes = (generator.random(20) < 0.5)[group].astype(int)  # of groups, whatever they look like
    folds = tuple((np.flatnonzero(group % 4 != i), np.flatnonzero(group % 4 == i)) for i in range(4))
    names = np.array([f"g{one}" for one in group], object)
    alone = PermutationTest(ground_of(X, folds, tmp_path), 300).permutation(codes)
    whole = PermutationTest(ground_of(X, folds, tmp_path, names), 300).permutation(codes)
    assert whole.accuracy == alone.accuracy
    assert whole.null_high > alone.null_high + 0.05


def test_holm() -> None:
    tests = [Permutation(0.5, 0.5, 0.5, p, p, 100) for p in (0.04, 0.01, 0.03, 0.9)]
    assert [one.p_holm for one in holm(tests)] == pytest.approx([0.09, 0.04, 0.09, 0.9])
    assert holm([]) == []
