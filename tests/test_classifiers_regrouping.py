"""Merges from mistakes, clusters inside classes, the front of accuracy against bits, and schemes of groups."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

from classifiers import Scheme, SchemeError, load_schemes
from classifiers.labels import Labels
from classifiers.regrouping import (
    class_clusters,
    front,
    label_entropy,
    merge_path,
    merges,
    regrouped,
    schemes_yaml,
)
from classifiers.regrouping.k_means import k_means, mean_silhouette, nearest_centres
from classifiers.regrouping.pareto import on_front


def result(true: Any, named: Any, classes: int, accuracy: float | None = None, scheme: str = "s") -> Any:
    """A result whose test images are all images."""
    codes, said = np.asarray(true), np.asarray(named)
    names = tuple("abcdefghijklmnopqrstuvwxyz"[:classes])
    share = float((codes == said).mean()) if accuracy is None else accuracy
    return SimpleNamespace(
        scheme=scheme,
        head="ridge",
        space="x",
        labels=Labels(scheme, names, codes),
        test=np.arange(len(codes)),
        predicted=said,
        figures=SimpleNamespace(accuracy=share),
    )


def confused() -> Any:
    """Four classes of 50; a and b are often confused, c and d sometimes, a and c once."""
    true = np.repeat(np.arange(4), 50)
    named = true.copy()
    named[:20], named[50:55], named[100:108], named[25] = 1, 0, 3, 2
    return result(true, named, 4)


def test_single_merges_gain_the_mistakes_between_two_classes() -> None:
    found = merges(confused())
    assert [(one.classes, one.gain) for one in found] == [((0, 1), 0.125), ((2, 3), 0.04), ((0, 2), 0.005)]
    assert found[0].accuracy == pytest.approx(1 - 34 / 200 + 0.125)
    assert all(one.low < one.gain < one.high for one in found)
    assert found[0].entropy == pytest.approx(1.5)
    assert len(merges(confused(), most=1)) == 1


def test_a_path_merges_down_to_two_classes() -> None:
    path = merge_path(confused())
    assert [step.classes for step in path.steps] == [(0, 1), (2, 3)]
    assert (path.leaves, path.fewest) == (4, 2)
    assert path.groups(4) == [(0,), (1,), (2,), (3,)]
    assert path.groups(3) == [(0, 1), (2,), (3,)]
    assert path.groups(2) == [(0, 1), (2, 3)]
    assert path.steps[-1].accuracy == pytest.approx(1 - 1 / 200)
    assert path.steps[-1].entropy == pytest.approx(1.0)
    with pytest.raises(SchemeError, match="from 4 classes to 2; 7 were asked for"):
        path.groups(7)


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 9), st.integers(0, 1000))
def test_a_path_is_what_mapping_the_codes_gives(classes: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    true = np.concatenate([np.arange(classes), generator.integers(0, classes, 80)])
    named = np.where(generator.random(len(true)) < 0.6, true, generator.integers(0, classes, len(true)))
    path = merge_path(result(true, named, classes))
    before = path.accuracy
    for left, step in zip(range(classes - 1, 1, -1), path.steps, strict=True):
        groups = path.groups(left)
        assert sorted(code for own in groups for code in own) == list(range(classes))
        assert len(groups) == left
        of = np.zeros(classes, int)
        for number, own in enumerate(groups):
            of[list(own)] = number
        assert step.accuracy == pytest.approx((of[true] == of[named]).mean())
        assert step.accuracy >= before
        assert step.entropy == pytest.approx(label_entropy(of[true]))
        before = step.accuracy


def test_a_path_without_mistakes_takes_the_smallest_classes() -> None:
    true = np.repeat(np.arange(4), [40, 5, 30, 6])
    path = merge_path(result(true, true, 4))
    assert [step.classes for step in path.steps] == [(1, 3), (2, 4)]
    assert merges(result(true, true, 4)) == []
    assert all(step.gain == 0 and step.high > 0 for step in path.steps)


def test_two_classes_and_several_labels_cannot_be_merged() -> None:
    assert merges(result([0, 1, 1], [1, 1, 1], 2)) == []
    assert merge_path(result([0, 1, 1], [1, 1, 1], 2)).steps == ()
    several = result(np.zeros((3, 2), int), np.zeros((3, 2), int), 2)
    for refused in (merges, merge_path):
        with pytest.raises(SchemeError, match="several labels an image"):
            refused(several)


def test_groups_of_images_widen_an_interval() -> None:
    one = confused()
    alone = merges(one)[0]
    together = merges(one, groups=np.array([str(i // 25) for i in range(200)], object))[0]
    assert together.high - together.low > alone.high - alone.low


def test_entropy_in_bits() -> None:
    assert label_entropy(np.array([0, 1, 2, 3, -1])) == pytest.approx(2.0)
    assert label_entropy(np.array([1, 1])) == 0.0
    assert label_entropy(np.array([[1, 0], [0, 1], [1, 1], [1, 1]])) == pytest.approx(1.5)


def test_the_front_has_what_nothing_else_beats() -> None:
    fine = confused()
    coarse = result(np.arange(200) % 2, np.arange(200) % 2, 2, accuracy=0.7, scheme="coarse")
    points = front([fine, coarse], {0: merge_path(fine)})
    assert [(p.scheme, p.classes, p.merged, p.on_front) for p in points] == [
        ("s", 4, None, True),
        ("s", 3, 4, True),
        ("s", 2, 4, True),
        ("coarse", 2, None, False),
    ]
    assert points[0].to_dict()["entropy"] == pytest.approx(2.0)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12))
def test_on_front_by_its_definition(points: list[tuple[int, int]]) -> None:
    expected = [not any(c >= a and d >= b and (c > a or d > b) for c, d in points) for a, b in points]
    assert on_front([p[0] for p in points], [p[1] for p in points]).tolist() == expected


def cloud(n: int, centres: Any, seed: int = 0) -> Any:
    generator = np.random.default_rng(seed)
    middles = np.asarray(centres, float)
    return middles[np.arange(n) % len(middles)] + generator.normal(size=(n, middles.shape[1]))


def test_clusters_are_found_where_there_are_some_and_only_there() -> None:
    middle = np.full(30, 10.0)
    away = np.zeros((3, 30))
    away[1, :5], away[2, 5:10] = 4, 4
    X = np.concatenate([cloud(120, middle + away), cloud(120, [middle]), cloud(20, [middle])])
    codes = np.repeat([0, 1, 2], [120, 120, 20])
    three, one, few = class_clusters(X.astype(np.float32), codes)
    assert three.clear and [len(own) for own in three.members] == [40, 40, 40]
    assert {frozenset((own % 3).tolist()) for own in three.members} == {frozenset([i]) for i in range(3)}
    assert three.silhouette > three.chance + 0.05 and three.stability > 0.9
    assert all(
        len(rows) == 6 and set(rows) <= set(own)
        for rows, own in zip(three.examples, three.members, strict=True)
    )
    assert not one.clear and "silhouette" in one.reason
    assert one.members[0].tolist() == list(range(120, 240))
    assert not few.clear and few.reason.startswith("20 images are too few") and np.isnan(few.silhouette)
    assert [found.code for found in class_clusters(X, codes, classes=[1])] == [1]


def test_skewed_and_stretched_classes_have_no_clusters() -> None:
    generator = np.random.default_rng(0)
    for seed in range(10):
        spread = np.geomspace(8, 0.5, 40)
        X = 30 + np.random.default_rng(seed).normal(size=(150, 40)) * spread
        assert not class_clusters(X, np.zeros(150, int))[0].clear
    assert not class_clusters(np.ones((60, 5)), np.zeros(60, int))[0].clear
    assert not class_clusters(generator.gamma(2.0, size=(200, 40)), np.zeros(200, int))[0].clear


def test_several_labels_cannot_be_split() -> None:
    with pytest.raises(SchemeError, match="several labels"):
        class_clusters(np.ones((4, 2)), np.zeros((4, 2), int))


def test_k_means_and_silhouettes_are_scikit_learns() -> None:
    points = cloud(90, [[0, 0, 0], [5, 0, 0], [0, 6, 0]])
    clouds = np.stack([points, points + 3])
    centres = k_means(clouds, 3, np.random.default_rng(0))
    theirs = KMeans(3, n_init=10, random_state=0).fit(points)
    order, their_order = np.lexsort(centres[0].T), np.lexsort(theirs.cluster_centers_.T)
    np.testing.assert_allclose(centres[0][order], theirs.cluster_centers_[their_order], atol=1e-6)
    labels = nearest_centres(clouds, centres)
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    assert mean_silhouette(distances, labels[0], 3) == pytest.approx(silhouette_score(points, labels[0]))
    alone = np.r_[np.zeros(89, int), 1]
    assert mean_silhouette(distances, alone, 2) == pytest.approx(silhouette_score(points, alone))
    assert mean_silhouette(distances, np.zeros(90, int), 2) == -1.0


def test_merged_schemes_are_read_again(tmp_path: Path) -> None:
    images = pd.DataFrame({"folder": list("abcdabcd"), "key": [f"{i}.jpg" for i in range(8)]})
    number = Scheme("digit", "key", regex=r"^(\d)")
    base = Scheme("letter", "folder", drop=["d"])
    made = [
        regrouped(base, ["a", "b", "c"], [(0, 2), (1,)], "letter_2"),
        regrouped(number, [str(i) for i in range(8)], [(0, 1, 2, 3), (4, 5, 6, 7)], "digit_2"),
    ]
    path = tmp_path / "made.yaml"
    path.write_text(schemes_yaml(made), encoding="utf-8")
    again = load_schemes(path)
    assert list(again) == ["letter", "letter_2", "digit", "digit_2"]
    for one in made:
        labels, expected = again[one.name].labels(images), one.labels(images)
        assert labels.classes == expected.classes
        assert labels.codes.tolist() == expected.codes.tolist()
    assert made[0].labels(images).classes == ("a + c", "b")
    assert made[0].labels(images).codes.tolist() == [0, 1, 0, -1] * 2


def test_names_of_groups_are_short_and_differ() -> None:
    long = [f"a class with a long name, number {i}" for i in range(4)]
    groups = regrouped(Scheme("s", "folder"), long, [(0, 1, 2), (3,)], "s_2").groups
    assert list(groups or {}) == [f"{long[0]} + 2 more", long[3]]
    clash = regrouped(Scheme("s", "folder"), ["a", "b", "a + b"], [(0, 1), (2,)], "s_2").groups
    assert clash == {"group 1": ("a", "b"), "group 2": ("a + b",)}
