"""Comparisons whose vectors are read from the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifiers import Scheme, run_comparison
from store import FeatureStore
from tests.small_banks import small_bank, told_apart

SCHEMES = [
    Scheme("folder", "folder"),
    Scheme("odd", "key", regex=r"(\d)\.jpg$", groups={"odd": ["1", "3", "5", "7", "9"], "even": "rest"}),
]


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    """240 images of three classes."""
    X, codes = told_apart(3, 80, 12)
    return small_bank(tmp_path / "b.embank", [f"c{code}/{i}.jpg" for i, code in enumerate(codes)], [X])


@pytest.mark.parametrize("cv", [None, 3])
def test_a_streamed_board_is_the_same(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch, cv: int | None
) -> None:
    known = run_comparison(store, SCHEMES, ["ridge", "logistic"], cv=cv, train_sizes=(50, None))
    monkeypatch.setattr("classifiers.runs.fits_in_memory", lambda *_: False)
    found = run_comparison(store, SCHEMES, ["ridge", "logistic"], cv=cv, train_sizes=(50, None))
    assert {one.head for one in found.results} == {"ridge"}
    assert all("do not fit in memory, and only ridge heads" in sentence for _, sentence in found.errors)
    assert any("they are read from the store" in note for note in found.notes)
    ridges = [one for one in known.results if one.head == "ridge"]
    assert len(ridges) == 4
    for ours, theirs in zip(found.results, ridges, strict=True):
        np.testing.assert_array_equal(ours.predicted, theirs.predicted)
        assert ours.probabilities is not None and theirs.probabilities is not None
        np.testing.assert_allclose(ours.probabilities, theirs.probabilities, atol=2e-3)
    for one, other in zip(found.audits, known.audits, strict=True):
        assert one.columns()["p_holm"] == pytest.approx(other.columns()["p_holm"])
        assert one.leakage.near.total == other.leakage.near.total


def test_many_test_rows_are_predicted_in_blocks(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def accuracies() -> Any:
        return run_comparison(store, SCHEMES, ["ridge"], quick=True).board["accuracy"].tolist()

    whole = accuracies()
    monkeypatch.setattr("classifiers.predictions._AT_ONCE", 7)
    assert accuracies() == whole
