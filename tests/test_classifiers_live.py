"""Schemes tried live are worth what a ridge head's own leave-one-out says, whatever was tried before them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from classifiers import HeadError, RidgeHead
from classifiers.factorization import Factorization, Float, factorize
from classifiers.leave_one_out import squared_errors
from classifiers.live import LiveFit, difference
from classifiers.ridge import left_out_codes
from classifiers.signs import Signs
from store import FeatureStore
from tests.small_banks import small_bank, told_apart

Codes = NDArray[np.intp]


def bank(path: Path, rows: int = 120, dim: int = 20, classes: int = 4) -> tuple[FeatureStore, Codes]:
    """Vectors of classes that overlap a little, and the class of each of the store's images."""
    X, codes = told_apart(classes, rows // classes, dim)
    X += np.random.default_rng(1).normal(scale=4, size=X.shape).astype(np.float32)
    store = small_bank(path, [f"{code}/{number:04d}.jpg" for number, code in enumerate(codes)], [X])
    return store, np.asarray(store.images()["folder"].astype(int), np.intp)


def expected(live: LiveFit, codes: Codes) -> tuple[Codes, float]:
    """What RidgeHead and its leave-one-out predict for labelled images, and its strength; of others what it says."""
    labelled = codes >= 0
    X = live.vectors[labelled]
    head = RidgeHead().fit(X, codes[labelled])
    found = head.predict(live.vectors)
    _, own = np.unique(codes[labelled], return_inverse=True)
    found[labelled] = head.classes_[left_out_codes(factorize(X), [head], [own])[0]]
    return found, head.alpha_


@pytest.mark.parametrize("rows", [120, 24], ids=["more rows than dimensions", "about as many"])
def test_one_scheme_after_another_is_worth_what_a_ridge_says(tmp_path: Path, rows: int) -> None:
    store, codes = bank(tmp_path / "live.embank", rows, 22)
    live = LiveFit(store, next(iter(store.spaces)), store.images())
    merged = np.where(codes == 3, 1, codes)
    moved = codes.copy()
    moved[:3] = 2
    dropped = np.where(codes == 2, -1, codes)
    schemes = [codes, merged, np.minimum(codes, 1), moved, dropped, merged, codes]
    for scheme in schemes:
        found = live.solve(scheme, 4)
        predicted, strength = expected(live, scheme)
        assert found.strength == pytest.approx(strength)
        assert (found.predicted == predicted).all()
        assert found.accuracy == (predicted == scheme)[scheme >= 0].mean()
        assert found.n == (scheme >= 0).sum()


def test_figures_agree_with_the_predictions(tmp_path: Path) -> None:
    store, codes = bank(tmp_path / "live.embank")
    codes = np.where(np.arange(len(codes)) % 5 == 0, -1, codes)
    found = LiveFit(store, next(iter(store.spaces)), store.images()).solve(codes, 6)
    own = codes >= 0
    table = pd.crosstab(codes[own], found.predicted[own]).reindex(
        index=range(6), columns=range(6), fill_value=0
    )
    assert (found.confusion == table.to_numpy()).all()
    assert (found.counts == [*np.bincount(codes[own]), 0, 0]).all()
    assert found.recall[:4].tolist() == [(found.predicted[codes == code] == code).mean() for code in range(4)]
    assert np.isnan(found.recall[4:]).all()
    assert found.balanced_accuracy == pytest.approx(found.recall[:4].mean())
    assert found.low < found.accuracy < found.high
    assert found.majority == 0.25
    assert found.probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert (found.probabilities[:, 4:] == 0).all()
    assert found.confidence == pytest.approx(found.probabilities.max(axis=1))


def test_a_difference_is_of_the_images_that_both_judge(tmp_path: Path) -> None:
    store, codes = bank(tmp_path / "live.embank")
    live = LiveFit(store, next(iter(store.spaces)), store.images())
    before = live.solve(codes, 4)
    after = live.solve(np.where(codes == 3, -1, np.minimum(codes, 1)), 2)
    found = difference(before, after)
    both = codes < 3
    assert found["n"] == both.sum()
    assert found["difference"] == pytest.approx(after.right[both].mean() - before.right[both].mean())
    assert found["low"] <= found["difference"] <= found["high"]


@pytest.mark.parametrize("codes", [np.full(120, -1), np.zeros(120, int), np.r_[1, np.full(119, -1)]])
def test_labels_that_tell_nothing_are_a_sentence(tmp_path: Path, codes: Codes) -> None:
    store, _ = bank(tmp_path / "live.embank")
    with pytest.raises(HeadError, match=r"label"):
        LiveFit(store, next(iter(store.spaces)), store.images()).solve(codes, 2)


def test_a_class_of_one_image_and_few_labels(tmp_path: Path) -> None:
    store, codes = bank(tmp_path / "live.embank")
    live = LiveFit(store, next(iter(store.spaces)), store.images())
    alone = np.minimum(codes, 1)
    alone[7] = 2
    assert live.solve(alone, 3).strength == pytest.approx(expected(live, alone)[1])
    few = np.full(len(codes), -1)
    few[[0, 60]] = [0, 1]
    found = live.solve(few, 2)
    assert found.n == 2
    assert (found.predicted == expected(live, few)[0]).all()


def test_only_classes_that_changed_are_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    widths: list[int] = []

    def counted(factor: Factorization, targets: Signs, *rest: Any) -> Float:
        widths.append(targets.width)
        return squared_errors(factor, targets, *rest)

    monkeypatch.setattr("classifiers.live.columns.squared_errors", counted)
    store, codes = bank(tmp_path / "live.embank", classes=6)
    live = LiveFit(store, next(iter(store.spaces)), store.images())
    live.solve(codes, 6)
    live.solve(np.where(codes == 5, 4, codes), 6)
    live.solve(codes, 6)
    moved = codes.copy()
    moved[0] = (moved[0] + 1) % 6
    live.solve(moved, 6)
    assert widths == [6, 1, 2]


def test_columns_are_found_although_few_are_kept(tmp_path: Path) -> None:
    store, codes = bank(tmp_path / "live.embank", classes=6)
    live = LiveFit(store, next(iter(store.spaces)), store.images())
    live.solve(codes, 6)
    for known in live._sets.values():
        known.cache.largest = 8 * len(codes) * 3
    rng = np.random.default_rng(0)
    for _ in range(40):
        changed = codes.copy()
        changed[rng.integers(0, len(codes), 3)] = rng.integers(0, 6)
        assert (live.solve(changed, 6).predicted == expected(live, changed)[0]).all()
