"""How the upper part of a backbone is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass

from embedder.errors import FinetuneError

OPTIMIZERS = ("rmsprop", "adam", "sgd")


@dataclass(frozen=True)
class FinetuneSettings:
    """How training runs. Raises FinetuneError for a value that makes no sense.

    optimizer: `rmsprop`, `adam`, or `sgd` (momentum 0.9). dropout: share of the pooled vector that is left out at
    each step. patience: end after so many epochs without a smaller loss on the validation images, and keep the best
    weights; None trains all epochs and keeps the last weights. seed: of the order of images, of dropout and of which
    view an epoch shows.
    """

    epochs: int = 10
    batch_size: int = 32
    optimizer: str = "rmsprop"
    learning_rate: float = 1e-4
    dropout: float = 0.0
    patience: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise FinetuneError(
                f"optimizer {self.optimizer!r} does not exist: expected {', '.join(OPTIMIZERS)}."
            )
        if not 0 < self.learning_rate < math.inf:
            raise FinetuneError(
                f"learning rate {self.learning_rate:g}: expected a number above 0, such as 1e-4."
            )
        if not 0 <= self.dropout < 1:
            raise FinetuneError(f"dropout {self.dropout:g}: expected a share from 0 to below 1.")
        for name in ("epochs", "batch_size", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise FinetuneError(f"{name} is {value}: expected 1 or more.")
