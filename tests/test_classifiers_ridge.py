"""The ridge head is scikit-learn's RidgeClassifierCV, solved once for many labels."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.linear_model import RidgeClassifier, RidgeClassifierCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from classifiers import HeadError, LogisticHead, RidgeHead, fit_many
from classifiers import factorization as module
from classifiers.signs import Signs

ALPHAS = np.logspace(-2, 4, 7)


@parametrize_with_checks([RidgeHead(), LogisticHead()])  # type: ignore[untyped-decorator]
def test_scikit_learns_own_checks(estimator: object, check: object) -> None:
    check(estimator)  # type: ignore[operator]


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(12, 60),
    dim=st.integers(1, 60),
    classes=st.integers(2, 4),
    weight=st.sampled_from([None, "balanced"]),
    intercept=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_equals_scikit_learn(
    rows: int, dim: int, classes: int, weight: Literal["balanced"] | None, intercept: bool, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(rows, dim)) + 5 * generator.normal(size=dim)
    y = np.concatenate([np.arange(classes), generator.integers(0, classes, rows - classes)])
    theirs = RidgeClassifierCV(alphas=ALPHAS, class_weight=weight, fit_intercept=intercept).fit(X, y)
    ours = RidgeHead(alphas=list(ALPHAS), class_weight=weight, fit_intercept=intercept).fit(X, y)
    assert -ours.errors_.min() == pytest.approx(theirs.best_score_, rel=1e-8)
    fixed = RidgeHead(alpha=theirs.alpha_, class_weight=weight, fit_intercept=intercept).fit(X, y)
    scale = np.abs(theirs.coef_).max()
    np.testing.assert_allclose(fixed.coef_, np.atleast_2d(theirs.coef_), atol=1e-7 * scale)
    np.testing.assert_allclose(
        fixed.intercept_, np.resize(theirs.intercept_, fixed.intercept_.shape), rtol=1e-6, atol=1e-7
    )
    if np.partition(ours.errors_, 1)[1] > ours.errors_.min() * (1 + 1e-9):  # no tie
        assert ours.alpha_ == pytest.approx(theirs.alpha_)


@pytest.mark.parametrize("dim", [5, 80])
def test_leave_one_out_is_what_leaving_out_gives(dim: int) -> None:
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(40, dim)), np.where(generator.integers(0, 2, 40), 1.0, -1.0)
    factor = module.factorize(X)
    targets = Signs.of([(y > 0).astype(int)], [2])
    means = factor.means(targets)
    P = factor.project(targets, means)
    left_out = np.concatenate(list(factor.left_out(targets, means, P, np.array([3.0]), np.arange(40))))
    for row in range(40):
        rest = np.arange(40) != row
        head = RidgeClassifier(alpha=3.0).fit(X[rest], y[rest])
        assert left_out[row, 0] == pytest.approx(head.decision_function(X[[row]])[0], abs=1e-9)


def test_float32_vectors_far_from_zero() -> None:
    generator = np.random.default_rng(0)
    X = (generator.normal(size=(3000, 40)) + 50).astype(np.float32)
    y = (X[:, 0] + generator.normal(size=3000) > 50).astype(int)
    ours, theirs = (
        RidgeHead(alphas=list(ALPHAS)).fit(X, y),
        RidgeClassifierCV(alphas=ALPHAS).fit(X.astype(float), y),
    )
    assert ours.coef_.dtype == np.float32
    assert ours.alpha_ == theirs.alpha_
    np.testing.assert_allclose(ours.coef_[0], theirs.coef_, atol=1e-5 * np.abs(theirs.coef_).max())


def test_the_default_grid_follows_the_scale() -> None:
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(90, 20)), np.arange(90) % 3
    small, large = RidgeHead().fit(X, y), RidgeHead().fit(X * 1000, y)
    assert large.alpha_ == pytest.approx(small.alpha_ * 1e6)
    np.testing.assert_allclose(large.predict_proba(X * 1000), small.predict_proba(X), atol=1e-9)


def test_probabilities_fit_the_left_out_scores() -> None:
    generator = np.random.default_rng(0)
    y = generator.integers(0, 3, 600)
    X = np.eye(3)[y] @ generator.normal(size=(3, 10)) + 2 * generator.normal(size=(600, 10))
    head = RidgeHead().fit(X[:300], y[:300])
    p = head.predict_proba(X[300:])
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert abs(p.max(axis=1).mean() - (p.argmax(axis=1) == y[300:]).mean()) < 0.08
    loss = [
        -np.log(softmax(head.decision_function(X[300:]) * t, axis=1)[np.arange(300), y[300:]]).mean()
        for t in (0.3, 3)
    ]
    assert -np.log(p[np.arange(300), y[300:]]).mean() < min(loss)


def test_many_labels_share_one_factorization(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    X = generator.normal(size=(60, 10)).astype(np.float32)
    complete = [generator.integers(0, k, 60) for k in (2, 3, 4)]
    text = np.array(["a", "b"], object)[complete[0]]
    text[:5] = None
    calls: list[int] = []
    real = module.factorize

    def counting(X: Any, *rest: Any) -> module.Factorization:
        calls.append(len(X))
        return real(X, *rest)

    monkeypatch.setattr("classifiers.ridge.factorize", counting)
    heads = fit_many(X, [*complete, text])
    assert calls == [60, 55]
    for y, head in zip(complete, heads, strict=False):
        np.testing.assert_allclose(head.coef_, RidgeHead().fit(X, y).coef_, rtol=1e-5, atol=1e-6)
    assert heads[3].classes_.tolist() == ["a", "b"]
    np.testing.assert_allclose(heads[3].coef_, RidgeHead().fit(X[5:], text[5:].astype(str)).coef_, atol=1e-6)


def test_fit_many_takes_other_heads_and_options() -> None:
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(40, 4)), np.arange(40) % 2
    assert fit_many(X, [y], head="logistic", C=0.5)[0].C == 0.5
    assert fit_many(X, [y], alpha=2.0)[0].alpha_ == 2.0
    with pytest.raises(HeadError, match="Did you mean 'alphas'"):
        fit_many(X, [y], alphass=[1.0])
    with pytest.raises(HeadError, match="label vector 0 has the shape"):
        fit_many(X, [y[:3]])


@pytest.mark.parametrize(
    "head",
    [RidgeHead(alpha=0.0), RidgeHead(alphas=[]), RidgeHead(alphas=[1, -1]), RidgeHead(alpha=1, alphas=[1])],
)
def test_wrong_strengths(head: RidgeHead) -> None:
    with pytest.raises(HeadError, match="strength"):
        head.fit(np.eye(4), [0, 1, 0, 1])


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(12, 60), dim=st.integers(1, 60), labels=st.integers(2, 5), seed=st.integers(0, 2**16))
def test_several_labels_equal_scikit_learn(rows: int, dim: int, labels: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(rows, dim)) + 3
    Y = X[:, [0] * labels] - 3 + generator.normal(size=(rows, labels)) > 0
    theirs = RidgeClassifierCV(alphas=ALPHAS).fit(X, Y.astype(int))  # of bool it makes nothing
    ours = RidgeHead(alphas=list(ALPHAS)).fit(X, Y)
    assert -ours.errors_.min() == pytest.approx(theirs.best_score_, rel=1e-8)
    if np.partition(ours.errors_, 1)[1] > ours.errors_.min() * (1 + 1e-9):  # no tie
        assert ours.alpha_ == pytest.approx(theirs.alpha_)
        np.testing.assert_allclose(
            ours.coef_, theirs.coef_, atol=1e-5 * max(np.abs(theirs.coef_).max(), 1e-9)
        )
        clear = np.abs(ours.decision_function(X)) > 1e-9
        assert (ours.predict(X) == theirs.predict(X))[clear].all()
    assert ours.temperature_.shape == (2, labels)


def test_probabilities_of_labels_fit_by_themselves() -> None:
    generator = np.random.default_rng(0)
    X = generator.normal(size=(3000, 6))
    Y = X[:, :3] + generator.normal(size=(3000, 3)) * [0.5, 1, 3] > [0, 1, -1]
    Y[:1500, 2] = True
    head = RidgeHead().fit(X[:1500], Y[:1500])
    p = head.predict_proba(X[1500:])
    np.testing.assert_allclose(p[:, :2].mean(axis=0), Y[1500:, :2].mean(axis=0), atol=0.03)
    sure = p[:, 0] > 0.8
    assert abs(p[sure, 0].mean() - Y[1500:, 0][sure].mean()) < 0.04
    assert (p[:, 2] > 0.99).all()  # it has seen no row without


def test_matrices_of_labels_that_are_refused() -> None:
    X = np.random.default_rng(0).normal(size=(6, 3))
    Y = np.arange(12).reshape(6, 2) % 3 == 0
    with pytest.raises(HeadError, match=r"has -1 for label 1"):
        RidgeHead().fit(X, np.where(np.arange(12).reshape(6, 2) == 3, -1, Y))
    for head in (RidgeHead(class_weight="balanced"), LogisticHead(class_weight="balanced")):
        with pytest.raises(HeadError, match="class_weight is for classes"):
            head.fit(X, Y)


def test_a_class_of_one_image_and_very_many_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(40, 5)), np.concatenate([[9], np.arange(39) % 2])
    assert RidgeHead().fit(X, y).classes_.tolist() == [0, 1, 9]
    assert LogisticHead(C="auto").fit(X, y).classes_.tolist() == [0, 1, 9]
    X = generator.normal(size=(1500, 8))
    y = np.concatenate([np.arange(700), generator.integers(0, 700, 800)])
    whole = RidgeHead().fit(X, y)
    monkeypatch.setattr(module, "_COLUMNS_AT_ONCE", 1300)  # 100 classes at a time
    cut = RidgeHead().fit(X, y)
    np.testing.assert_allclose(cut.errors_, whole.errors_, rtol=1e-10)
    np.testing.assert_allclose(cut.coef_, whole.coef_, rtol=1e-10)


def test_input_that_no_head_takes() -> None:
    X, y = np.random.default_rng(0).normal(size=(6, 3)), np.array(list("aabbab"), object)
    with pytest.raises(HeadError, match="of one class, 'a'; two are needed"):
        RidgeHead().fit(X, ["a"] * 6)
    with pytest.raises(HeadError, match=r"labels of 1 of 6 rows are missing .* row 2"):
        RidgeHead().fit(X, np.array(["a", "a", None, "b", "a", "b"], object))
    with pytest.raises(HeadError, match="NaN or infinity values, the first in row 4 of 6"):
        RidgeHead().fit(np.where(np.arange(6)[:, None] == 4, np.nan, X), y)
    with pytest.raises(HeadError, match="expecting 3 features"):
        RidgeHead().fit(X, y).predict(X[:, :2])
    assert set(RidgeHead().fit(np.ones((6, 2)), y).predict(np.ones((1, 2)))) <= {"a", "b"}
