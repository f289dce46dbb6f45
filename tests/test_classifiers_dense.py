"""The dense head trains, repeats itself, runs without Keras, and refuses what cannot work."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone

from classifiers import DenseHead, HeadError

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
    ],
)
def test_wrong_options(head: DenseHead, sentence: str) -> None:
    with pytest.raises(HeadError, match=sentence):
        head.fit(np.eye(4), [0, 1, 0, 1])
