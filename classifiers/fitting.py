"""Fitting one kind of head to many label vectors of the same vectors."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from classifiers.dense import DenseHead
from classifiers.errors import ClassifierError, HeadError
from classifiers.factor_cache import KeptFactors
from classifiers.input_checks import check_training, refuse_other_than_vectors
from classifiers.logistic import LogisticHead
from classifiers.logistic_fitting import fit_logistic_heads
from classifiers.presets import Estimator, HeadSpec, make_head
from classifiers.ridge import RidgeHead, fit_ridge_heads
from classifiers.row_weights import sample_weights
from store import StoreError
from store.vectors import Vectors

_MOST_CLASSES = 2000
_SLOW = {
    "SVC": "a machine for each two classes",
    "HistGradientBoostingClassifier": "a tree for each class in each round",
}
# Said by shrinkage of a class of one image. That its covariance is none is as it should be.
_OF_NO_CONCERN = "Only one sample available"


def fit_many(
    X: ArrayLike,
    ys: Sequence[ArrayLike],
    head: HeadSpec = "ridge",
    *,
    sample_weight: ArrayLike | Sequence[ArrayLike | None] | None = None,
    **options: object,
) -> list[Estimator]:
    """A fitted head for each label vector: heads[i] on the rows of X (n, d) where ys[i] (n,) is not missing.

    For ridge there is one factorization for all label vectors with labels on the same rows. `options` go to
    the head, as in `fit_many(X, ys, head="logistic", C=0.1)`. sample_weight: (n,) for all label vectors, or a list
    with one (n,), or None, for each. Warns of what did not converge. Raises HeadError.
    """
    from sklearn.exceptions import ConvergenceWarning

    total = len(refuse_other_than_vectors(X))
    # `Vectors` keep their space, a table the names of its columns.
    vectors = X if isinstance(X, pd.DataFrame) else np.asanyarray(X)
    labels = [label_vector(y, total, number) for number, y in enumerate(ys)]
    heads = [make_head(head, **options) for _ in labels]
    weights = _weights_of_each(sample_weight, len(labels), total)
    for rows, group in same_rows(labels):
        if not rows.any():
            raise HeadError(f"label vector {group[0]} has no labels.")
        some = vectors if rows.all() else vectors[rows]
        own, ys_here = [_rows_of(weights[i], rows) for i in group], [labels[i][rows] for i in group]
        for sentence in fit_together([heads[i] for i in group], some, ys_here, weights=own):
            warnings.warn(sentence, ConvergenceWarning, stacklevel=2)
    return heads


def fit_together(
    heads: Sequence[Estimator],
    X: ArrayLike,
    ys: Sequence[ArrayLike],
    kept: KeptFactors | None = None,
    groups: NDArray[np.intp] | None = None,
    weights: Sequence[NDArray[np.float64] | None] | None = None,
) -> list[str]:
    """Fits heads[i] on all rows of X and ys[i]; returns what they warned of, such as not having converged.

    kept: where the factorization of X is kept. groups: (n,) equal for rows of one image, if it has several. weights:
    (n,) of the rows for each head, or None. Raises HeadError, whatever the heads are.
    """
    from sklearn.exceptions import ConvergenceWarning

    own = all(type(head) in (RidgeHead, LogisticHead, DenseHead) for head in heads)
    kinds = (ConvergenceWarning,) if own else (UserWarning, RuntimeWarning)
    with warnings.catch_warnings(record=True) as caught:
        for kind in kinds:
            warnings.simplefilter("always", kind)
        try:
            _fit_all(heads, X, ys, kept, groups, weights)
        except (ClassifierError, StoreError):
            raise
        except (ValueError, TypeError, ArithmeticError) as error:  # scikit-learn's own, of any estimator
            raise HeadError(f"{_kind(heads[0])} cannot be trained on this: {error}") from error
    for warning in caught:
        if not issubclass(warning.category, kinds):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    told = [str(one.message) for one in caught if issubclass(one.category, kinds)]
    of_concern = dict.fromkeys(one for one in told if not one.startswith(_OF_NO_CONCERN))
    return list(of_concern) if own else [f"{_kind(heads[0])} says: {one}" for one in of_concern]


def _fit_all(
    heads: Sequence[Estimator],
    X: ArrayLike,
    ys: Sequence[ArrayLike],
    kept: KeptFactors | None,
    groups: NDArray[np.intp] | None,
    weights: Sequence[NDArray[np.float64] | None] | None,
) -> None:
    if all(type(head) is RidgeHead for head in heads):
        fit_ridge_heads(heads, X, ys, kept, weights)
        return
    if all(type(head) is LogisticHead for head in heads):
        fit_logistic_heads(heads, X, ys, kept, weights)
        return
    for head, y, weight in zip(heads, ys, weights or [None] * len(heads), strict=True):
        check_training(X, y)
        _refuse_several_labels(head, y)
        _refuse_many_classes(head, y)
        options: dict[str, Any] = {}
        if type(head) is DenseHead and groups is not None:
            options["groups"] = groups
        if weight is not None:
            options["sample_weight"] = weight
        head.fit(X, y, **options)


def _weights_of_each(
    given: Any,  # noqa: ANN401 (one array, or a list of them)
    count: int,
    rows: int,
) -> list[NDArray[np.float64] | None]:
    """The weights (n,) of the rows for each of so many label vectors, or None."""
    several = isinstance(given, list | tuple) and all(one is None or np.ndim(one) == 1 for one in given)
    each = list(given) if several else [given] * count
    if len(each) != count:
        raise HeadError(f"sample_weight is of {len(each)} label vectors; there are {count}.")
    return [None if one is None else sample_weights(one, rows) for one in each]


def _rows_of(weights: NDArray[np.float64] | None, rows: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    return None if weights is None else weights[rows]


def _refuse_several_labels(head: Estimator, y: ArrayLike) -> None:
    from sklearn.utils import get_tags

    tags = get_tags(head).classifier_tags
    if np.ndim(y) == 2 and tags is not None and not tags.multi_label:
        raise HeadError(
            f"{_kind(head)} takes one label an image; these are several. Use ridge, logistic, dense, knn, forest or "
            "mlp."
        )


def _refuse_many_classes(head: Estimator, y: ArrayLike) -> None:
    name, classes = _kind(head), len(np.unique(np.asarray(y)))
    if name in _SLOW and classes > _MOST_CLASSES:
        raise HeadError(
            f"{name} fits {_SLOW[name]}, which with {classes:,} classes would take hours. Use ridge, logistic or lda, "
            f"or at most {_MOST_CLASSES:,} classes."
        )


def _kind(head: Estimator) -> str:
    """The name of an estimator's class; of a pipeline that of its last."""
    return type(head.steps[-1][1] if hasattr(head, "steps") else head).__name__


def fit_on_views(
    heads: Sequence[Estimator],
    views: Sequence[NDArray[np.float32]],
    ys: Sequence[ArrayLike],
    kept: KeptFactors | None = None,
) -> list[str]:
    """Fits heads[i] on all views of some images and ys[i]; returns what they warned of.

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
    column = labels.ndim == 2 and labels.shape[1] == 1 and labels.dtype != bool
    return labels[:, 0] if column else labels


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
