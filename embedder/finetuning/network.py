"""The upper part of a backbone with a linear layer on top, and its compiled training step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedder.finetuning.settings import FinetuneSettings
from embedder.finetuning.tunable import Tunable, run
from store.keras_setup import load_keras

_MOMENTUM = 0.9

Tensor = Any  # of TensorFlow, which has no types
Sums = NDArray[np.float64]  # of losses, of rows that are right, of rows


class Network:
    """From what a backbone's upper part takes to one score a class, or one for two classes.

    kernel (dim, nodes), bias (nodes,): where the linear layer starts. several: an image may have several labels, each
    with a sigmoid of its own. Batch normalization always uses its stored statistics, and leaves them as they are.
    """

    def __init__(
        self,
        tunable: Tunable,
        kernel: NDArray[np.float32],
        bias: NDArray[np.float32],
        several: bool,
        settings: FinetuneSettings,
    ) -> None:
        import tensorflow as tf

        keras = load_keras()
        self._upper, self._several, self._nodes = tunable.upper, several, len(bias)
        self._dropout = keras.layers.Dropout(settings.dropout, seed=settings.seed)
        self._dense = keras.layers.Dense(len(bias))
        self._dense.build((None, len(kernel)))
        self._dense.set_weights([kernel, bias])
        self._optimizer = _optimizer(settings)
        self._optimizer.build(self._variables)
        inputs = tf.TensorSpec((None, *self._upper.input_shape[1:]), tf.float32)
        vectors = tf.TensorSpec((None, len(kernel)), tf.float32)
        targets = tf.TensorSpec((None, self._nodes) if several else (None,), tf.int32)
        self._train = tf.function(self._train_on, input_signature=(inputs, targets), autograph=False)
        self._test = tf.function(self._losses, input_signature=(vectors, targets), autograph=False)

    def train(self, inputs: NDArray[np.float32], targets: NDArray[np.int32]) -> Sums:
        """One step on a batch."""
        return np.asarray(run(self._train, inputs, targets))

    def test(self, vectors: NDArray[np.float32], targets: NDArray[np.int32]) -> Sums:
        """The same sums of pooled vectors, with nothing learned."""
        return np.asarray(run(self._test, vectors, targets)[1])

    @property
    def layer(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Kernel and bias of the linear layer."""
        kernel, bias = self._dense.get_weights()
        return kernel, bias

    def weights(self) -> list[NDArray[np.float32]]:
        """Copies of all that is trained."""
        return [np.array(variable.numpy()) for variable in self._variables]

    def restore(self, weights: list[NDArray[np.float32]]) -> None:
        """Takes back what `weights` gave."""
        for variable, value in zip(self._variables, weights, strict=True):
            variable.assign(value)

    @property
    def _variables(self) -> list[Any]:
        return [*self._upper.trainable_variables, *self._dense.trainable_variables]

    def _train_on(self, inputs: Tensor, targets: Tensor) -> Tensor:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            vectors = self._dropout(self._upper(inputs, training=False), training=True)
            loss, sums = self._losses(vectors, targets)
        variables = self._variables
        self._optimizer.apply(tape.gradient(loss, variables), variables)
        return sums

    def _losses(self, vectors: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The mean loss of a batch, and its sums (3,) float64."""
        import tensorflow as tf

        scores = self._dense(vectors)
        if self._several or self._nodes == 1:
            true = targets if self._several else targets[:, None]
            losses = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(true, tf.float32), scores)
            losses = tf.reduce_mean(losses, axis=1)
            right = tf.reduce_all(tf.equal(scores > 0, true > 0), axis=1)
        else:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, scores)
            right = tf.equal(tf.argmax(scores, axis=1, output_type=tf.int32), targets)
        sums = [tf.reduce_sum(tf.cast(one, tf.float64)) for one in (losses, right, tf.ones_like(losses))]
        return tf.reduce_mean(losses), tf.stack(sums)


def _optimizer(settings: FinetuneSettings) -> Any:  # noqa: ANN401
    optimizers = load_keras().optimizers
    if settings.optimizer == "sgd":
        return optimizers.SGD(settings.learning_rate, momentum=_MOMENTUM)
    kind = {"adam": optimizers.Adam, "rmsprop": optimizers.RMSprop}[settings.optimizer]
    return kind(settings.learning_rate)
