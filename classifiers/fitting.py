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
from store.vectors import Vectors


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


def fit_on_views(
    heads: Sequence[Estimator], views: Sequence[NDArray[np.float32]], ys: Sequence[ArrayLike]
) -> list[str]:
    """Fits heads[i] on all views of some images and ys[i]; returns what they warned of not having converged.

    views: (n, d) each, one row an image; the first are the images themselves. A ridge chooses its strength and
    its temperature on these alone: of several views, to leave one out would leave the image in.
    """
    if len(views) == 1 or not all(type(head) is RidgeHead for head in heads):
        return fit_together(heads, _stacked(views), [np.tile(np.asarray(y), len(views)) for y in ys])
    warned = fit_together(heads, views[0], ys)
    temperatures = [head.temperature_ for head in heads]
    for head in heads:  # as strong for each image as before, of which there are several rows now
        head.set_params(alpha=head.alpha_ * len(views), alphas=None)
    warned += fit_together(heads, _stacked(views), [np.tile(np.asarray(y), len(views)) for y in ys])
    for head, temperature in zip(heads, temperatures, strict=True):
        head.temperature_ = temperature
    return list(dict.fromkeys(warned))


def _stacked(views: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    first = views[0]
    if len(views) == 1:
        return first
    stacked = np.concatenate(views)
    return Vectors.of(stacked, first.space, first.recipe) if isinstance(first, Vectors) else stacked


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
