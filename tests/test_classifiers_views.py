"""Heads on augmented views: trained on all of them, tested on the images themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from classifiers import LogisticHead, RidgeHead, compare, default_schemes, train_head
from classifiers.fitting import fit_on_views
from store import FeatureStore, StoreWriter
from store.columns import hashes_to_hex
from store.listing import empty_listing_table
from store.part import PartRows
from store.vectors import Vectors

IMAGES, VIEWS, DIM = 60, 4, 20
RECIPE = {"backbone": "Fake", "dtype": "float32", "views": VIEWS}


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    """Two classes in noisy vectors; each augmented view has noise of its own, and so few images need them."""
    rng = np.random.default_rng(0)
    labels = np.arange(IMAGES) % 2
    hashes = rng.integers(0, 256, (IMAGES, 16), dtype=np.uint8)
    keys = [f"{'ab'[label]}/{number}.jpg" for number, label in enumerate(labels)]
    writer = StoreWriter(tmp_path / "bank.embank")
    for view in range(VIEWS):
        vectors = rng.standard_normal((IMAGES, DIM), dtype=np.float32)
        vectors[:, 0] += 2 * labels - 1
        rows = PartRows(hashes, np.full(IMAGES, view, np.int16), vectors, keys, ["photos"] * IMAGES)
        writer.commit_part(RECIPE, rows)
    table = empty_listing_table().drop(columns="listed").reindex(range(IMAGES))
    table = table.assign(
        key=keys, hash=hashes_to_hex(hashes), bytes=1, mtime=1, width=1, height=1, status="ok"
    )
    (space,) = FeatureStore(writer.path).spaces
    writer.replace_listing("photos", "/photos", table.assign(**{space: True}))
    return FeatureStore(writer.path)


def test_training_uses_all_views_and_testing_the_plain_ones(store: FeatureStore) -> None:
    scheme = default_schemes(store.images())[0]["folder"]
    saved, report = train_head(store, scheme, "ridge", seed=1)
    plain, plain_report = train_head(store, scheme, "ridge", seed=1, plain=True)
    assert [row["n"] for row in report["rows"]] == [row["n"] for row in plain_report["rows"]]
    assert not np.allclose(saved.estimator.coef_, plain.estimator.coef_)
    more, few = (abs(head.estimator.coef_[0]) for head in (saved, plain))
    assert more[0] / more[1:].max() > few[0] / few[1:].max()  # it tells signal from noise better

    board, plain_board = (compare(store, heads=["ridge"], seed=1, plain=plain) for plain in (False, True))
    assert board["accuracy"][0] == report["rows"][1]["accuracy"]
    assert plain_board["accuracy"][0] == plain_report["rows"][1]["accuracy"]


def test_copies_of_an_image_change_nothing_in_a_ridge() -> None:
    """Strength and temperature are those of the images themselves: to leave one view out would leave it in."""
    rng = np.random.default_rng(1)
    X = Vectors.of(rng.standard_normal((80, 10), dtype=np.float32), None, None)
    y = (np.asarray(X)[:, 0] + rng.standard_normal(80) > 0).astype(int)
    once, copied = RidgeHead(), RidgeHead()
    fit_on_views([once], [X], [y])
    fit_on_views([copied], [X, X, X], [y])
    np.testing.assert_allclose(copied.coef_, once.coef_, rtol=1e-4)
    np.testing.assert_allclose(copied.intercept_, once.intercept_, atol=1e-5)
    assert copied.temperature_ == once.temperature_
    assert copied.alpha_ == pytest.approx(3 * once.alpha_)


def test_other_heads_are_fitted_on_all_rows() -> None:
    rng = np.random.default_rng(2)
    views = [Vectors.of(rng.standard_normal((30, 5), dtype=np.float32), None, None) for _ in range(2)]
    y = np.arange(30) % 3
    (head,) = heads = [LogisticHead(C=1.0)]
    fit_on_views(heads, views, [y])
    expected = LogisticHead(C=1.0).fit(np.concatenate(views), np.concatenate([y, y]))
    np.testing.assert_allclose(head.coef_, expected.coef_, rtol=1e-5)
