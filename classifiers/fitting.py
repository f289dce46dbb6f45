"""Fitting one kind of head to many label vectors of the same vectors."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from classifiers.dense import DenseHead
from classifiers.errors import HeadError
from classifiers.factor_cache import KeptFactors
from classifiers.logistic import LogisticHead
from classifiers.logistic_fitting import fit_logistic_heads
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
    labels = [label_vector(y, len(vectors), number) for number, y in enumerate(ys)]
    heads = [make_head(head, **options) for _ in labels]
    for rows, group in same_rows(labels):
        if not rows.any():
            raise HeadError(f"label vector {group[0]} has no labels.")
        some = vectors if rows.all() else vectors[rows]
        fit_together([heads[i] for i in group], some, [labels[i][rows] for i in group])
    return heads


def fit_together(
    heads: Sequence[Estimator],
    X: ArrayLike,
    ys: Sequence[ArrayLike],
    kept: KeptFactors | None = None,
    groups: NDArray[np.intp] | None = None,
) -> list[str]:
    """Fits heads[i] on all rows of X and ys[i]; returns what they warned of not having converged.

    kept: where the factorization of X is kept. groups: (n,) equal for rows of one image, if it has several.
    """
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        if all(type(head) is RidgeHead for head in heads):
            fit_ridge_heads(heads, X, ys, kept)
        elif all(type(head) is LogisticHead for head in heads):
            fit_logistic_heads(heads, X, ys, kept)
        else:
            for head, y in zip(heads, ys, strict=True):
                options = {"groups": groups} if type(head) is DenseHead and groups is not None else {}
                head.fit(X, y, **options)
    other = [warning for warning in caught if not issubclass(warning.category, ConvergenceWarning)]
    for warning in other:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return list(
        dict.fromkeys(str(one.message) for one in caught if issubclass(one.category, ConvergenceWarning))
    )


def fit_on_views(
    heads: Sequence[Estimator],
    views: Sequence[NDArray[np.float32]],
    ys: Sequence[ArrayLike],
    kept: KeptFactors | None = None,
) -> list[str]:
    """Fits heads[i] on all views of some images and ys[i]; returns what they warned of not having converged.

    views: (n, d) each, one row an image; the first are the images themselves. kept: where their factorization is
    kept. A head that chooses its strength (and a ridge its temperature) does so on the first view alone: of several
    views, to leave one out would leave the image in.
    """
    if len(views) == 1:
        return fit_together(heads, views[0], ys, kept)
    ridges = all(type(head) is RidgeHead for head in heads)
    choosing = all(type(head) is LogisticHead and _chooses(head) for head in heads)
    stacked, tiled = _stacked(views), [np.concatenate([np.asarray(y)] * len(views)) for y in ys]
    if not ridges and not choosing:
        groups = np.tile(np.arange(len(views[0])), len(views))
        return fit_together(heads, stacked, tiled, groups=groups)
    warned = fit_together(heads, views[0], ys, kept)
    # As strong for each image as before, of which there are several rows now.
    if choosing:
        for head in heads:
            head.set_params(C=head.C_ / len(views))
        return list(dict.fromkeys(warned + fit_together(heads, stacked, tiled)))
    temperatures = [head.temperature_ for head in heads]
    for head in heads:
        head.set_params(alpha=head.alpha_ * len(views), alphas=None)
    warned += fit_together(heads, stacked, tiled)
    for head, temperature in zip(heads, temperatures, strict=True):
        head.temperature_ = temperature
    return list(dict.fromkeys(warned))


def _chooses(head: LogisticHead) -> bool:
    return isinstance(head.C, str) or np.ndim(head.C) > 0


def _stacked(views: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    first, stacked = views[0], np.concatenate(views)
    return Vectors.of(stacked, first.space, first.recipe) if isinstance(first, Vectors) else stacked


def label_vector(y: ArrayLike, rows: int, number: int) -> NDArray[Any]:
    """Labels (n,) or (n, t); text columns become object arrays, whose missing values are None or NaN."""
    labels = y.to_numpy(object) if isinstance(y, pd.Series) and not _is_plain(y) else np.asarray(y)
    if labels.ndim not in (1, 2) or len(labels) != rows:
        raise HeadError(f"label vector {number} has the shape {labels.shape}; X has {rows:,} rows.")
    return labels


def _missing(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Which rows have no label: (n,)."""
    missing = np.asarray(pd.isna(labels))
    return np.asarray(missing.any(axis=1)) if missing.ndim == 2 else missing


def _is_plain(column: pd.Series[Any]) -> bool:
    return isinstance(column.dtype, np.dtype)


def same_rows(labels: Sequence[NDArray[Any]]) -> list[tuple[NDArray[np.bool_], list[int]]]:
    """Rows (n,) that have labels, and the numbers of all label vectors that have them on just these."""
    groups: dict[bytes, tuple[NDArray[np.bool_], list[int]]] = {}
    for number, one in enumerate(labels):
        rows = ~_missing(one)
        groups.setdefault(np.packbits(rows).tobytes(), (rows, []))[1].append(number)
    return list(groups.values())
