"""Learning curves: draws, sizes, and curves of one scheme and of many on a store."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers import HeadError, RidgeHead, Scheme, run_comparison
from classifiers.curves import FewShot, Labelled, few_shot, few_shot_together, few_shots, learning_curves
from classifiers.curves.draws import ladder, spread_order
from classifiers.factorization import factorize
from embedder import Recipe, embed
from store import FeatureStore


def blobs(n: int = 300, classes: int = 3, seed: int = 0) -> tuple[Any, Any]:
    """Vectors (n, 12) float32 of classes that overlap, and codes (n,)."""
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, classes, n)
    centres = np.random.default_rng(7).normal(0, 0.7, (classes, 12))
    return (centres[codes] + generator.normal(size=(n, 12))).astype(np.float32), codes


@pytest.mark.parametrize(
    ("rows", "classes", "expected"),
    [
        (2936, 5, [11, 23, 46, 92, 184, 367, 734, 1468, 2936]),
        (1020, 102, [255, 361, 510, 721, 1020]),
        (10, 5, [10]),
        (3, 2, [3]),
    ],
)
def test_sizes_halve_from_all_rows_down_to_two_a_class(rows: int, classes: int, expected: list[int]) -> None:
    assert ladder(rows, classes).tolist() == expected


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 300), st.integers(1, 6), st.integers(0, 5))
def test_every_start_of_an_order_has_all_classes_in_proportion(rows: int, classes: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    fine = np.sort(generator.integers(0, classes, rows))[generator.permutation(rows)]
    coarse = fine // 2
    order = spread_order([coarse, fine], generator)
    assert sorted(order) == list(range(rows))
    for size in ladder(rows, 1):
        for codes in (fine, coarse):
            counts = np.bincount(codes[order[:size]], minlength=classes)
            expected = np.bincount(codes, minlength=classes) * size / rows
            assert np.abs(counts - expected).max() <= 2 + np.log2(size)


def test_draws_differ() -> None:
    codes = np.arange(256) % 4
    generator = np.random.default_rng(0)
    first, second = (set(spread_order([codes], generator)[:64].tolist()) for _ in range(2))
    assert 0 < len(first & second) < 40


def test_all_rows_give_what_a_head_gives() -> None:
    X, codes = blobs()
    test = np.arange(0, 300, 3)
    codes[4] = -1
    curve = few_shot(X, codes, test=test, draws=3)
    rest = np.setdiff1d(np.flatnonzero(codes >= 0), test)
    head = RidgeHead().fit(X[rest], codes[rest])
    assert curve.sizes[-1] == len(rest) == 199
    assert curve.accuracy[-1].tolist() == [head.score(X[test], codes[test])] * 3
    assert curve.accuracy.shape == (len(curve.sizes), 3)
    assert curve.accuracy[-1].mean() > curve.accuracy[0].mean() > 0.3
    assert curve.law is not None and curve.law.low[-1] < curve.accuracy[-1, 0] < curve.law.high[-1]


def test_the_same_seed_gives_the_same_curve() -> None:
    X, codes = blobs()
    first, second, other = (few_shot(X, codes, test=np.arange(100), seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first.accuracy, second.accuracy)
    assert not np.array_equal(first.accuracy, other.accuracy)


@pytest.mark.parametrize("head", ["ridge", "logistic"])
def test_schemes_on_the_same_rows_share_their_fits(head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, codes = blobs()
    train, test = np.arange(200), np.arange(200, 300)
    tasks = [Labelled(str(i), codes % 3 == i, train, test) for i in range(3)]
    tasks = [Labelled(task.scheme, task.codes.astype(np.intp), train, test) for task in tasks]
    tasks.append(Labelled("all", codes, train, test))
    calls: list[int] = []

    def counting(X: Any, *rest: Any) -> Any:
        calls.append(len(X))
        return factorize(X, *rest)

    monkeypatch.setattr("classifiers.ridge.factorize", counting)
    seen: list[tuple[int, int, str]] = []
    curves = few_shot_together(X, tasks, head, draws=2, progress=lambda *step: seen.append(step))
    assert [curve.scheme for curve in curves] == ["0", "1", "2", "all"]
    assert seen[-1][:2] == (11, 11) and len(seen) == 11  # 5 sizes twice, all rows once
    if head == "ridge":
        assert sorted(set(calls)) == [6, 12, 25, 50, 100, 200] and len(calls) <= 11
    assert [curve.sizes[0] for curve in curves] == [6, 6, 6, 6]


def test_draws_that_are_spread_over_other_labels_stay_when_classes_merge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X, codes = blobs()
    train, test = np.arange(200), np.arange(200, 300)
    drawn: list[bytes] = []

    def kept(rows: Any, whole: bool) -> None:
        assert whole == (len(rows) == len(train))
        drawn.append(rows.tobytes())

    def curve(labels: Any, spread: Any = None) -> list[bytes]:
        drawn.clear()
        few_shot_together(X, [Labelled("", labels, train, test)], draws=2, spread=spread, kept=kept)
        return list(drawn)

    merged = np.minimum(codes, 1)
    assert curve(codes) == curve(codes, codes)
    together = curve(merged, codes)
    assert together[-len(curve(codes)) :] == curve(codes)
    assert curve(merged) != together


def test_several_labels_an_image() -> None:
    X, codes = blobs()
    tags = np.stack([codes == 0, codes != 1], axis=1).astype(np.int8)
    tags[5] = -1
    curve = few_shot(X, tags, test=np.arange(100, 200))
    assert curve.accuracy[-1, 0] > 0.5
    assert curve.sizes[-1] == 199


def test_a_draw_of_one_class_names_that_class() -> None:
    X, codes = blobs(classes=2)
    codes[:] = 0
    codes[::50] = 1
    test = np.arange(100, 200)
    curve = few_shot(X, codes, test=test, sizes=[2], draws=4)
    assert set(curve.accuracy.ravel().tolist()) >= {0.98}


def test_sizes_are_checked() -> None:
    X, codes = blobs()
    with pytest.raises(HeadError, match=r"2 to 200.*got \[1, 3\]"):
        few_shot(X, codes, test=np.arange(100), sizes=[1, 3])
    with pytest.raises(HeadError, match="knn cannot be trained on 6 images"):
        few_shot(X, codes, test=np.arange(100), head="knn")
    with pytest.raises(HeadError, match="one draw or more"):
        few_shot(X, codes, test=np.arange(100), draws=0)


@pytest.fixture
def store(fake_engine: Any, write_photo: Any, tmp_path: Any) -> FeatureStore:
    for number in range(60):
        write_photo(tmp_path / "photos" / "abc"[number % 3] / f"{number}.jpg", number)
    recipe = Recipe("MobileNetV2_0.35", weights="none", image_size=32)
    embed(tmp_path / "photos", tmp_path / "photos.embank", recipe)
    return FeatureStore(tmp_path / "photos.embank")


def test_curves_of_a_store_end_where_compare_is(store: FeatureStore) -> None:
    schemes = {
        "folder": Scheme("folder", "folder"),
        "two": Scheme("two", "folder", groups={"a": ["a"], "other": "rest"}),
        "bad": Scheme("bad", "fodler"),
    }
    curves, errors, _ = learning_curves(store, schemes, draws=2)
    assert [name for name, _ in errors] == ["bad"]
    comparison = run_comparison(store, schemes, ["ridge"])
    again = few_shots(store, comparison, "MobileNetV2_0.35", draws=2)
    for curve, same, result in zip(curves, again, comparison.results, strict=True):
        assert curve.scheme == same.scheme == result.scheme
        assert np.array_equal(curve.accuracy, same.accuracy)
        assert curve.accuracy[-1, 0] == pytest.approx(result.figures.accuracy)
        assert curve.space == result.space
    assert list(curves[0].rows())[-1]["n_train"] == curves[0].sizes[-1]


def test_the_factorization_that_compare_kept_is_used(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("classifiers.factor_cache._WORTH_KEEPING", 2)
    comparison = run_comparison(store, [Scheme("folder", "folder")], ["ridge"])
    whole: list[int] = []

    def counting(X: Any, *rest: Any) -> Any:
        whole.append(len(X))
        return factorize(X, *rest)

    monkeypatch.setattr("classifiers.factor_cache.factorize", counting)
    monkeypatch.setattr("classifiers.ridge.factorize", counting)
    curve = few_shots(store, comparison, "MobileNetV2_0.35", draws=2)[0]
    assert whole and max(whole) < curve.sizes[-1]


def test_after_cross_validation_a_fifth_is_held_out(store: FeatureStore) -> None:
    comparison = run_comparison(store, [Scheme("folder", "folder")], ["ridge"], cv=3)
    curve: FewShot = few_shots(store, comparison, "MobileNetV2_0.35", draws=2)[0]
    assert curve.n_test + curve.sizes[-1] == 60
    assert 3 <= curve.n_test <= 25
