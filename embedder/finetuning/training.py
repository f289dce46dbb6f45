"""The epochs: batches in random order, learning curves, early stopping, and what is kept at the end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from embedder.errors import FinetuneError
from embedder.finetuning.network import Network, Sums
from embedder.finetuning.settings import FinetuneSettings
from embedder.finetuning.tunable import Tunable

Rows = NDArray[np.intp]
# Batches done, batches in all, and a remark.
Progress = Callable[[int, int, str], None]


class Feed(Protocol):
    """What the upper part takes, for images by their row numbers."""

    def __call__(self, rows: Rows, epoch: int | None) -> NDArray[np.float32]:
        """(m, …) in the order of `rows`: of each image itself, or of the view that an epoch (from 1) shows of it."""


@dataclass(frozen=True)
class Examples:
    """feed: inputs by row. targets: codes (n,), or (n, t) of 0 and 1. vectors: (n, dim) of the untouched backbone.

    training, validation: rows.
    """

    feed: Feed
    targets: NDArray[np.int32]
    vectors: NDArray[np.float32]
    training: Rows
    validation: Rows


@dataclass
class Trained:
    """curves: loss, accuracy, val_loss, val_accuracy, one value an epoch; the first is before training.

    Loss and accuracy of an epoch are those of its steps, with dropout and views, as Keras reports them. kept: the
    epoch whose weights the network has now. ended: `finished`, `stopped early` or `interrupted`.
    """

    curves: dict[str, list[float]] = field(default_factory=dict)
    kept: int = 0
    ended: str = "finished"
    seconds: float = 0.0

    @property
    def epochs(self) -> int:
        """How many were trained to their end."""
        return len(self.curves["val_loss"]) - 1

    def describe(self, epoch: int) -> str:
        """One line of the curves."""
        figures = {name: values[epoch] for name, values in self.curves.items()}
        return (
            f"epoch {epoch}: loss {figures['loss']:.4f}, accuracy {figures['accuracy']:.4f}; validation loss "
            f"{figures['val_loss']:.4f}, accuracy {figures['val_accuracy']:.4f}"
        )


def train(
    tunable: Tunable,
    network: Network,
    examples: Examples,
    settings: FinetuneSettings,
    progress: Progress | None = None,
    tell: Callable[[str], None] | None = None,
) -> Trained:
    """Trains the network of a backbone. A KeyboardInterrupt ends it with the best weights so far, by validation loss.

    tell: gets a line at each epoch's end. Raises FinetuneError if the loss is no longer finite.
    """
    started, trained = time.monotonic(), Trained()
    learned, validated = (
        network.test(examples.vectors[some], examples.targets[some])
        for some in (examples.training, examples.validation)
    )
    _note(trained, learned, validated, settings)
    tell = tell or (lambda line: None)
    tell(trained.describe(0))
    best = network.weights()
    try:
        for epoch in range(1, settings.epochs + 1):
            learned = _learn(network, examples, settings, epoch, trained, progress)
            _note(trained, learned, _validate(tunable, network, examples, settings), settings)
            tell(trained.describe(epoch))
            losses = trained.curves["val_loss"]
            if losses[epoch] < losses[trained.kept]:
                best, trained.kept = network.weights(), epoch
            if settings.patience and epoch - trained.kept >= settings.patience:
                trained.ended = "stopped early"
                break
    except KeyboardInterrupt:
        trained.ended = "interrupted"
    if settings.patience or trained.ended == "interrupted":
        network.restore(best)
    else:
        trained.kept = trained.epochs
    trained.seconds = time.monotonic() - started
    return trained


def pooled(
    tunable: Tunable, feed: Feed, rows: Rows, batch_size: int, progress: Progress | None = None
) -> NDArray[np.float32]:
    """(m, dim) the vectors of these images themselves, as the backbone is now."""
    batches = -(-len(rows) // batch_size)
    found: list[NDArray[np.float32]] = []
    for _, inputs in _ahead(feed, rows, None, batch_size):
        found.append(tunable.vectors(inputs))
        if progress:
            progress(len(found), batches, "")
    return np.concatenate(found)


def _learn(
    network: Network,
    examples: Examples,
    settings: FinetuneSettings,
    epoch: int,
    trained: Trained,
    progress: Progress | None,
) -> Sums:
    order = np.random.default_rng((settings.seed, epoch)).permutation(examples.training)
    batches = -(-len(order) // settings.batch_size)
    sums, done = np.zeros(3), (epoch - 1) * batches
    for rows, inputs in _ahead(examples.feed, order, epoch, settings.batch_size):
        sums += network.train(inputs, examples.targets[rows])
        if not math.isfinite(sums[0]):
            raise FinetuneError(
                f"the loss was no longer finite in epoch {epoch}: the learning rate of {settings.learning_rate:g} is "
                f"too high for {settings.optimizer}. Lower --learning-rate, for example to "
                f"{settings.learning_rate / 10:g}."
            )
        done += 1
        if progress:
            remark = f"epoch {epoch}, validation loss {trained.curves['val_loss'][-1]:.4f}"
            progress(done, batches * settings.epochs, remark)
    return sums


def _validate(tunable: Tunable, network: Network, examples: Examples, settings: FinetuneSettings) -> Sums:
    rows = examples.validation
    return network.test(pooled(tunable, examples.feed, rows, settings.batch_size), examples.targets[rows])


def _note(trained: Trained, learned: Sums, validated: Sums, settings: FinetuneSettings) -> None:
    if not math.isfinite(validated[0]):
        raise FinetuneError(
            f"the loss on the validation images is no longer finite: the learning rate of {settings.learning_rate:g} "
            f"is too high. Lower --learning-rate, for example to {settings.learning_rate / 10:g}."
        )
    for prefix, (loss, right, rows) in (("", learned), ("val_", validated)):
        trained.curves.setdefault(f"{prefix}loss", []).append(float(loss / rows))
        trained.curves.setdefault(f"{prefix}accuracy", []).append(float(right / rows))


def _ahead(
    feed: Feed, order: Rows, epoch: int | None, size: int
) -> Iterator[tuple[Rows, NDArray[np.float32]]]:
    """Batches of these rows; the next one is fetched while the caller works on one."""
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    with ThreadPoolExecutor(1, thread_name_prefix="feed") as pool:
        coming = [pool.submit(feed, rows, epoch) for rows in batches[:1]]
        for number, rows in enumerate(batches):
            inputs = coming.pop().result()
            coming += [pool.submit(feed, following, epoch) for following in batches[number + 1 : number + 2]]
            yield rows, inputs
