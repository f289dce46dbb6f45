"""Dense heads: small networks that Keras trains and plain arrays run."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from classifiers.errors import HeadError
from classifiers.heads import Head, probabilities
from classifiers.ridge import ClassWeight, row_weights
from classifiers.scaling import mean_and_scale
from classifiers.suggestions import suggest
from store.keras_setup import load_keras

LEARNING_RATES = {"adam": 1e-3, "sgd": 1e-2, "rmsprop": 1e-3}  # Keras's own defaults
OUTPUTS = ("softmax", "sigmoid", "logits")
_PATIENCE = 5
_MOMENTUM = 0.9
_STEPS_AT_ONCE = 32
_BLOCK = 16_384

Keras = Any  # the package, its models and callbacks: it has no types
Data = tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]  # vectors, codes, weights
Layer = tuple[NDArray[np.float32], NDArray[np.float32]]


class DenseHead(Head):
    """A dense network: ReLU layers of the sizes in `hidden` (none by default), then one output layer.

    `output`: 'softmax' (one node a class, categorical cross-entropy), 'sigmoid' (two classes, one node, binary
    cross-entropy) or 'logits' (linear nodes, the softmax inside the loss). `dropout` acts before each layer.
    `optimizer`: 'adam', 'sgd' (momentum 0.9) or 'rmsprop'; `learning_rate` None is 0.001, 0.01 and 0.001.
    `early_stopping`: False, True (patience 5) or a patience in epochs; it holds `validation_fraction` of each
    class out and keeps the best weights. `class_weight`: None, 'balanced' or a dict by class. For training the
    vectors are centred and divided by one number, their root mean variance (with `standardize` each dimension by
    its own deviation); this is folded into the first layer afterwards. The same `seed` and rows give the same
    network; global random states are left alone.

    After `fit`: `layers_`, a list of (kernel (in, out), bias (out,)) float32 that take vectors as they are, so
    that prediction needs no Keras; `history_`, a dict of lists by epoch (loss, accuracy, val_loss,
    val_accuracy); and `classes_`, `space_`, `recipe_` as any head.
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

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fits on (n, d) vectors and (n,) labels. Raises HeadError."""
        _check_options(self)
        vectors, codes = self._checked_training(X, y)
        if self.output == "sigmoid" and len(self.classes_) != 2:
            raise HeadError(
                f"output='sigmoid' has one node and tells two classes apart; these labels have {len(self.classes_)}. "
                "Use output='softmax'."
            )
        weights = row_weights(self.class_weight, self.classes_, codes).astype(np.float32)
        mean, scale = mean_and_scale(vectors, self.standardize)
        scaled = ((vectors - mean) / scale).astype(np.float32, copy=False)
        training, validation = self._held_out(codes)
        model = self._compiled(vectors.shape[1])
        self.history_ = _train(self, model, (scaled, codes.astype(np.int32), weights), training, validation)
        self.layers_ = _folded(_weights(model), mean, scale)
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[Any]:
        """What the last layer gives before softmax or sigmoid: (n, k); (n,) for two classes."""
        checked = self._checked(X)
        scores = np.concatenate(
            [self._forward(checked[i : i + _BLOCK]) for i in range(0, len(checked), _BLOCK)]
        )
        if scores.shape[1] == 1:
            return scores[:, 0]
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """Probabilities (n, k), columns in the order of `classes_`."""
        return probabilities(self.decision_function(X))

    def to_keras(self) -> Keras:
        """The trained network as a `keras.Sequential` that takes vectors as they are. Imports Keras."""
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        model = self._model(load_keras(), self.n_features_in_)
        model.set_weights([array for layer in self.layers_ for array in layer])
        return model

    def _forward(self, X: NDArray[Any]) -> NDArray[Any]:
        for kernel, bias in self.layers_[:-1]:
            X = np.maximum(X @ kernel + bias, 0)
        kernel, bias = self.layers_[-1]
        result: NDArray[Any] = X @ kernel + bias
        return result

    def _model(self, keras: Keras, dim: int) -> Keras:
        nodes = 1 if self.output == "sigmoid" else len(self.classes_)
        activation = None if self.output == "logits" else self.output
        shapes = [(size, "relu") for size in self.hidden] + [(nodes, activation)]
        layers = [keras.Input((dim,))]
        for number, (size, function) in enumerate(shapes):
            if self.dropout:
                layers.append(keras.layers.Dropout(self.dropout, seed=self.seed + 1000 + number))
            start = keras.initializers.GlorotUniform(seed=self.seed + number)
            layers.append(keras.layers.Dense(size, activation=function, kernel_initializer=start))
        return keras.Sequential(layers)

    def _compiled(self, dim: int) -> Keras:
        keras = load_keras()
        model = self._model(keras, dim)
        rate = LEARNING_RATES[self.optimizer] if self.learning_rate is None else self.learning_rate
        optimizers = {
            "adam": keras.optimizers.Adam,
            "rmsprop": keras.optimizers.RMSprop,
            "sgd": lambda rate: keras.optimizers.SGD(rate, momentum=_MOMENTUM),
        }
        loss = (
            keras.losses.BinaryCrossentropy()
            if self.output == "sigmoid"
            else keras.losses.SparseCategoricalCrossentropy(from_logits=self.output == "logits")
        )
        model.compile(
            optimizers[self.optimizer](rate),
            loss,
            weighted_metrics=["accuracy"],
            jit_compile=False,  # compiling with XLA takes longer than most of these networks train
        )
        return model

    def _held_out(self, codes: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows to train on, and rows to stop by: a share of each class that has two rows or more."""
        rows = np.arange(len(codes))
        if self.early_stopping is False:
            return rows, rows[:0]
        generator = np.random.default_rng(self.seed)
        held: list[NDArray[np.intp]] = []
        for code in np.unique(codes):
            members = generator.permutation(rows[codes == code])
            if len(members) > 1:
                held.append(members[: max(1, round(len(members) * self.validation_fraction))])
        validation = np.sort(np.concatenate(held)) if held else rows[:0]
        if not len(validation):
            raise HeadError(
                "early_stopping needs a class with two rows or more, to hold one out; every class has one."
            )
        return np.setdiff1d(rows, validation), validation


