"""A saved head as plain layers, for programs that know nothing of embank."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from classifiers.dense import DenseHead
from classifiers.dense_training import Layer
from classifiers.errors import HeadError
from classifiers.heads import LinearHead
from classifiers.saved_heads import SavedHead

_NEVER = -1e9  # the score of a class that the head never saw; its softmax is 0


class Network(NamedTuple):
    """ReLU layers from vectors to one score a class, in the order of the head's classes.

    layers: (kernel (in, out), bias (out,)) float32 each. activation: what turns the last scores into
    probabilities, `softmax`, or `sigmoid` where an image may have several labels.
    """

    layers: list[Layer]
    activation: str


def head_network(saved: SavedHead) -> Network:
    """The layers of a ridge, logistic or dense head. Raises HeadError for another, which is no such network."""
    estimator = saved.estimator
    if isinstance(estimator, DenseHead):
        *hidden, last = estimator.layers_
    elif isinstance(estimator, LinearHead):
        hidden, last = [], _linear_layer(estimator)
    else:
        raise HeadError(
            f"{saved.head} is a scikit-learn estimator, which cannot become a part of a model: only ridge, logistic "
            "and dense heads can. Train one of these, or label images with `embank predict`."
        )
    kernel, bias = (array.astype(np.float64) for array in last)
    if saved.multilabel:
        columns, activation = np.arange(len(bias)), "sigmoid"
    else:
        if len(bias) == 1:  # one score for two classes: the logistic function of s is the softmax of (0, s)
            kernel, bias = np.concatenate([0 * kernel, kernel], axis=1), np.array([0.0, bias[0]])
        columns, activation = saved.columns, "softmax"
    all_kernel = np.zeros((len(kernel), len(saved.classes)))
    all_bias = np.full(len(saved.classes), _NEVER)
    all_kernel[:, columns], all_bias[columns] = kernel, bias
    return Network([*hidden, (all_kernel.astype(np.float32), all_bias.astype(np.float32))], activation)


def _linear_layer(head: LinearHead) -> tuple[NDArray[Any], NDArray[Any]]:
    """The coefficients with what makes probabilities of scores folded in."""
    given: Any = getattr(head, "temperature_", 1.0)
    factors, offsets = given if np.ndim(given) else (given, 0.0)
    return head.coef_.T * factors, head.intercept_ * factors + offsets
