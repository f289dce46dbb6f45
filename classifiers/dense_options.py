"""What the options of a dense head may be."""

from __future__ import annotations

from typing import Any

import numpy as np

from classifiers.errors import HeadError
from classifiers.suggestions import suggest

LEARNING_RATES = {"adam": 1e-3, "sgd": 1e-2, "rmsprop": 1e-3}  # Keras's own defaults
OUTPUTS = ("softmax", "sigmoid", "logits")


def check_options(head: Any) -> None:  # noqa: ANN401 (a DenseHead, whose module imports this one)
    """Raises HeadError for an option that Keras would refuse with a long traceback, or accept silently."""
    for option, valid in (("output", OUTPUTS), ("optimizer", tuple(LEARNING_RATES))):
        value = getattr(head, option)
        if value not in valid:
            raise HeadError(f"a dense head has no {option} {value!r}. {suggest(str(value), valid)}")
    sizes = head.hidden
    if not isinstance(sizes, tuple | list) or not all(isinstance(s, int) and s > 0 for s in sizes):
        raise HeadError(f"hidden of a dense head is a tuple of layer sizes such as (64,); got {sizes!r}.")
    if not _is_number(head.dropout) or not 0 <= head.dropout < 1:
        raise HeadError(f"dropout of a dense head is a share from 0 to below 1; got {head.dropout!r}.")
    rate = head.learning_rate
    if rate is not None and not (_is_number(rate) and 0 < rate < np.inf):
        raise HeadError(f"learning_rate of a dense head is a number above 0; got {rate!r}.")
    for option in ("epochs", "batch_size"):
        value = getattr(head, option)
        if not isinstance(value, int) or value < 1:
            raise HeadError(f"{option} of a dense head is a whole number of at least 1; got {value!r}.")
    if not isinstance(head.seed, int | np.integer) or head.seed < 0:
        raise HeadError(f"seed of a dense head is a whole number from 0; got {head.seed!r}.")
    share = head.validation_fraction
    if not _is_number(share) or not 0 < share < 1:
        raise HeadError(f"validation_fraction of a dense head lies between 0 and 1; got {share!r}.")
    patience = head.early_stopping
    if patience is not False and (not isinstance(patience, int) or patience < 1):
        raise HeadError(f"early_stopping is False, True or a patience in epochs; got {patience!r}.")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number)
