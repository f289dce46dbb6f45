"""The dense head trains, repeats itself, runs without Keras, and refuses what cannot work."""

from __future__ import annotations

import random
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from classifiers import DenseHead, HeadError
from classifiers.fitting import fit_on_views

pytestmark = pytest.mark.keras


@pytest.fixture(scope="module")
def data() -> tuple[NDArray[np.float32], NDArray[np.str_]]:
    generator = np.random.default_rng(0)
    codes = np.arange(150) % 3
    X = 3 * np.eye(3)[codes] @ generator.normal(size=(3, 10)) + generator.normal(size=(150, 10)) + 20
    return X.astype(np.float32), np.array(["a", "b", "c"])[codes]


@pytest.mark.parametrize(
    "head",
    [
        DenseHead(epochs=15, learning_rate=0.01),
        DenseHead(
            hidden=(16,),
            dropout=0.2,
            output="logits",
            optimizer="rmsprop",
            epochs=15,
            class_weight="balanced",
        ),
        DenseHead(optimizer="sgd", epochs=40, early_stopping=3),
    ],
)
def test_learns_and_agrees_with_its_keras_model(
    head: DenseHead, data: tuple[NDArray[np.float32], NDArray[np.str_]]
) -> None:
    X, y = data
    clone(head)
    assert head.fit(X, y).score(X, y) > 0.9
    p = head.predict_proba(X)
    out = np.asarray(head.to_keras()(X))
    if head.output == "logits":
        out = np.exp(out) / np.exp(out).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(p, out, atol=1e-4)
    stopped = head.early_stopping is not False
    assert set(head.history_) == {"loss", "accuracy"} | ({"val_loss", "val_accuracy"} if stopped else set())
    assert len(head.history_["loss"]) <= head.epochs


def test_two_classes_with_one_node(data: tuple[NDArray[np.float32], NDArray[np.str_]]) -> None:
    X, y = data
    head = DenseHead(output="sigmoid", epochs=15, learning_rate=0.01).fit(X, y == "b")
    assert head.score(X, y == "b") > 0.9
    assert head.predict_proba(X).shape == (150, 2)
    assert head.layers_[-1][0].shape == (10, 1)
    with pytest.raises(HeadError, match="these labels have 3"):
        head.fit(X, y)


def test_it_is_a_classifier_of_scikit_learn() -> None:
    """Weights are not the same as repeated rows where rows are shuffled into batches."""
    why = {"check_sample_weight_equivalence_on_dense_data": "batches of repeated rows are others"}
    check_estimator(DenseHead(epochs=40, learning_rate=0.05), expected_failed_checks=why, on_skip=None)


def test_same_seed_same_head_and_global_states_left_alone(
    data: tuple[NDArray[np.float32], NDArray[np.str_]],
) -> None:
    X, y = data
    options: dict[str, Any] = {"hidden": (8,), "dropout": 0.3, "epochs": 2, "early_stopping": True}
    random.seed(5)
    np.random.seed(5)
    expected = random.random(), np.random.random()  # noqa: S311
    random.seed(5)
    np.random.seed(5)
    first = DenseHead(**options).fit(X, y)
    assert (random.random(), np.random.random()) == expected  # noqa: S311
    second, third = DenseHead(**options).fit(X, y), DenseHead(**options, seed=1).fit(X, y)
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    assert not np.array_equal(first.predict_proba(X), third.predict_proba(X))


def test_learning_curves_on_rows_to_validate_on(data: tuple[NDArray[np.float32], NDArray[np.str_]]) -> None:
    X, y = data
    head = DenseHead(epochs=6, learning_rate=0.01).fit(X[:120], y[:120], validation=(X[120:], y[120:]))
    assert {name: len(values) for name, values in head.history_.items()} == dict.fromkeys(
        ("loss", "accuracy", "val_loss", "val_accuracy"), 6
    )
    p = head.predict_proba(X[120:])
    true = np.searchsorted(head.classes_, y[120:])
    assert head.history_["val_loss"][-1] == pytest.approx(-np.log(p[np.arange(30), true]).mean(), rel=1e-4)
    assert head.history_["val_accuracy"][-1] == pytest.approx(head.score(X[120:], y[120:]))
    assert head.history_["loss"][-1] < head.history_["loss"][0]
    foreign = np.where(y == "c", "d", y)
    again = DenseHead(epochs=6, learning_rate=0.01).fit(X[:120], y[:120], validation=(X[120:], foreign[120:]))
    some = y[120:] != "c"
    assert again.history_["val_accuracy"][-1] == pytest.approx(head.score(X[120:][some], y[120:][some]))
    with pytest.raises(HeadError, match="no row to validate on"):
        DenseHead().fit(X, y, validation=(X, np.full(len(X), "d")))


