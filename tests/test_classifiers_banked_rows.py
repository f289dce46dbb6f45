"""Ridge heads on vectors that stay in the store are those of vectors in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from classifiers import HeadError, RidgeHead, leave_one_out
from classifiers import factorization as blocks
from classifiers.banked_rows import banked_rows, fit_ridge_on_store, fits_in_memory
from store import FeatureStore, StoreWriter
from store.part import PartRows
from store.recipes import space_id

RECIPE = {"backbone": "Large", "dtype": "float16"}
DIM = 10


@pytest.fixture
def bank(tmp_path: Path) -> tuple[FeatureStore, pd.DataFrame]:
    """A store of 150 vectors in three parts, and its images in an order of their own."""
    generator = np.random.default_rng(0)
    hashes = generator.integers(0, 256, (150, 16), dtype=np.uint8)
    writer = StoreWriter(tmp_path / "large.embank")
    for start in range(0, 150, 50):
        rows = slice(start, start + 50)
        vectors = (generator.normal(size=(50, DIM)) + 3).astype(np.float16)
        keys = [f"{n}.jpg" for n in range(start, start + 50)]
        writer.commit_part(RECIPE, PartRows(hashes[rows], np.zeros(50, np.int16), vectors, keys, ["s"] * 50))
    images = pd.DataFrame({"hash": [bytes(one).hex() for one in hashes]})
    return FeatureStore(tmp_path / "large.embank"), images.iloc[generator.permutation(150)]


def test_the_same_as_in_memory(
    bank: tuple[FeatureStore, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, images = bank
    monkeypatch.setattr(blocks, "_BLOCK", 32)
    monkeypatch.setattr(blocks, "_SCAN_BLOCK", 16)
    monkeypatch.setattr(leave_one_out, "_SCAN_BLOCK", 16)
    monkeypatch.setattr(leave_one_out, "_LEFT_OUT_BLOCK", 40)
    monkeypatch.setattr(leave_one_out, "_FEW_ROWS", 16)
    monkeypatch.setattr("classifiers.gram._BLOCK", 32)
    monkeypatch.setattr("classifiers.space_rows._MAPPED", 1000)
    X = store.vectors(space_id(RECIPE), images)
    generator = np.random.default_rng(1)
    three = (X[:, :3] + generator.normal(size=(150, 3))).argmax(axis=1)
    two = np.array(["a", "b"], object)[(X[:, 3] > 3).astype(int)]
    two[:20] = None
    several = X[:, 4:8] > 3
    found = fit_ridge_on_store(store, "Large", images, [three, two, several])
    rows = np.arange(20, 150)
    expected = [RidgeHead().fit(X, three), RidgeHead().fit(X[rows], two[rows]), RidgeHead().fit(X, several)]
    for one, head in zip(found, expected, strict=True):
        assert one.head.alpha_ == pytest.approx(head.alpha_)
        np.testing.assert_allclose(one.head.coef_, head.coef_, atol=1e-5)
        assert one.head.space_ == space_id(RECIPE)
        np.testing.assert_array_equal(one.head.predict(X), head.predict(X))
    assert (found[1].predicted[:20] == -1).all()
    assert found[2].predicted.shape == (150, 4)
    row = 7
    rest = np.arange(150) != row
    alone = RidgeHead(alpha=found[0].head.alpha_).fit(X[rest], three[rest])
    assert found[0].predicted[row] == alone.predict(X[[row]])[0]
    assert found[0].accuracy == pytest.approx((found[0].predicted == three).mean())
    assert found[0].accuracy > 0.5


def test_what_it_cannot_be_fitted_on(bank: tuple[FeatureStore, pd.DataFrame]) -> None:
    store, images = bank
    y = np.arange(150) % 2
    with pytest.raises(HeadError, match="sample_weight does not fit"):
        fit_ridge_on_store(store, "Large", images, [y], sample_weight=np.full(150, -1.0))
    with pytest.raises(HeadError, match="label vector 0 has no labels"):
        fit_ridge_on_store(store, "Large", images, [np.full(150, None)])
    with pytest.raises(HeadError, match="of one class"):
        fit_ridge_on_store(store, "Large", images, [np.zeros(150)])
    foreign = images.assign(hash=["ab" * 16, *images["hash"].iloc[1:]])
    with pytest.raises(HeadError, match="1 of 150 images have no vector"):
        banked_rows(store, "Large", foreign)


def test_weights_are_those_of_vectors_in_memory(bank: tuple[FeatureStore, pd.DataFrame]) -> None:
    store, images = bank
    X = store.vectors(space_id(RECIPE), images)
    y = (X[:, 0] > 3.5).astype(int) + (X[:, 1] > 3.5)
    weights = np.random.default_rng(0).integers(0, 3, 150)
    found = fit_ridge_on_store(
        store, "Large", images, [y, y == 0], sample_weight=weights, class_weight="balanced"
    )
    for one, labels in zip(found, (y, y == 0), strict=True):
        head = RidgeHead(class_weight="balanced").fit(
            X[weights > 0], labels[weights > 0], weights[weights > 0]
        )
        assert one.head.alpha_ == pytest.approx(head.alpha_)
        np.testing.assert_allclose(one.head.coef_, head.coef_, atol=1e-5)
        assert ((one.predicted == -1) == (weights == 0)).all()


def test_what_fits_in_memory(
    bank: tuple[FeatureStore, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, images = bank
    assert fits_in_memory(store, "Large", images)
    monkeypatch.setattr("classifiers.banked_rows._free_memory", lambda: 150 * DIM * 4 * 2 - 1)
    assert not fits_in_memory(store, "Large", images)
    assert fits_in_memory(store, "Large", images[:149])
