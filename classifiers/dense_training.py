"""How a dense head is trained: Keras's layers and optimizers, a whole pass over many rows in one compiled call.

Keras calls its compiled step once a batch, or once a few; for networks this small the calls take longer than the
arithmetic. To compile a network takes longer than to train one on a few thousand rows: the last few are kept, and
trained again from the start for heads of the same shape, such as those of other folds and schemes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from classifiers.dense_options import LEARNING_RATES
from classifiers.errors import HeadError
from store.keras_setup import load_keras

if TYPE_CHECKING:
    from classifiers.dense import DenseHead

_PATIENCE = 5
_MOMENTUM = 0.9
_TESTED_AT_ONCE = 4096
_KEPT = 8
_LARGEST_KEPT = 1 << 22  # weights

Keras = Any  # the package, its models and tensors: it has no types
Block = tuple[
    Any, Any, Any
]  # vectors (n, d) float32, codes (n,) or labels (n, t) int32, weights (n,) float32
Pass = Iterable[tuple[Block, NDArray[np.intp]]]  # blocks, and which of their rows in which order
Passes = Callable[[int], Pass]
Layer = tuple[NDArray[np.float32], NDArray[np.float32]]


def train(
    head: DenseHead, dim: int, passes: Passes, validation: Passes | None
) -> tuple[list[Layer], dict[str, list[float]]]:
    """The trained layers, and the learning curves: one value an epoch.

    `passes(epoch)` gives what is trained on in epoch 1, 2, …; `validation` what is tested on after it, and what
    early stopping goes by. Raises HeadError.
    """
    with _network(head, dim) as network:
        return _train(head, network, passes, validation)


def _train(
    head: DenseHead, network: _Network, passes: Passes, validation: Passes | None
) -> tuple[list[Layer], dict[str, list[float]]]:
    history: dict[str, list[float]] = {"loss": [], "accuracy": []}
    patience = _PATIENCE if head.early_stopping is True else int(head.early_stopping)
    best, best_layers = np.inf, None
    for epoch in range(1, head.epochs + 1):
        _note(history, "", [network.train(*one) for one in passes(epoch)])
        _refuse_overflow(head, network, history["loss"])
        if validation is None:
            continue
        _note(history, "val_", [network.test(*one) for one in validation(epoch)])
        if patience and history["val_loss"][-1] < best:
            best, best_layers = history["val_loss"][-1], network.layers()
        elif patience and epoch - int(np.argmin(history["val_loss"])) > patience:
            break
    return best_layers or network.layers(), history


def keras_model(head: DenseHead, dim: int, nodes: int, activation: str | None) -> Keras:
    """The network of a head as a `keras.Sequential` from vectors (n, dim), with seeded first weights."""
    keras = load_keras()
    shapes = [(size, "relu") for size in head.hidden] + [(nodes, activation)]
    layers = [keras.Input((dim,))]
    for number, (size, function) in enumerate(shapes):
        if head.dropout:
            layers.append(keras.layers.Dropout(head.dropout, seed=_dropout_seed(head, number)))
        layers.append(keras.layers.Dense(size, activation=function, kernel_initializer=_start(head, number)))
    return keras.Sequential(layers)


def _start(head: DenseHead, number: int) -> Keras:
    """What makes the first weights of a layer."""
    return load_keras().initializers.GlorotUniform(seed=head.seed + number)


def _dropout_seed(head: DenseHead, number: int) -> int:
    return head.seed + 1000 + number


def block(vectors: NDArray[Any], codes: NDArray[np.intp], weights: NDArray[Any]) -> Block:
    """Rows as tensors, where TensorFlow computes: on a GPU they are copied there once."""
    load_keras()
    import tensorflow as tf

    return tf.constant(vectors, tf.float32), tf.constant(codes, tf.int32), tf.constant(weights, tf.float32)


_idle: OrderedDict[tuple[Any, ...], _Network] = OrderedDict()  # the last used last
_idle_lock = Lock()


@contextmanager
def _network(head: DenseHead, dim: int) -> Iterator[_Network]:
    """A network for one training, compiled before or new; nobody else has it meanwhile."""
    key = (
        dim,
        head.nodes,
        head.multilabel_,
        tuple(head.hidden),
        head.dropout,
        head.optimizer,
        head.batch_size,
    )
    with _idle_lock:
        known = _idle.pop(key, None)
    if known is None:
        known = _Network(head, dim)
    else:
        known.start_again(head)
    yield known
    if known.size <= _LARGEST_KEPT:
        with _idle_lock:
            _idle[key] = known
            while len(_idle) > _KEPT:
                _idle.popitem(last=False)


class _Network:
    """A model, its optimizer, and two compiled functions.

    Both return (4,) float64: the sums of losses times weights, of weights of rows that are right, and of weights;
    and the number of rows.
    """

    def __init__(self, head: DenseHead, dim: int) -> None:
        import tensorflow as tf

        keras = load_keras()
        if keras.backend.backend() != "tensorflow":
            raise HeadError(
                f"dense heads are trained by TensorFlow, and Keras runs on {keras.backend.backend()} here: unset "
                "KERAS_BACKEND."
            )
        self._batch_size = head.batch_size
        self._nodes = head.nodes
        self._model = keras_model(head, dim, self._nodes, None)
        self._optimizer = _optimizer(head)
        self._optimizer.build(self._model.trainable_variables)
        rows = tf.TensorSpec((None,), tf.int32)
        self._several = head.multilabel_
        targets = tf.TensorSpec((None, self._nodes), tf.int32) if self._several else rows
        block = (tf.TensorSpec((None, dim), tf.float32), targets, tf.TensorSpec((None,), tf.float32))
        compiled = tf.function(input_signature=(*block, rows), autograph=False)
        # A partial is a function of its own: of one method with many graphs TensorFlow would warn.
        self._train, self._test = compiled(partial(self._train_on)), compiled(partial(self._test_on))

    def start_again(self, head: DenseHead) -> None:
        """Makes it what a new one for a head of this shape would be."""
        layers = self._model.layers
        dense = [layer for layer in layers if layer.weights]
        for number, layer in enumerate(dense):
            kernel, bias = layer.weights
            kernel.assign(_start(head, number)(kernel.shape))
            bias.assign(np.zeros(bias.shape, np.float32))
        dropouts = [layer.seed_generator for layer in layers if hasattr(layer, "seed_generator")]
        for number, generator in enumerate(dropouts):
            generator.state.assign([_dropout_seed(head, number), 0])
        for variable in self._optimizer.variables:
            variable.assign(np.zeros(variable.shape, variable.dtype))
        self._optimizer.learning_rate = _learning_rate(head)

    @property
    def size(self) -> int:
        """The number of its weights."""
        return int(self._model.count_params())

    def train(self, block: Block, order: NDArray[np.intp]) -> NDArray[np.float64]:
        """Trains on the rows of a block in this order, a batch at a time."""
        return np.asarray(self._train(*block, order.astype(np.int32)))

    def test(self, block: Block, order: NDArray[np.intp]) -> NDArray[np.float64]:
        """The same sums, with nothing learned."""
        return np.asarray(self._test(*block, order.astype(np.int32)))

    def layers(self) -> list[Layer]:
        """Copies of the weights as they are now."""
        arrays = [np.array(array, np.float32) for array in self._model.get_weights()]
        return list(zip(arrays[::2], arrays[1::2], strict=True))

    @property
    def learning_rate(self) -> float:
        """That of the optimizer."""
        return float(load_keras().ops.convert_to_numpy(self._optimizer.learning_rate))

    def _train_on(self, vectors: Any, codes: Any, weights: Any, order: Any) -> Any:  # noqa: ANN401
        import tensorflow as tf

        variables = self._model.trainable_variables

        def step(rows: Any) -> Any:  # noqa: ANN401
            with tf.GradientTape() as tape:
                losses, sums = self._losses(vectors, codes, weights, rows, training=True)
                loss = tf.reduce_mean(losses)
            self._optimizer.apply(tape.gradient(loss, variables), variables)
            return sums

        return _over_batches(step, order, self._batch_size)

    def _test_on(self, vectors: Any, codes: Any, weights: Any, order: Any) -> Any:  # noqa: ANN401
        def step(rows: Any) -> Any:  # noqa: ANN401
            return self._losses(vectors, codes, weights, rows, training=False)[1]

        return _over_batches(step, order, _TESTED_AT_ONCE)

    def _losses(self, vectors: Any, codes: Any, weights: Any, rows: Any, training: bool) -> tuple[Any, Any]:  # noqa: ANN401
        """Losses of rows times their weights, and the four sums."""
        import tensorflow as tf

        scores = self._model(tf.gather(vectors, rows), training=training)
        true, weight = tf.gather(codes, rows), tf.gather(weights, rows)
        if self._several or self._nodes == 1:
            true = true if self._several else true[:, None]
            losses = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(true, tf.float32), scores)
            losses = tf.reduce_mean(losses, axis=1)
            right = tf.reduce_all(tf.equal(scores > 0, true > 0), axis=1)
        else:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(true, scores)
            right = tf.equal(tf.argmax(scores, axis=1, output_type=tf.int32), true)
        losses = losses * weight
        named = tf.where(right, weight, tf.zeros_like(weight))
        sums = [tf.reduce_sum(one) for one in (losses, named, weight, tf.ones_like(weight))]
        return losses, tf.cast(tf.stack(sums), tf.float64)


def _over_batches(step: Callable[[Any], Any], order: Any, size: int) -> Any:  # noqa: ANN401
    """The sum of what `step` makes of each batch of `order`, as one loop in the graph."""
    import tensorflow as tf

    def body(start: Any, sums: Any) -> tuple[Any, Any]:  # noqa: ANN401
        return start + size, sums + step(order[start : start + size])

    begin = (tf.constant(0), tf.zeros(4, tf.float64))
    return tf.while_loop(lambda start, _: start < tf.size(order), body, begin)[1]


def _optimizer(head: DenseHead) -> Keras:
    keras = load_keras()
    rate = _learning_rate(head)
    if head.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=_MOMENTUM)
    return {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}[head.optimizer](rate)


def _learning_rate(head: DenseHead) -> float:
    return LEARNING_RATES[head.optimizer] if head.learning_rate is None else head.learning_rate


def _note(history: dict[str, list[float]], prefix: str, sums: list[NDArray[np.float64]]) -> None:
    """Appends an epoch's mean loss and weighted accuracy."""
    if not sums:
        raise HeadError("the batches of an epoch were empty: a dense head needs the same rows in each.")
    loss, right, weight, rows = np.sum(sums, axis=0)
    history.setdefault(f"{prefix}loss", []).append(float(loss / rows))
    history.setdefault(f"{prefix}accuracy", []).append(float(right / weight))


def _refuse_overflow(head: DenseHead, network: _Network, losses: list[float]) -> None:
    """Raises HeadError if training has run away."""
    if np.isfinite(losses[-1]) and all(np.isfinite(array).all() for one in network.layers() for array in one):
        return
    rate = network.learning_rate
    raise HeadError(
        f"the loss of the dense head was no longer finite in epoch {len(losses)}: the learning rate of {rate:g} is "
        f"too high for {head.optimizer}. Lower learning_rate, for example to {rate / 10:g}."
    )
