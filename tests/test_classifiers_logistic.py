"""The logistic head solves scikit-learn's problem, in fewer steps, and says when it did not finish."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from classifiers import HeadError, LogisticHead, RidgeHead, SpaceMismatchError, fit_many, turned_vectors
from classifiers import logistic_fitting as fitting
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


def objective(
    X: NDArray[np.float64],
    y: NDArray[np.intp],
    weights: NDArray[np.float64],
    coef: NDArray[np.float64],
    intercept: NDArray[np.float64],
    C: float,
) -> float:
    """Scikit-learn's: C times the summed weighted log-loss, plus half the squared coefficients."""
    scores = X @ coef.T + intercept
    if scores.shape[1] == 1:
        scores = np.concatenate([np.zeros_like(scores), scores], axis=1)
    top = scores.max(axis=1)
    losses = np.log(np.exp(scores - top[:, None]).sum(axis=1)) + top - scores[np.arange(len(y)), y]
    return float(C * (weights @ losses) + 0.5 * (coef**2).sum())


@settings(max_examples=30, deadline=None)
@example(
    rows=16, dim=69, classes=4, C=100.0, separable=True, single=True, shift=0.0, weight="balanced", weighed=False,
    copies=True, seed=0,
)  # fmt: skip  # fails if the rows are turned in float32
@given(
    rows=st.integers(12, 90),
    dim=st.integers(1, 100),
    classes=st.integers(2, 5),
    C=st.sampled_from([1e-4, 1e-2, 1.0, 100.0]),
    separable=st.booleans(),
    single=st.booleans(),
    shift=st.sampled_from([0.0, 1.0, 20.0]),
    weight=st.sampled_from([None, "balanced"]),
    weighed=st.booleans(),
    copies=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_objective_and_probabilities_are_scikit_learns(
    rows: int,
    dim: int,
    classes: int,
    C: float,
    separable: bool,
    single: bool,
    shift: float,
    weight: Literal["balanced"] | None,
    weighed: bool,
    copies: bool,
    seed: int,
) -> None:
    generator = np.random.default_rng(seed)
    y = np.concatenate([np.arange(classes), generator.integers(0, classes, rows - classes)])
    X = generator.normal(size=(rows, dim)) + shift
    X[:, 0] += (8 if separable else 1) * y
    X[:, -1] = X[0, -1]  # constant
    if copies:
        X[rows // 2 :] = X[: rows - rows // 2]
    given = generator.random(rows) + 0.1 if weighed else None
    weights = np.ones(rows) if given is None else given.copy()
    if weight:
        weights *= (weights.sum() / classes / np.bincount(y, weights))[y]
    kind = np.float32 if single else np.float64
    X = X.astype(kind).astype(np.float64)
    ours = LogisticHead(C=C, tol=1e-12, max_iter=5000, class_weight=weight).fit(X.astype(kind), y, given)
    theirs = LogisticRegression(C=C, tol=1e-8, max_iter=50_000, class_weight=weight)
    theirs.fit(X - X.mean(axis=0), y, given)
    intercept = theirs.intercept_ - theirs.coef_ @ X.mean(axis=0)
    best = objective(X, y, weights, theirs.coef_, intercept, C)
    found = objective(X, y, weights, ours.coef_.astype(float), ours.intercept_.astype(float), C)
    assert ours.converged_
    assert ours.gap_ <= 1e-12  # an estimate
    assert found <= best * (1 + (1e-4 if single and shift else 1e-6))  # the file's float32 intercept rounds
    expected = theirs.predict_proba(X - X.mean(axis=0))
    np.testing.assert_allclose(ours.predict_proba(X.astype(kind)), expected, atol=1e-3)


@pytest.mark.parametrize("rotated", [False, True])
def test_many_together_are_what_each_is_alone(rotated: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turned_vectors, "_WORTH_ROTATING", 0 if rotated else 10**6)
    monkeypatch.setattr(turned_vectors, "_SMALL_SIDE", 0)
    monkeypatch.setattr(turned_vectors, "_ROWS_A_DIMENSION", 10**6)
    monkeypatch.setattr(fitting, "_NUMBERS_AT_ONCE", 100)  # several batches
    generator = np.random.default_rng(0)
    X = generator.normal(size=(80, 9)) + 1
    ys = [generator.integers(0, k, 80) for k in (2, 3, 3, 5)]
    for C in (0.1, 10.0):
        for head, y in zip(fit_many(X, ys, head="logistic", C=C, tol=1e-10), ys, strict=True):
            theirs = LogisticRegression(C=C, tol=1e-10, max_iter=10_000).fit(X, y)
            np.testing.assert_allclose(head.predict_proba(X), theirs.predict_proba(X), atol=1e-4)


def test_the_strength_is_the_one_with_the_least_held_out_loss() -> None:
    generator = np.random.default_rng(0)
    X = generator.normal(size=(200, 30))
    y = (X[:, 0] + generator.normal(size=200) > 0).astype(int)
    head = LogisticHead(C=[1e-5, 0.03, 1e4]).fit(X, y)
    folds = fitting.fold_numbers(y)
    losses = []
    for C in head.Cs_:
        p = np.empty(200)
        for fold in range(fitting.FOLDS):
            model = LogisticRegression(C=C, max_iter=10_000, tol=1e-8).fit(X[folds != fold], y[folds != fold])
            p[folds == fold] = model.predict_proba(X[folds == fold])[:, 1]
        losses.append(-np.log(np.where(y == 1, p, 1 - p)).mean())
    np.testing.assert_allclose(head.losses_, losses, rtol=0.03)  # the search is coarse
    assert head.C_ == 0.03
    assert 0.5 < head.accuracies_[1] < 0.9


@pytest.mark.parametrize("C", ["auto", "folds"])
def test_the_automatic_strength_follows_the_scale(C: Literal["auto", "folds"]) -> None:
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(90, 20)), np.arange(90) % 3
    X[:, 0] += y
    small, large = LogisticHead(C=C).fit(X, y), LogisticHead(C=C).fit(X * 1000, y)
    ratio = large.C_ / small.C_
    assert ratio == pytest.approx(1e-6)
    np.testing.assert_allclose(large.predict_proba(X * 1000), small.predict_proba(X), atol=1e-3)


def test_several_labels_are_problems_of_their_own() -> None:
    generator = np.random.default_rng(0)
    X = generator.normal(size=(120, 10)).astype(np.float32)
    Y = X[:, :4] + generator.normal(size=(120, 4)) > 0
    Y[:, 2], Y[:, 3] = False, True
    head = LogisticHead(C=1.0, tol=1e-9).fit(X, Y)
    for label in (0, 1):
        theirs = LogisticRegression(tol=1e-9, max_iter=10_000).fit(X.astype(float), Y[:, label])
        np.testing.assert_allclose(head.predict_proba(X)[:, label], theirs.predict_proba(X)[:, 1], atol=1e-4)
    assert head.predict(X).shape == (120, 4)
    assert head.predict(X)[:, 2:].tolist() == [[0, 1]] * 120  # what no row has, and what all have
    assert np.isfinite(head.predict_proba(X)).all()


def test_standardizing_forgets_the_scale_of_each_dimension() -> None:
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(80, 5)), np.arange(80) % 2
    scaled = X * np.array([1, 10, 100, 1e3, 1e4])
    a, b = LogisticHead(standardize=True).fit(X, y), LogisticHead(standardize=True).fit(scaled, y)
    np.testing.assert_allclose(a.predict_proba(X), b.predict_proba(scaled), atol=1e-3)


