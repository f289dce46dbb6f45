"""The ridge head is scikit-learn's RidgeClassifierCV, solved once for many labels."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.base import clone
from sklearn.linear_model import RidgeClassifier, RidgeClassifierCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from classifiers import HeadError, LogisticHead, RidgeHead, fit_many, leave_one_out
from classifiers import factorization as module
from classifiers.signs import Signs

ALPHAS = np.logspace(-2, 4, 7)


def not_to_be_passed(estimator: object) -> dict[str, str]:
    """A row of weight 2 is left out as a whole, one of two copies is not: what is chosen by leaving out may differ."""
    if isinstance(estimator, LogisticHead) and estimator.C != "auto":
        return {}
    return {"check_sample_weight_equivalence_on_dense_data": "copies of a row are not left out together"}


@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [RidgeHead(), LogisticHead(), LogisticHead(C=1.0, tol=1e-16)], expected_failed_checks=not_to_be_passed
)
def test_scikit_learns_own_checks(estimator: object, check: object) -> None:
    check(estimator)  # type: ignore[operator]


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(12, 60),
    dim=st.integers(1, 60),
    classes=st.integers(2, 4),
    weight=st.sampled_from([None, "balanced"]),
    weighed=st.booleans(),
    intercept=st.booleans(),
    constant=st.booleans(),
    copies=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_equals_scikit_learn(
    rows: int,
    dim: int,
    classes: int,
    weight: Literal["balanced"] | None,
    weighed: bool,
    intercept: bool,
    constant: bool,
    copies: bool,
    seed: int,
) -> None:
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(rows, dim)) + 5 * generator.normal(size=dim)
    if constant:
        X[:, 0] = 3
    if copies:
        X[rows // 2 :] = X[: rows - rows // 2]
    y = np.concatenate([np.arange(classes), generator.integers(0, classes, rows - classes)])
    weights = generator.random(rows) * 3 + 0.1 if weighed else None
    options: dict[str, Any] = {"class_weight": weight, "fit_intercept": intercept}
    theirs = RidgeClassifierCV(alphas=ALPHAS, **options).fit(X, y, weights)
    ours = RidgeHead(alphas=list(ALPHAS), **options).fit(X, y, weights)
    assert -ours.errors_.min() == pytest.approx(theirs.best_score_, rel=1e-8)
    fixed = RidgeHead(alpha=theirs.alpha_, **options).fit(X, y, weights)
    scale = max(np.abs(theirs.coef_).max(), 1e-9)
    np.testing.assert_allclose(fixed.coef_, np.atleast_2d(theirs.coef_), atol=1e-7 * scale)
    np.testing.assert_allclose(
        fixed.intercept_, np.resize(theirs.intercept_, fixed.intercept_.shape), rtol=1e-6, atol=1e-7
    )
    if np.partition(ours.errors_, 1)[1] > ours.errors_.min() * (1 + 1e-9):  # no tie
        assert ours.alpha_ == pytest.approx(theirs.alpha_)


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(30, 90),
    dim=st.integers(1, 120),
    classes=st.integers(2, 4),
    weighed=st.booleans(),
    shift=st.sampled_from([0.0, 1.0, 30.0]),
    seed=st.integers(0, 2**16),
)
def test_float32_vectors_equal_scikit_learn(
    rows: int, dim: int, classes: int, weighed: bool, shift: float, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    X = (generator.normal(size=(rows, dim)) + shift).astype(np.float32)
    y = np.concatenate([np.arange(classes), generator.integers(0, classes, rows - classes)])
    weights = generator.random(rows) + 0.1 if weighed else None
    theirs = RidgeClassifierCV(alphas=ALPHAS).fit(X.astype(float), y, weights)
    ours = RidgeHead(alphas=list(ALPHAS)).fit(X, y, weights)
    if np.partition(ours.errors_, 1)[1] > ours.errors_.min() * (1 + 1e-5):  # no tie
        assert ours.alpha_ == pytest.approx(theirs.alpha_)
        scale = np.abs(theirs.coef_).max()
        np.testing.assert_allclose(ours.coef_, np.atleast_2d(theirs.coef_), atol=1e-5 * scale)


def test_rows_that_weigh_nothing_are_not_there() -> None:
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(60, 7)), np.arange(60) % 3
    weights = generator.integers(0, 3, 60)
    some = weights > 0
    for head in (
        RidgeHead(),
        RidgeHead(class_weight={0: 1, 1: 2, 2: 3}),
        LogisticHead(),
        LogisticHead(C=1.0),
    ):
        whole, part = clone(head).fit(X, y, weights), clone(head).fit(X[some], y[some], weights[some])
        np.testing.assert_allclose(whole.predict_proba(X), part.predict_proba(X), atol=1e-4)
    for wrong in (-weights, weights[1:], np.zeros(60), np.where(some, np.nan, 1)):
        with pytest.raises(HeadError, match="sample_weight"):
            RidgeHead().fit(X, y, wrong)


def test_many_labels_with_weights() -> None:
    generator = np.random.default_rng(0)
    X, ys = generator.normal(size=(60, 5)), [np.arange(60) % 2, np.arange(60) % 3]
    weights = generator.random(60) + 0.1
    for name, kind in (("ridge", RidgeHead), ("logistic", LogisticHead), ("forest", None)):
        one = fit_many(X, ys, name, sample_weight=weights)
        other = fit_many(X, ys, name, sample_weight=[weights, None])
        if kind is None:
            continue
        alone = [kind().fit(X, ys[0], weights), kind().fit(X, ys[1], weights), kind().fit(X, ys[1])]
        for found, expected in zip((*one, other[1]), alone, strict=True):
            np.testing.assert_allclose(found.coef_, expected.coef_, atol=1e-3)
    with pytest.raises(HeadError, match="sample_weight is of 1 label vectors; there are 2"):
        fit_many(X, ys, sample_weight=[weights])


@pytest.mark.parametrize("dim", [5, 80])
def test_leave_one_out_is_what_leaving_out_gives(dim: int) -> None:
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(40, dim)), np.where(generator.integers(0, 2, 40), 1.0, -1.0)
    factor = module.factorize(X)
    targets = Signs.of([(y > 0).astype(int)], [2])
    means = factor.means(targets)
    P = factor.project(targets, means)
    left_out = np.concatenate(
        list(leave_one_out.left_out(factor, targets, means, P, np.array([3.0]), np.arange(40)))
    )
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
    assert LogisticHead(C="folds").fit(X, y).classes_.tolist() == [0, 1, 9]
    X = generator.normal(size=(1500, 8))
    y = np.concatenate([np.arange(700), generator.integers(0, 700, 800)])
    whole = RidgeHead().fit(X, y)
    monkeypatch.setattr(leave_one_out, "_COLUMNS_AT_ONCE", 1300)  # 100 classes at a time
    cut = RidgeHead().fit(X, y)
    np.testing.assert_allclose(cut.errors_, whole.errors_, rtol=1e-10)
    np.testing.assert_allclose(cut.coef_, whole.coef_, rtol=1e-10)


def test_rows_alone_in_their_class_do_not_choose_the_strength() -> None:
    generator = np.random.default_rng(0)
    y = np.concatenate([np.repeat([0, 1], 6), np.arange(2, 12)])
    X = generator.normal(size=(12, 30))[y] + 0.3 * generator.normal(size=(22, 30))
    head = RidgeHead().fit(X, y)
    scores = np.zeros((13, 12))
    for row in range(12):
        rest = np.arange(22) != row
        for number, alpha in enumerate(head.alphas_):
            truth = np.where(np.arange(12) == y[row], 1, -1)
            model = RidgeClassifier(alpha=alpha).fit(X[rest], y[rest])
            scores[number, row] = ((model.decision_function(X[[row]])[0] - truth) ** 2).mean()
    np.testing.assert_allclose(head.errors_, scores.mean(axis=1), rtol=1e-6)
    few = RidgeHead().fit(X[10:], np.arange(12))  # one image a class
    assert few.alpha_ == few.alphas_[6]
    assert (few.predict(X[10:]) == np.arange(12)).all()
    assert (RidgeHead().fit(X[[0, 6]], [0, 1]).predict(X[:12]) == y[:12]).all()
    assert (LogisticHead().fit(X[[0, 6]], [0, 1]).predict(X[:12]) == y[:12]).all()


def test_input_that_no_head_takes() -> None:
    X, y = np.random.default_rng(0).normal(size=(6, 3)), np.array(list("aabbab"), object)
    with pytest.raises(HeadError, match="one class"):
        RidgeHead().fit(X, ["a"] * 6)
    with pytest.raises(HeadError, match=r"labels of 1 of 6 rows are missing .* row 2"):
        RidgeHead().fit(X, np.array(["a", "a", None, "b", "a", "b"], object))
    with pytest.raises(HeadError, match="NaN or infinity values, the first in row 4 of 6"):
        RidgeHead().fit(np.where(np.arange(6)[:, None] == 4, np.nan, X), y)
    with pytest.raises(HeadError, match="expecting 3 features"):
        RidgeHead().fit(X, y).predict(X[:, :2])
    assert set(RidgeHead().fit(np.ones((6, 2)), y).predict(np.ones((1, 2)))) <= {"a", "b"}
