"""Asking an estimator that was fitted on targets for its probabilities, whatever shape it gives them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from classifiers.presets import Estimator


def class_probabilities(
    estimator: Estimator, X: ArrayLike, classes: int, multilabel: bool
) -> NDArray[np.floating[Any]] | None:
    """Probabilities (n, classes) of an estimator that was fitted on codes or on an indicator; None if it has none.

    Classes that were not trained on have probability 0.
    """
    if not hasattr(estimator, "predict_proba"):
        return None
    found = estimator.predict_proba(X)
    if multilabel:
        return _of_labels(found, estimator.classes_) if isinstance(found, list) else np.asarray(found)
    result = np.zeros((len(found), classes), found.dtype)
    result[:, estimator.classes_] = found
    return result


def _of_labels(found: list[NDArray[Any]], values: list[NDArray[Any]]) -> NDArray[np.floating[Any]]:
    """(n, t) of scikit-learn's list of t arrays, each with a column for 0 and one for 1 as far as they occurred."""
    columns = [
        shares[:, list(own).index(1)] if 1 in own else np.zeros(len(shares))
        for shares, own in zip(found, values, strict=True)
    ]
    return np.stack(columns, axis=1)