def test_a_first_step_far_past_the_optimum_is_gone_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        turned_vectors, "_SMALL_SIDE", 0
    )  # by the curvatures of dimensions, which are correlated
    monkeypatch.setattr(turned_vectors, "_ROWS_A_DIMENSION", 10**6)
    generator = np.random.default_rng(0)
    y = generator.integers(0, 4, 300)
    X = 0.3 * generator.normal(size=(4, 400))[y] + generator.normal(size=(300, 400))
    found, least = (LogisticHead(C=1000.0, tol=tol, max_iter=5000).fit(X, y) for tol in (1e-4, 1e-10))
    one, other = (objective(X, y, np.ones(300), h.coef_, h.intercept_, 1000.0) for h in (found, least))
    assert found.converged_
    assert one <= 1.01 * other


def test_unfinished_is_said() -> None:
    generator = np.random.default_rng(0)
    with pytest.warns(ConvergenceWarning, match="raise max_iter"):
        head = LogisticHead(C=10.0, max_iter=2).fit(generator.normal(size=(50, 9)), np.arange(50) % 3)
    assert not head.converged_


def test_constant_vectors_and_wrong_c() -> None:
    X = np.ones((6, 3), np.float32)
    assert LogisticHead().fit(X, [0, 1, 0, 1, 1, 1]).predict(X).tolist() == [1] * 6
    for C in (0, -1.0, "much", [], [1.0, 0.0], None, True, [[1.0]]):
        with pytest.raises(HeadError, match="C of a logistic head"):
            LogisticHead(C=C).fit(np.eye(3), [0, 1, 1])  # type: ignore[arg-type]
    with pytest.raises(HeadError, match="tol of a logistic head"):
        LogisticHead(tol=0).fit(np.eye(3), [0, 1, 1])
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


def test_c_comes_from_a_ridge() -> None:
    generator = np.random.default_rng(0)
    X = generator.normal(size=(150, 20)).astype(np.float32)
    ys = [(X[:, 0] + noise * generator.normal(size=150) > 0).astype(int) for noise in (0.1, 3.0)]
    heads = fit_many(X, ys, "logistic")
    for head, y in zip(heads, ys, strict=True):
        assert pytest.approx(16 / RidgeHead().fit(X, y).alpha_) == head.C_
        assert pytest.approx(head.C_ / 10) == LogisticHead().fit(X, y, np.full(150, 10.0)).C_
    assert heads[0].C_ > heads[1].C_  # the less they tell, the smaller
