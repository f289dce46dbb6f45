"""The linear layer of a tuned network: it starts as the linear head, and ends as a head file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, softmax

from classifiers import HeadError, SavedHead, load_head
from classifiers.labels import Labels
from classifiers.tuned_head import check_loss, linear_start, tuned_head
from store import Vectors
from store.recipes import space_id

RECIPE: dict[str, Any] = {"backbone": "Tiny", "layer": None}
SPACE = space_id(RECIPE)


def examples(classes: int, several: bool = False) -> tuple[Vectors, Labels]:
    rng = np.random.default_rng(0)
    codes = np.arange(60) % classes
    X = rng.normal(size=(60, 5)).astype(np.float32)
    X[:, 0] += codes
    if several:
        codes = (X[:, :classes] > 0.3).astype(np.int8)
    names = tuple("abcdef"[:classes])
    return Vectors.of(X, SPACE, RECIPE), Labels("letters", names, codes)


def scores(layer: tuple[NDArray[Any], NDArray[Any]], X: Vectors) -> NDArray[Any]:
    result: NDArray[Any] = np.asarray(X, np.float64) @ layer[0] + layer[1]
    return result


@pytest.mark.parametrize("head", ["ridge", "logistic(C=0.5)"])
@pytest.mark.parametrize(
    ("classes", "several", "loss", "nodes"),
    [
        (2, False, "auto", 1),
        (2, False, "categorical", 2),
        (3, False, "auto", 3),
        (3, True, "auto", 3),
        (2, True, "auto", 2),
    ],
)
def test_the_layer_starts_with_the_probabilities_of_the_linear_head(
    head: str, classes: int, several: bool, loss: str, nodes: int
) -> None:
    X, labels = examples(classes, several)
    saved, layer, _ = linear_start(head, X, labels.codes, labels, loss)
    found = scores(layer, X)
    assert found.shape == (60, nodes)
    expected = saved.predict_proba(X)
    if nodes == 1:
        assert np.allclose(expit(found[:, 0]), expected[:, 1], atol=1e-5)
    else:
        assert np.allclose(expit(found) if several else softmax(found, axis=1), expected, atol=1e-5)


@pytest.mark.parametrize(("classes", "several", "nodes"), [(2, False, 1), (3, False, 3), (2, True, 2)])
def test_the_layer_is_a_head_that_can_be_saved(
    tmp_path: Path, classes: int, several: bool, nodes: int
) -> None:
    X, labels = examples(classes, several)
    rng = np.random.default_rng(1)
    layer = rng.normal(size=(5, nodes)).astype(np.float32), rng.normal(size=nodes).astype(np.float32)
    head = tuned_head(layer, labels, SPACE, RECIPE, {"loss": [0.7, 0.6]}, {"epochs": 1, "optimizer": "sgd"})
    SavedHead.of(head, classes=labels.classes).save(tmp_path / "tuned.head")
    read = load_head(tmp_path / "tuned.head")
    found, expected = read.predict_proba(X), scores(layer, X)
    if several:
        assert np.allclose(found, expit(expected), atol=1e-5)
    elif nodes == 1:
        assert np.allclose(found[:, 1], expit(expected[:, 0]), atol=1e-5)
    else:
        assert np.allclose(found, softmax(expected, axis=1), atol=1e-5)
    assert read.space == SPACE
    assert read.estimator.history_ == {"loss": [0.7, 0.6]}


def test_a_loss_that_does_not_fit_the_labels_is_refused() -> None:
    _, three = examples(3)
    _, several = examples(3, several=True)
    for labels, loss, sentence in (
        (three, "binary", "the scheme has 3"),
        (several, "categorical", "the scheme gives several"),
        (three, "triple", "does not exist"),
    ):
        with pytest.raises(HeadError, match=sentence):
            check_loss(labels, loss)
    check_loss(several, "binary")


def test_training_starts_from_a_linear_head_only() -> None:
    X, labels = examples(2)
    with pytest.raises(HeadError, match=r"svm is none. Use ridge or logistic"):
        linear_start("svm", X, labels.codes, labels, "auto")
