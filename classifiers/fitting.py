"""Fitting one kind of head to many label vectors of the same vectors."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from classifiers.errors import HeadError
from classifiers.presets import Estimator, HeadSpec, make_head
from classifiers.ridge import RidgeHead, fit_ridge_heads


def fit_many(
    X: ArrayLike, ys: Sequence[ArrayLike], head: HeadSpec = "ridge", **options: object
) -> list[Estimator]:
    """A fitted head for each label vector: heads[i] on the rows of X (n, d) where ys[i] (n,) is not missing.

    For ridge there is one factorization for all label vectors with labels on the same rows. `options` go to
    the head, as in `fit_many(X, ys, head="logistic", C=0.1)`. Raises HeadError.
    """
    vectors = np.asanyarray(X)  # `Vectors` keep their space
    labels = [_label_vector(y, len(vectors), number) for number, y in enumerate(ys)]
    heads = [make_head(head, **options) for _ in labels]
    for number, group in _same_rows(labels):
        rows = ~pd.isna(labels[number])
        if not rows.any():
            raise HeadError(f"label vector {number} has no labels.")
        some = vectors if rows.all() else vectors[rows]
        fit_together([heads[i] for i in group], some, [labels[i][rows] for i in group])
    return heads


def fit_together(heads: Sequence[Estimator], X: ArrayLike, ys: Sequence[ArrayLike]) -> list[str]:
    """Fits heads[i] on all rows of X and ys[i]; returns what they warned of not having converged."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        if all(type(head) is RidgeHead for head in heads):
            fit_ridge_heads(heads, X, ys)
        else:
            for head, y in zip(heads, ys, strict=True):
                head.fit(X, y)
    other = [warning for warning in caught if not issubclass(warning.category, ConvergenceWarning)]
    for warning in other:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return list(
        dict.fromkeys(str(one.message) for one in caught if issubclass(one.category, ConvergenceWarning))
    )


def _label_vector(y: ArrayLike, rows: int, number: int) -> NDArray[Any]:
    """Labels as an array; text columns become object arrays, whose missing values are None or NaN."""
    labels = y.to_numpy(object) if isinstance(y, pd.Series) and not _is_plain(y) else np.asarray(y)
    if labels.shape != (rows,):
        raise HeadError(f"label vector {number} has the shape {labels.shape}; X has {rows:,} rows.")
    return labels


def _is_plain(column: pd.Series[Any]) -> bool:
    return isinstance(column.dtype, np.dtype)


def _same_rows(labels: Sequence[NDArray[Any]]) -> list[tuple[int, list[int]]]:
    """(first, all) numbers of the label vectors that have labels on the same rows."""
    groups: dict[bytes, list[int]] = {}
    for number, one in enumerate(labels):
        groups.setdefault(np.packbits(~pd.isna(one)).tobytes(), []).append(number)
    return [(group[0], group) for group in groups.values()]