def _train(
    head: DenseHead,
    model: Keras,
    data: Data,
    training: NDArray[np.intp],
    validation: NDArray[np.intp],
) -> dict[str, list[float]]:
    """Trains the model on `training` rows; returns its history."""
    keras = load_keras()
    batches = -(-len(training) // head.batch_size)
    # Several steps in one call save Keras's overhead, which is most of the time for networks this small.
    model.steps_per_execution = next(
        s for s in range(min(batches, _STEPS_AT_ONCE), 0, -1) if batches % s == 0
    )
    callbacks: list[Any] = [_stop_at_nan(keras, model)]
    stopping: dict[str, Any] = {}
    if len(validation):
        patience = _PATIENCE if head.early_stopping is True else int(head.early_stopping)
        callbacks.append(
            keras.callbacks.EarlyStopping("val_loss", patience=patience, restore_best_weights=True)
        )
        stopping["validation_data"] = _batches(data, validation, 4096, None)
    batched = _batches(data, training, head.batch_size, head.seed)
    result = model.fit(batched, epochs=head.epochs, shuffle=False, verbose=0, callbacks=callbacks, **stopping)
    history = {name: [float(value) for value in values] for name, values in result.history.items()}
    if not np.isfinite(history["loss"]).all() or not all(np.isfinite(w).all() for w in model.get_weights()):
        rate = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
        raise HeadError(
            f"the loss of the dense head was no longer finite in epoch {len(history['loss'])}: the learning rate of "
            f"{rate:g} is too high for {head.optimizer}. Lower learning_rate, for example to {rate / 10:g}."
        )
    return history


def _stop_at_nan(keras: Keras, model: Keras) -> Keras:
    """Stops training after an epoch without a finite loss. (Keras's own TerminateOnNaN prints to stdout.)"""

    def stop(epoch: int, logs: dict[str, float]) -> None:
        if not np.isfinite(logs["loss"]):
            model.stop_training = True

    return keras.callbacks.LambdaCallback(on_epoch_end=stop)


def _batches(
    data: Data,
    rows: NDArray[np.intp],
    size: int,
    seed: int | None,
) -> Keras:
    """A tf.data pipeline of (vectors, codes, weights), newly shuffled each epoch if there is a seed."""
    import tensorflow as tf

    order = tf.data.Dataset.from_tensor_slices(rows)
    if seed is not None:
        order = order.shuffle(len(rows), seed=seed, reshuffle_each_iteration=True)
    tensors = tuple(tf.constant(array) for array in data)
    return order.batch(size).map(lambda some: tuple(tf.gather(t, some) for t in tensors)).prefetch(2)


def _weights(model: Keras) -> list[Layer]:
    arrays = [np.asarray(array, np.float32) for array in model.get_weights()]
    return list(zip(arrays[::2], arrays[1::2], strict=True))


def _folded(layers: list[Layer], mean: NDArray[Any], scale: NDArray[Any]) -> list[Layer]:
    """The same network on unscaled vectors: ((x - mean) / scale) W + b = x (W / scale) + (b - (mean / scale) W)."""
    kernel, bias = layers[0]
    moved = kernel.astype(np.float64) / scale[..., None]
    return [(moved.astype(np.float32), (bias - mean @ moved).astype(np.float32)), *layers[1:]]


def _check_options(head: DenseHead) -> None:
    """Raises HeadError for an option that Keras would refuse with a long traceback, or accept silently."""
    for option, valid in (("output", OUTPUTS), ("optimizer", tuple(LEARNING_RATES))):
        value = getattr(head, option)
        if value not in valid:
            raise HeadError(f"a dense head has no {option} {value!r}. {suggest(str(value), valid)}")
    sizes = head.hidden
    if not isinstance(sizes, tuple | list) or not all(isinstance(s, int) and s > 0 for s in sizes):
        raise HeadError(f"hidden of a dense head is a tuple of layer sizes such as (64,); got {sizes!r}.")
    if not 0 <= head.dropout < 1:
        raise HeadError(f"dropout of a dense head is a share from 0 to below 1; got {head.dropout!r}.")
    if head.learning_rate is not None and not 0 < head.learning_rate < np.inf:
        raise HeadError(f"learning_rate of a dense head is a number above 0; got {head.learning_rate!r}.")
    for option in ("epochs", "batch_size"):
        value = getattr(head, option)
        if not isinstance(value, int) or value < 1:
            raise HeadError(f"{option} of a dense head is a whole number of at least 1; got {value!r}.")
    if not 0 < head.validation_fraction < 1:
        raise HeadError(
            f"validation_fraction of a dense head lies between 0 and 1; got {head.validation_fraction!r}."
        )
    if head.early_stopping is not False and int(head.early_stopping) < 1:
        raise HeadError(
            f"early_stopping is False, True or a patience in epochs; got {head.early_stopping!r}."
        )
