"""Weights of training rows: those that are given, and those of their classes."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from classifiers.errors import HeadError
from classifiers.heads import Head

Float = NDArray[np.float64]
ClassWeight = Literal["balanced"] | dict[Any, float] | None


def sample_weights(given: ArrayLike | None, rows: int) -> Float:
    """Weights (n,) of so many rows from 0 up, all 1 for None. Raises HeadError."""
    from sklearn.utils.validation import _check_sample_weight

    try:
        weights: Float = _check_sample_weight(
            given, np.empty((rows, 1)), dtype=np.float64, ensure_non_negative=True
        )
    except ValueError as error:
        raise HeadError(f"sample_weight does not fit: {error}") from error
    if not weights.any():
        raise HeadError("all of sample_weight are 0: there is nothing to learn from.")
    return weights


def training_weights(
    head: Head, codes: NDArray[Any], given: ArrayLike | None, weighed: bool = False
) -> Float | None:
    """Weights (n,) of a head's training rows, the given ones times those of its classes; None if all are 1.

    weighed: whether 'balanced' counts rows by their given weights, as scikit-learn's logistic regression does and its
    ridge does not. Raises HeadError.
    """
    class_weight: ClassWeight = head.get_params()["class_weight"]
    if head.multilabel_ and class_weight is not None:
        raise HeadError("class_weight is for classes; a head of several labels an image takes none.")
    if given is None and class_weight is None:
        return None
    weights = sample_weights(given, len(codes))
    if class_weight is None:
        return weights
    return weights * _class_weights(class_weight, head.classes_, codes, weights if weighed else None)


def _class_weights(
    class_weight: ClassWeight, classes: NDArray[Any], codes: NDArray[np.intp], counts: Float | None
) -> Float:
    """Weights (n,) of rows; 'balanced' is n / (k · count of the class), as in scikit-learn. Raises HeadError.

    counts: (n,), how often each row counts there; once if None.
    """
    from sklearn.utils.class_weight import compute_class_weight

    try:
        with np.errstate(divide="ignore"):
            of_classes: Float = compute_class_weight(
                class_weight, classes=classes, y=classes[codes], sample_weight=counts
            )
    except (TypeError, ValueError) as error:
        raise HeadError(f"class_weight {class_weight!r} does not fit: {error}") from error
    if not (np.isfinite(of_classes) & (of_classes > 0)).all():
        raise HeadError(f"class_weight {class_weight!r} gives a class a weight that is not above 0.")
    return of_classes[codes]
