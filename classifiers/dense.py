"""Dense heads: small networks that Keras trains and plain arrays run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from classifiers.dense_batches import Batches, survey
from classifiers.dense_options import check_options
from classifiers.dense_training import Block, Layer, Passes, block, keras_model, train
from classifiers.errors import HeadError
from classifiers.heads import Head, probabilities
from classifiers.reading_ahead import ahead
from classifiers.row_weights import ClassWeight, training_weights
from classifiers.scaling import mean_and_scale

_BLOCK = 16_384

Array = NDArray[Any]
Keras = Any  # its models have no types


class DenseHead(Head):
    """A dense network: ReLU layers of the sizes in `hidden` (none by default), then one output layer.

    `output`: 'softmax' (one node a class, categorical cross-entropy), 'sigmoid' (two classes, one node, binary
    cross-entropy) or 'logits' (linear nodes, the softmax inside the loss). `dropout` acts before each layer.
    `optimizer`: 'adam', 'sgd' (momentum 0.9) or 'rmsprop'; `learning_rate` None is 0.001, 0.01 and 0.001.
    `early_stopping`: False, True (patience 5) or a patience in epochs; it goes by the loss on `validation`, or on
    `validation_fraction` of each class that it holds out, and keeps the best weights. `class_weight`: None,
    'balanced' or a dict by class. For training the vectors are centred and divided by one number, their root mean
    variance (with `standardize` each dimension by its own deviation); this is folded into the first layer
    afterwards. The same `seed` and rows give the same network; global random states are left alone.

    y may be an indicator matrix (n, t) of 0 and 1, of several labels an image: each label then has a sigmoid node,
    whatever `output` says, and `accuracy` of the curves is the share of rows with all labels right.

    After `fit`: `layers_`, a list of (kernel (in, out), bias (out,)) float32 that take vectors as they are, so
    that prediction needs no Keras; `history_`, a dict of learning curves, lists by epoch (loss, accuracy, and
    where there is something to validate on val_loss, val_accuracy; the first two are those of the training
    itself, with dropout, as Keras reports them); and `classes_`, `space_`, `recipe_` as any head.
    """

    def __init__(
        self,
        *,
        hidden: tuple[int, ...] = (),
        dropout: float = 0.0,
        output: Literal["softmax", "sigmoid", "logits"] = "softmax",
        optimizer: Literal["adam", "sgd", "rmsprop"] = "adam",
        learning_rate: float | None = None,
        epochs: int = 30,
        batch_size: int = 32,
        early_stopping: bool | int = False,
        validation_fraction: float = 0.1,
        class_weight: ClassWeight = None,
        seed: int = 0,
        standardize: bool = False,
    ) -> None:
        self.hidden = hidden
        self.dropout = dropout
        self.output = output
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.class_weight = class_weight
        self.seed = seed
        self.standardize = standardize

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        validation: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> Self:
        """Fits on (n, d) vectors and (n,) labels, or (n, t) of 0 and 1. Raises HeadError.

        sample_weight: (n,) from 0 up, on top of `class_weight`. groups: (n,) equal for rows of one image; early
        stopping then holds out whole images. validation: vectors and labels to test on after each epoch; rows of
        classes that are not in `y` are left out.
        """
        check_options(self)
        vectors, codes = self._checked_training(X, y)
        self._check_nodes()
        weights = training_weights(self, codes, sample_weight)
        weights = np.ones(len(codes)) if weights is None else weights
        training, held = np.arange(len(codes)), None
        if self.early_stopping is not False and validation is None:
            training, held = self.hold_out(codes, groups)
        mean, scale = mean_and_scale(vectors, self.standardize)
        everything = block((vectors - mean) / scale, codes, weights)
        tests: Passes | None = None if held is None else lambda _: [(everything, held)]
        if validation is not None:
            other = self._validation_block(*validation, mean, scale)
            tests = lambda _: [(other, np.arange(len(other[1])))]  # noqa: E731
        self._train(lambda epoch: [(everything, self._shuffled(epoch, training))], tests, mean, scale)
        return self

    def fit_batches(self, batches: Batches, validation: Batches | None = None) -> Self:
        """Fits on vectors that do not fit in memory. Raises HeadError.

        `batches(epoch)` gives pairs of vectors (m, d) and labels (m,), or (m, t) of 0 and 1, each row once, in any
        order; it is called with 0 for a first look at scale and classes, then with 1, 2, … Rows are shuffled within
        a batch: give large ones. A thread makes the next while one is trained on.
        (`classifiers.dense_batches.store_batches` makes them of a store.) `validation` is
        the same for rows to test on; early stopping needs it.
        """
        check_options(self)
        if self.early_stopping is not False and validation is None:
            raise HeadError(
                "early_stopping on batches needs `validation`, batches of rows that are not trained on."
            )
        counts, moments = survey(self, ahead(batches(0)))
        self._check_nodes()
        each = training_weights(self, np.repeat(np.arange(len(counts)), counts), None)
        by_class = np.ones(len(counts)) if each is None else each[np.cumsum(counts) - 1]
        mean, scale = moments.mean_and_scale(self.standardize)

        def passes(epoch: int) -> Iterator[tuple[Block, NDArray[np.intp]]]:
            for number, (X, y) in enumerate(batches(epoch)):
                vectors, labels = self._checked_rows(X, y, first=False)
                codes = self._codes(labels)
                if (codes < 0).any():
                    raise HeadError(
                        f"batch {number} of epoch {epoch} has labels that the first look had not."
                    )
                weights = by_class[codes] if codes.ndim == 1 else np.ones(len(codes))
                rows = block((vectors - mean) / scale, codes, weights)
                yield rows, self._shuffled(epoch, np.arange(len(codes)), number)

        def tests(epoch: int) -> Iterator[tuple[Block, NDArray[np.intp]]]:
            for X, y in validation(epoch) if validation else ():
                rows = self._validation_block(X, y, mean, scale)
                yield rows, np.arange(len(rows[1]))

        read: Passes = lambda epoch: ahead(passes(epoch))  # noqa: E731
        tested: Passes = lambda epoch: ahead(tests(epoch))  # noqa: E731
        self._train(read, tested if validation else None, mean, scale)
        return self

    def decision_function(self, X: ArrayLike) -> Array:
        """What the last layer gives before softmax or sigmoid: (n, k); (n,) for two classes; (n, t) of labels."""
        checked = self._checked(X)
        scores = np.concatenate(
            [self._forward(checked[i : i + _BLOCK]) for i in range(0, len(checked), _BLOCK)]
        )
        if self.multilabel_:
            return scores
        if scores.shape[1] == 1:
            return scores[:, 0]
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict_proba(self, X: ArrayLike) -> Array:
        """Probabilities (n, k), columns in the order of `classes_`; (n, t), of each label by itself."""
        scores = self.decision_function(X)
        if not self.multilabel_:
            return probabilities(scores)
        from scipy.special import expit

        independent: Array = expit(scores)
        return independent

    def to_keras(self) -> Keras:
        """The trained network as a `keras.Sequential` that takes vectors as they are. Imports Keras."""
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        activation = "sigmoid" if self.multilabel_ else self.output
        model = keras_model(
            self, self.n_features_in_, self.nodes, None if self.output == "logits" else activation
        )
        model.set_weights([array for layer in self.layers_ for array in layer])
        return model

    def hold_out(
        self, codes: NDArray[np.intp], groups: ArrayLike | None = None
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows to train on, and rows to stop by: a share of the images of each class that has two or more.

        codes: (n,) labels; of several an image, (n, t), images are drawn whatever their labels. groups: (n,) equal
        for rows of one image, which are not parted.
        """
        rows = np.arange(len(codes))
        codes = codes if codes.ndim == 1 else np.zeros(len(codes), np.intp)
        _, firsts, image = np.unique(
            rows if groups is None else _checked_groups(groups, len(rows)),
            return_index=True,
            return_inverse=True,
        )
        generator = np.random.default_rng(self.seed)
        held = np.zeros(len(firsts), bool)
        for code in np.unique(codes):
            members = generator.permutation(np.flatnonzero(codes[firsts] == code))
            if len(members) > 1:
                share = round(len(members) * self.validation_fraction)
                held[members[: min(max(1, share), len(members) - 1)]] = True
        if not held.any():
            raise HeadError(
                "early_stopping needs a class with two images or more, to hold one out; every class has one."
            )
        return rows[~held[image]], rows[held[image]]

    @property
    def nodes(self) -> int:
        """Of the last layer: one a class or label, or one for two classes with output='sigmoid'."""
        return 1 if self.output == "sigmoid" and not self.multilabel_ else len(self.classes_)

    def _forward(self, X: Array) -> Array:
        for kernel, bias in self.layers_[:-1]:
            X = np.maximum(X @ kernel + bias, 0)
        kernel, bias = self.layers_[-1]
        result: Array = X @ kernel + bias
        return result

    def _train(self, passes: Passes, tests: Passes | None, mean: Array, scale: Array) -> None:
        layers, self.history_ = train(self, self.n_features_in_, passes, tests)
        self.layers_ = _folded(layers, mean, scale)

    def _check_nodes(self) -> None:
        if self.output == "sigmoid" and len(self.classes_) != 2 and not self.multilabel_:
            raise HeadError(
                f"output='sigmoid' has one node and tells two classes apart; these labels have {len(self.classes_)}. "
                "Use output='softmax'."
            )

    def _codes(self, labels: Array) -> NDArray[np.intp]:
        """Places of labels (n,) in `classes_`, -1 for those that are not there; an indicator (n, t) as it is."""
        if self.multilabel_:
            if labels.shape[1:] != self.classes_.shape:
                raise HeadError(f"labels have the shape {labels.shape}; each row has {len(self.classes_)}.")
            return labels.astype(np.intp)
        places = np.searchsorted(self.classes_, labels).clip(max=len(self.classes_) - 1)
        return np.where(self.classes_[places] == labels, places, -1)

    def _validation_block(self, X: ArrayLike, y: ArrayLike, mean: Array, scale: Array) -> Block:
        vectors, labels = self._checked(X), np.asarray(y)
        if len(labels) != len(vectors):
            raise HeadError(f"there are {len(labels):,} labels for {len(vectors):,} rows to validate on.")
        codes = self._codes(labels)
        known = codes >= 0 if codes.ndim == 1 else np.ones(len(codes), bool)
        if not known.any():
            raise HeadError("no row to validate on is of a class that is trained on.")
        return block((vectors[known] - mean) / scale, codes[known], np.ones(known.sum()))

    def _shuffled(self, epoch: int, rows: NDArray[np.intp], batch: int = 0) -> NDArray[np.intp]:
        return np.random.default_rng((self.seed, epoch, batch)).permutation(rows)


def _folded(layers: list[Layer], mean: Array, scale: Array) -> list[Layer]:
    """The same network on unscaled vectors: ((x - mean) / scale) W + b = x (W / scale) + (b - (mean / scale) W)."""
    kernel, bias = layers[0]
    moved = kernel.astype(np.float64) / scale[..., None]
    return [(moved.astype(np.float32), (bias - mean @ moved).astype(np.float32)), *layers[1:]]


def _checked_groups(groups: ArrayLike, rows: int) -> Array:
    checked = np.asarray(groups)
    if checked.shape != (rows,):
        raise HeadError(f"groups has the shape {checked.shape}; X has {rows:,} rows.")
    return checked