def test_early_stopping_keeps_the_best_weights() -> None:
    """Labels that are noise: what is learned of them makes the loss on other rows worse."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 30)).astype(np.float32), rng.integers(0, 2, 80)
    other = rng.normal(size=(200, 30)).astype(np.float32), rng.integers(0, 2, 200)
    options: dict[str, Any] = {"hidden": (32,), "epochs": 60, "learning_rate": 0.01}
    head = DenseHead(**options, early_stopping=2).fit(X, y, validation=other)
    losses = head.history_["val_loss"]
    assert len(losses) < 60
    assert len(losses) == np.argmin(losses) + 3
    p = head.predict_proba(other[0])[np.arange(200), other[1]]
    assert -np.log(p).mean() == pytest.approx(min(losses), rel=1e-4)


def test_sample_weights(data: tuple[NDArray[np.float32], NDArray[np.str_]]) -> None:
    X, y = data
    trusted = (np.arange(len(y)) % 4 == 0).astype(float)
    wrong = np.where(trusted, y, "a")
    head = DenseHead(epochs=15, learning_rate=0.01)
    assert head.fit(X, wrong).score(X, y) < 0.9
    assert head.set_params(epochs=60).fit(X, wrong, sample_weight=trusted).score(X, y) > 0.9
    for weights in (trusted[1:], -trusted, 0 * trusted):
        with pytest.raises(HeadError, match="sample_weight does not fit"):
            head.fit(X, y, sample_weight=weights)


def test_images_are_held_out_with_all_their_views() -> None:
    rng = np.random.default_rng(0)
    images, views = 40, 3
    codes, groups = np.tile(np.arange(images) % 2, views), np.tile(np.arange(images), views)
    training, held = DenseHead(early_stopping=True, validation_fraction=0.2).hold_out(codes, groups)
    assert len(held) == 8 * views
    assert not set(groups[training]) & set(groups[held])
    # Views that are all the same and labels that are noise: only a held-out view of a seen image could be told.
    vectors = rng.normal(size=(images, 200)).astype(np.float32)
    noise = rng.integers(0, 2, images)
    (head,) = heads = [DenseHead(early_stopping=20, epochs=20, learning_rate=0.05, validation_fraction=0.3)]
    fit_on_views(heads, [vectors] * views, [noise])
    assert head.history_["accuracy"][-1] == 1
    assert max(head.history_["val_accuracy"]) < 0.8
    few = DenseHead(early_stopping=True, validation_fraction=0.9).hold_out(np.arange(4) % 2)
    assert [rows.size for rows in few] == [2, 2]  # of a class, one image at least is trained on
    with pytest.raises(HeadError, match="groups has the shape"):
        DenseHead(early_stopping=True).fit(vectors, noise, groups=[1, 2])


def test_batches_instead_of_all_at_once(data: tuple[NDArray[np.float32], NDArray[np.str_]]) -> None:
    X, y = data
    seen: list[int] = []

    def batches(epoch: int) -> Any:
        seen.append(epoch)
        order = np.random.default_rng(epoch).permutation(len(X))
        return ((X[rows], y[rows]) for rows in np.array_split(order, 4))

    options: dict[str, Any] = {"epochs": 12, "learning_rate": 0.01, "class_weight": "balanced"}
    head = DenseHead(**options).fit_batches(batches, lambda _: [(X, y)])
    assert seen == list(range(13))
    whole = DenseHead(**options).fit(X, y)
    assert head.score(X, y) > 0.9
    np.testing.assert_allclose(head.predict_proba(X), whole.predict_proba(X), atol=0.1)
    assert head.history_["val_accuracy"][-1] == pytest.approx(head.score(X, y))
    again = DenseHead(**options).fit_batches(batches, lambda _: [(X, y)])
    np.testing.assert_array_equal(again.predict_proba(X), head.predict_proba(X))
    with pytest.raises(HeadError, match="needs `validation`"):
        DenseHead(early_stopping=True).fit_batches(batches)
    with pytest.raises(HeadError, match="of 1 class; two are needed"):
        DenseHead().fit_batches(lambda _: [(X, np.full(len(X), "a"))])
    with pytest.raises(HeadError, match="batches of an epoch were empty"):
        DenseHead().fit_batches(lambda epoch: [] if epoch else [(X, y)])
    with pytest.raises(HeadError, match="labels that the first look had not"):
        DenseHead().fit_batches(lambda epoch: [(X, y if epoch == 0 else np.full(len(X), "d"))])


def test_several_labels_an_image(data: tuple[NDArray[np.float32], NDArray[np.str_]]) -> None:
    X, y = data
    labels = np.stack([y == "a", y != "b", y == "c"], axis=1)
    head = DenseHead(epochs=30, learning_rate=0.02, early_stopping=25).fit(X, labels)
    assert (head.predict(X) == labels).all(axis=1).mean() > 0.9
    p = head.predict_proba(X)
    assert p.shape == (150, 3)
    np.testing.assert_allclose(p, np.asarray(head.to_keras()(X)), atol=1e-4)
    assert head.history_["val_accuracy"][-1] > 0.8
    with pytest.raises(HeadError, match="class_weight is for classes"):
        DenseHead(class_weight="balanced").fit(X, labels)


def test_batches_of_several_labels_an_image(data: tuple[NDArray[np.float32], NDArray[np.str_]]) -> None:
    X, y = data
    labels = np.stack([y == "a", y != "b", y == "c"], axis=1).astype(np.int8)

    def batches(epoch: int) -> Any:
        order = np.random.default_rng(epoch).permutation(len(X))
        return ((X[rows], labels[rows]) for rows in np.array_split(order, 4))

    options: dict[str, Any] = {"epochs": 30, "learning_rate": 0.02}
    head = DenseHead(**options, early_stopping=25).fit_batches(batches, lambda _: [(X, labels)])
    assert head.multilabel_
    assert (head.predict(X) == labels).all(axis=1).mean() > 0.9
    assert head.history_["val_accuracy"][-1] > 0.9
    whole = DenseHead(**options).fit(X, labels)
    np.testing.assert_allclose(head.predict_proba(X), whole.predict_proba(X), atol=0.15)
    with pytest.raises(HeadError, match="each row has 3"):
        DenseHead().fit_batches(lambda epoch: [(X, labels[:, : 2 if epoch else 3])])
    with pytest.raises(HeadError, match="class_weight is for classes"):
        DenseHead(class_weight="balanced").fit_batches(batches)


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_a_network_that_was_compiled_before_is_as_good_as_new(
    data: tuple[NDArray[np.float32], NDArray[np.str_]], optimizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = data
    options: dict[str, Any] = {
        "hidden": (6,),
        "dropout": 0.3,
        "epochs": 3,
        "early_stopping": True,
        "optimizer": optimizer,
    }
    monkeypatch.setattr("classifiers.dense_training._idle", OrderedDict())
    first = DenseHead(**options).fit(X, y)
    monkeypatch.setattr("classifiers.dense_training._Network", None)  # no other can be made
    DenseHead(**options, seed=5, learning_rate=0.5).fit(X[:90], y[:90])
    again = DenseHead(**options).fit(X, y)
    np.testing.assert_array_equal(first.predict_proba(X), again.predict_proba(X))
    assert first.history_ == again.history_
    with pytest.raises(TypeError):  # of another shape
        DenseHead(**options).fit(X[:, 1:], y)


def test_threads_do_not_train_the_same_network(data: tuple[NDArray[np.float32], NDArray[np.str_]]) -> None:
    X, y = data
    heads = [DenseHead(epochs=4, seed=seed) for seed in range(6)]
    alone = [clone(head).fit(X, y).predict_proba(X) for head in heads]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda head: head.fit(X, y).predict_proba(X), heads))
    np.testing.assert_array_equal(together, alone)


def test_a_loss_that_runs_away(data: tuple[NDArray[np.float32], NDArray[np.str_]]) -> None:
    with pytest.raises(HeadError, match="Lower learning_rate"):
        DenseHead(hidden=(8,), optimizer="sgd", learning_rate=1e30, epochs=3).fit(*data)


@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        (DenseHead().set_params(output="softmx"), "Did you mean 'softmax'"),
        (DenseHead().set_params(optimizer="adamm"), "Did you mean 'adam'"),
        (DenseHead().set_params(hidden=64), "tuple of layer sizes"),
        (DenseHead(dropout=1.0), "dropout"),
        (DenseHead(learning_rate=-1), "learning_rate"),
        (DenseHead(epochs=0), "epochs"),
        (DenseHead(validation_fraction=0), "validation_fraction"),
        (DenseHead(early_stopping=0), "early_stopping"),
        (DenseHead().set_params(early_stopping="yes"), "early_stopping"),
        (DenseHead().set_params(dropout="much"), "dropout"),
        (DenseHead().set_params(learning_rate="fast"), "learning_rate"),
        (DenseHead(seed=-1), "seed"),
    ],
)
def test_wrong_options(head: DenseHead, sentence: str) -> None:
    with pytest.raises(HeadError, match=sentence):
        head.fit(np.eye(4), [0, 1, 0, 1])
