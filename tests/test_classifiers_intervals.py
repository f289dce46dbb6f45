"""Intervals: Wilson's by a published table, bootstraps against formulas and plain loops, and by groups."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from classifiers.evaluation import evaluate_codes
from classifiers.intervals import RESAMPLES, Clusters, wilson_interval
from classifiers.ranking import average_precision, roc_auc


def test_wilson() -> None:
    # Newcombe 1998, Statistics in Medicine 17, 857, table I: 81 of 263.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(29, 29)[1] == 1.0


@pytest.mark.parametrize("n", [300, 9000])
def test_the_interval_of_a_mean_is_that_of_the_normal_law(n: int) -> None:
    values = np.random.default_rng(0).exponential(size=n)
    clusters = Clusters.of(n)
    assert clusters.count == min(n, 4096)
    sums = clusters.sums(values)
    low, high = clusters.bootstrap(lambda w: {"mean": sums @ w / (clusters.sizes @ w)})["mean"]
    half = 1.96 * values.std() / np.sqrt(n)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.25 * half)
    assert clusters.bootstrap(lambda w: {"mean": sums @ w / (clusters.sizes @ w)})["mean"] == (
        low,
        high,
    )  # seeded


def test_each_resample_has_as_many_rows() -> None:
    seen: list[float] = []
    Clusters.of(37).bootstrap(lambda w: {"n": seen.extend(w.sum(axis=0)) or w[0]})  # type: ignore[func-returns-value]
    assert seen == [37.0] * RESAMPLES


def test_macro_f1_and_recall_are_resampled_like_a_plain_loop() -> None:
    generator = np.random.default_rng(1)
    true = generator.integers(0, 3, 150)
    predicted = np.where(generator.random(150) < 0.7, true, generator.integers(0, 3, 150))
    found = evaluate_codes(true, predicted, 3).intervals
    plain = {"balanced_accuracy": [], "macro_f1": []}  # type: dict[str, list[float]]
    for _ in range(800):
        rows = generator.integers(0, 150, 150)
        plain["balanced_accuracy"].append(metrics.balanced_accuracy_score(true[rows], predicted[rows]))
        plain["macro_f1"].append(metrics.f1_score(true[rows], predicted[rows], average="macro"))
    for name, values in plain.items():
        assert found[name] == pytest.approx(tuple(np.quantile(values, (0.025, 0.975))), abs=0.02)


@pytest.mark.parametrize("figure", [roc_auc, average_precision])
def test_rankings_change_by_weights_as_their_linear_part_says(figure: object) -> None:
    generator = np.random.default_rng(2)
    scores, positive = generator.normal(size=60).round(1), generator.random(60) < 0.4
    theirs = metrics.roc_auc_score if figure is roc_auc else metrics.average_precision_score
    ours = figure(scores, positive)  # type: ignore[operator]
    assert ours.values.sum() / positive.sum() == pytest.approx(theirs(positive, scores))
    assert ours.rest.sum() == pytest.approx(0, abs=1e-12)
    for row in (0, 17, 42):
        weights, h = np.ones(60), 1e-6
        weights[row] += h
        slope = (theirs(positive, scores, sample_weight=weights) - theirs(positive, scores)) / h
        mean = (weights * ours.values).sum() / weights[positive].sum()
        change = (mean - ours.values.sum() / positive.sum()) / h + ours.rest[row]
        assert change == pytest.approx(slope, abs=1e-5)
    assert figure(scores, np.zeros(60, bool)) is None  # type: ignore[operator]


def test_rankings_are_resampled_like_a_plain_loop() -> None:
    generator = np.random.default_rng(4)
    true, scores = generator.integers(0, 12, 60), generator.normal(size=(60, 12))
    scores[np.arange(60), true] += 1.5
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    found = evaluate_codes(true, shares.argmax(axis=1), 12, shares).intervals["roc_auc"]
    plain = []
    for _ in range(600):
        rows = generator.integers(0, 60, 60)
        areas = []
        for code in np.unique(true[rows]):
            of_class, others = shares[rows, code][true[rows] == code], shares[rows, code][true[rows] != code]
            areas.append((of_class[:, None] > others).mean())  # no two images have the same score
        plain.append(np.mean(areas))
    assert found == pytest.approx(tuple(np.quantile(plain, (0.025, 0.975))), abs=0.015)


def test_groups_widen_the_intervals() -> None:
    generator = np.random.default_rng(3)
    groups = np.repeat(np.arange(40), 25)
    right = np.repeat(generator.random(40) < 0.7, 25)  # all photos of a dog are right, or none
    true = generator.integers(0, 2, 1000)
    predicted = np.where(right, true, 1 - true)
    alone, together = evaluate_codes(true, predicted, 2), evaluate_codes(true, predicted, 2, groups=groups)
    share = right.mean()
    assert (together.accuracy_low, together.accuracy_high) == pytest.approx(wilson_interval(40 * share, 40))
    for name in ("balanced_accuracy", "macro_f1"):
        widths = [np.ptp(figures.intervals[name]) for figures in (alone, together)]
        assert 4 < widths[1] / widths[0] < 6  # the square root of 25 photos a dog
    all_right = evaluate_codes(true, true, 2, groups=groups)
    assert all_right.accuracy_low == pytest.approx(wilson_interval(40, 40)[0])


def test_missing_groups_stand_for_themselves() -> None:
    groups = np.array(["a", None, "a", np.nan, "b", None], object)
    assert Clusters.of(6, groups).of_row.tolist() == [0, 2, 0, 3, 1, 4]
    assert evaluate_codes(np.zeros(3, int), np.zeros(3, int), 2, groups=np.array(["a"] * 3)).intervals == {}
