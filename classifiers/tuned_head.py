"""The linear layer of a fine-tuned network: where it starts, and what is saved of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from classifiers.dense import DenseHead
from classifiers.dense_training import Layer
from classifiers.errors import HeadError
from classifiers.fitting import fit_on_views
from classifiers.heads import LinearHead
from classifiers.labels import Labels
from classifiers.networks import head_network
from classifiers.presets import Estimator, HeadSpec, head_name, make_head
from classifiers.saved_heads import SavedHead
from classifiers.targets import Targets
from store.vectors import Vectors

LOSSES = ("auto", "binary", "categorical")


def check_loss(labels: Labels, loss: str) -> None:
    """Raises HeadError unless the labels can be learned with this loss; `auto` fits all."""
    if loss not in LOSSES:
        raise HeadError(f"loss {loss!r} does not exist: expected {', '.join(LOSSES)}.")
    if loss == "binary" and len(labels.classes) != 2 and not labels.multilabel:
        raise HeadError(
            f"binary cross-entropy tells two classes apart; the scheme has {len(labels.classes)}. Use categorical."
        )
    if loss == "categorical" and labels.multilabel:
        raise HeadError(
            "categorical cross-entropy takes one label an image; the scheme gives several. Use binary."
        )


def linear_start(
    head: HeadSpec, vectors: Vectors, codes: Targets, labels: Labels, loss: str
) -> tuple[SavedHead, Layer, list[str]]:
    """A linear head fitted on vectors (n, dim) and their codes, its kernel (dim, nodes) and bias (nodes,), and what it
    warned of. Its probabilities are the sigmoid of one node for two classes, unless `loss` is categorical; of each
    node, for several labels an image; else the softmax.

    Raises HeadError.
    """
    estimator = make_head(head)
    if not isinstance(estimator, LinearHead):
        raise HeadError(
            f"training starts from a linear head; {head_name(head)} is none. Use ridge or logistic."
        )
    warned = fit_on_views([estimator], [vectors], [codes])
    saved = SavedHead.of(estimator, classes=labels.classes, head=head_name(head))
    kernel, bias = head_network(saved).layers[-1]
    if _one_node(labels, loss):
        kernel, bias = kernel[:, 1:] - kernel[:, :1], bias[1:] - bias[:1]
    return saved, (kernel, bias), warned


def random_start(dim: int, labels: Labels, loss: str, seed: int) -> Layer:
    """A layer that has learned nothing, of the nodes that `linear_start` has: its kernel is drawn evenly as Keras draws
    it (Glorot and Bengio 2010), its bias is 0.
    """
    nodes = 1 if _one_node(labels, loss) else len(labels.classes)
    largest = np.sqrt(6 / (dim + nodes))
    kernel = np.random.default_rng(seed).uniform(-largest, largest, (dim, nodes))
    return kernel.astype(np.float32), np.zeros(nodes, np.float32)


def _one_node(labels: Labels, loss: str) -> bool:
    return len(labels.classes) == 2 and not labels.multilabel and loss != "categorical"


def tuned_head(
    layer: Layer,
    labels: Labels,
    space: str,
    recipe: Mapping[str, Any],
    history: Mapping[str, Sequence[float]],
    parameters: Mapping[str, Any],
) -> Estimator:
    """The fitted head of a layer on the vectors of a tuned backbone, codes as its classes.

    parameters: those of `DenseHead` by which it was trained.
    """
    output: Literal["sigmoid", "softmax"] = "sigmoid" if len(layer[1]) == 1 else "softmax"
    head = DenseHead(output=output, **parameters)
    head.layers_, head.n_features_in_ = [layer], len(layer[0])
    head.classes_, head.multilabel_ = np.arange(len(labels.classes)), labels.multilabel
    head.space_, head.recipe_ = space, dict(recipe)
    head.history_ = {name: list(values) for name, values in history.items()}
    return head
