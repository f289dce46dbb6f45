"""Heads by name."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression

from classifiers import DenseHead, HeadError, LogisticHead, UnknownHeadError, make_head, split_heads
from classifiers.presets import PRESETS, head_name


def test_options() -> None:
    assert make_head("logistic(C=0.1, class_weight=balanced)").get_params()["class_weight"] == "balanced"
    dense = make_head("dense(hidden=(64,32), dropout=0.25, optimizer='sgd', early_stopping=true)")
    assert isinstance(dense, DenseHead)
    assert (dense.hidden, dense.dropout, dense.optimizer, dense.early_stopping) == (
        (64, 32),
        0.25,
        "sgd",
        True,
    )
    assert make_head(" svm(C=3) ").steps[-1][1].C == 3
    assert make_head("ridge", alpha=2.0).alpha == 2.0


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("rigde", "no head 'rigde'. Did you mean 'ridge'"),
        ("logistic(c=1)", "no option 'c'. Did you mean 'C'"),
        ("knn(n_neighbours=3)", "Did you mean 'n_neighbors'"),
        ("svm(C=-1)", "'svm' has a wrong value"),
        ("ridge(1.0)", "cannot read the head"),
        ("ridge(alpha=", "cannot read the head"),
        ("ridge(alpha=__import__('os').getcwd())", "is not a number, word, list or tuple"),
        ("ridge(**{})", "cannot read the head"),
        ("os.system", "cannot read the head"),
        ("", "cannot read the head"),
    ],
)
def test_wrong_heads(spec: str, sentence: str) -> None:
    with pytest.raises(HeadError, match=sentence.replace("(", r"\(")):
        make_head(spec)


def test_estimators() -> None:
    forest = RandomForestClassifier(7)
    assert make_head(forest) is not forest
    assert head_name(forest) == "RandomForestClassifier(n_estimators=7)"
    assert head_name(LogisticHead(C=0.5)) == "LogisticHead(C=0.5)"
    for wrong in (LinearRegression(), RandomForestClassifier, 3):
        with pytest.raises(HeadError, match="is no head"):
            make_head(wrong)
    with pytest.raises(UnknownHeadError):
        make_head(forest, n_estimator=3)


def test_split_heads() -> None:
    assert split_heads("ridge, logistic(C=0.1),dense(hidden=(64,32),output='a,b'),") == [
        "ridge",
        "logistic(C=0.1)",
        "dense(hidden=(64,32),output='a,b')",
    ]


@pytest.mark.parametrize("name", sorted(set(PRESETS) - {"dense"}))
def test_every_preset_learns(name: str) -> None:
    generator = np.random.default_rng(0)
    y = np.arange(60) % 3
    X = (5 * np.eye(3)[y] @ generator.normal(size=(3, 6)) + generator.normal(size=(60, 6))).astype(np.float32)
    small = {"forest": {"n_estimators": 10}, "boosting": {"max_iter": 5}}.get(name, {})
    assert clone(make_head(name, **small)).fit(X, y).score(X, y) > 0.9
