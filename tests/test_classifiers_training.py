"""Training one head for keeps: any kind of head, dense ones also on more than fits in memory."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from classifiers import (
    DenseHead,
    HeadError,
    RidgeHead,
    Scheme,
    compare,
    default_schemes,
    load_head,
    train_head,
)
from classifiers.dense_batches import store_batches
from classifiers.dense_training import _Network
from store import FeatureStore
from store.columns import hashes_from_hex
from tests.small_banks import small_bank, told_apart

IMAGES, VIEWS, DIM = 90, 2, 12


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """Three classes that can be told apart, in two parts for each of two views."""
    plain, codes = told_apart(3, IMAGES // 3, DIM)
    other = plain + np.random.default_rng(1).normal(size=plain.shape).astype(np.float32)
    keys = [f"{'abc'[code]}/{number}.jpg" for number, code in enumerate(codes)]
    return small_bank(tmp_path_factory.mktemp("training") / "bank.embank", keys, [plain, other])


@pytest.fixture
def scheme(store: FeatureStore) -> Scheme:
    return default_schemes(store.images())[0]["folder"]


@pytest.mark.parametrize(
    "head",
    [
        "svm(C=10)",
        "knn(n_neighbors=3)",
        GridSearchCV(RidgeHead(), {"alpha": [1.0, 100.0]}, cv=3),
        make_pipeline(StandardScaler(), SVC()),
    ],
    ids=["svm", "knn", "search", "pipeline"],
)
def test_any_classifier_is_trained_saved_and_compared(
    store: FeatureStore, scheme: Scheme, tmp_path: Path, head: Any
) -> None:
    saved, report = train_head(store, scheme, head)
    assert report["rows"][1]["accuracy"] > 0.9
    assert report["curves"] is None
    saved.save(tmp_path / "a.head")
    back = load_head(tmp_path / "a.head")
    images = store.images()
    vectors = store.vectors(saved.space, images)
    assert back.predict(vectors).tolist() == saved.predict(vectors).tolist()
    assert compare(store, [scheme], [head])["accuracy"][0] == report["rows"][1]["accuracy"]


def test_what_scikit_learn_refuses_is_a_sentence(store: FeatureStore, scheme: Scheme) -> None:
    with pytest.raises(HeadError, match=r"cannot be trained on this: .*n_splits=80"):
        train_head(store, scheme, GridSearchCV(RidgeHead(), {"alpha": [1.0]}, cv=80, error_score="raise"))


@pytest.mark.keras
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("in_memory", [True, False])
def test_dense_heads_and_their_curves(
    store: FeatureStore,
    scheme: Scheme,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    early_stopping: bool,
    in_memory: bool,
) -> None:
    if not in_memory:
        monkeypatch.setattr("classifiers.dense_batches.IN_MEMORY", 0)
        monkeypatch.setattr("classifiers.dense_batches._BATCH", 40)
        monkeypatch.setattr(DenseHead, "fit", None)  # it takes all rows at once
    head = DenseHead(epochs=12, learning_rate=0.01, early_stopping=early_stopping)
    saved, report = train_head(store, scheme, head)
    assert report["rows"][1]["accuracy"] > 0.9
    curves = report["curves"]
    assert set(curves) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert 1 <= len(curves["loss"]) <= 12
    if not early_stopping:  # what nothing depends on may be the held-out images
        assert curves["val_accuracy"][-1] == pytest.approx(report["rows"][1]["accuracy"])
    saved.save(tmp_path / "a.head")
    assert load_head(tmp_path / "a.head").estimator.history_ == curves


@pytest.mark.keras
@pytest.mark.parametrize("in_memory", [True, False])
def test_a_dense_head_of_several_labels(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch, in_memory: bool
) -> None:
    if not in_memory:
        monkeypatch.setattr("classifiers.dense_batches.IN_MEMORY", 0)
        monkeypatch.setattr(DenseHead, "fit", None)
    labels = Scheme("both", "folder", multilabel=True, groups={"p": ["a"], "q": ["b"]})
    saved, report = train_head(store, labels, DenseHead(epochs=20, learning_rate=0.02, early_stopping=15))
    assert saved.multilabel
    assert report["rows"][1]["accuracy"] > 0.8


@pytest.mark.keras
@pytest.mark.parametrize("work", [train_head, compare])
def test_early_stopping_parts_no_image(
    store: FeatureStore, scheme: Scheme, monkeypatch: pytest.MonkeyPatch, work: Any
) -> None:
    """The views of an image are all trained on or all held out, by whichever way a dense head is fitted."""
    parts: list[tuple[NDArray[np.intp], NDArray[np.intp]]] = []
    hold_out = DenseHead.hold_out

    def noted(head: DenseHead, *given: Any) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        parts.append(hold_out(head, *given))
        return parts[-1]

    monkeypatch.setattr(DenseHead, "hold_out", noted)
    head = DenseHead(epochs=1, early_stopping=True, validation_fraction=0.3)
    work(store, *((scheme, head) if work is train_head else ([scheme], [head])))
    ((training, held),) = parts
    images = (len(training) + len(held)) // VIEWS
    assert not set(training % images) & set(held % images)
    assert len(held) == VIEWS * len(set(held % images)) > 0


@pytest.mark.keras
def test_folds_and_schemes_of_one_shape_are_compiled_once(
    store: FeatureStore, scheme: Scheme, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    class Counted(_Network):
        def __init__(self, *given: Any) -> None:
            made.append(given)
            super().__init__(*given)

    monkeypatch.setattr("classifiers.dense_training._idle", OrderedDict())
    monkeypatch.setattr("classifiers.dense_training._Network", Counted)
    turned = Scheme("turned", "folder", groups={"x": ["b"], "y": ["c"], "z": ["a"]})
    board = compare(store, [scheme, turned], [DenseHead(epochs=8, learning_rate=0.02)], cv=3)
    assert len(made) == 1
    assert board["accuracy"].min() > 0.8


def test_batches_of_a_store(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row of every view once an epoch, in an order of its own; neighbours on disk stay together."""
    monkeypatch.setattr("classifiers.dense_batches._RUN", 10)
    monkeypatch.setattr("classifiers.dense_batches._BATCH", 30)
    images = store.images().sample(frac=1, random_state=0)
    (space,) = store.spaces
    labels = np.arange(len(images))
    batches = store_batches(store, space, images, labels, VIEWS, seed=1)
    epochs = [list(batches(epoch)) for epoch in (1, 1, 2)]
    orders = [np.concatenate([rows for _, rows in epoch]).tolist() for epoch in epochs]
    assert orders[0] == orders[1] != orders[2]
    for epoch, order in zip(epochs, orders, strict=True):
        assert len(epoch) == 6
        assert sorted(order) == sorted([*range(IMAGES)] * VIEWS)
    seen = set()
    for vectors, given in epochs[0]:
        rows = np.asarray(given, np.intp)
        (view,) = (
            view
            for view in range(VIEWS)
            if np.array_equal(vectors, store.vectors(space, images.iloc[rows], view=view))
        )
        places = store.space(space).find(hashes_from_hex(images.iloc[rows]["hash"]), view)
        assert (np.diff(places) == 1).sum() >= 20
        seen.add(view)
    assert seen == {0, 1}
    with pytest.raises(HeadError, match="have no vector"):
        store_batches(store, space, images.assign(hash="ab" * 16), labels)
