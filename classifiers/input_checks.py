"""What no head can be trained on, refused in a sentence before scikit-learn or a solver sees it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from classifiers.errors import HeadError
from classifiers.suggestions import counted
from classifiers.threads import few_threads, for_shares

_BLOCK = 4096


def check_training(X: ArrayLike, y: ArrayLike) -> None:
    """Raises HeadError for vectors and labels, or a matrix of labels, that no classifier can be trained on."""
    vectors = refuse_other_than_vectors(X)
    refuse_wrong_labels(y, len(vectors))
    refuse_wrong_scale(vectors)
    labels = np.asarray(y)
    if labels.ndim == 1:
        refuse_one_class(np.unique(labels), len(labels))


def refuse_other_than_vectors(X: ArrayLike) -> NDArray[Any]:
    """X as floats. Raises HeadError for what are no real numbers in rows (n, d)."""
    if hasattr(X, "toarray"):
        raise HeadError("X is a sparse matrix; vectors are dense. Use X.toarray().")
    try:
        array = np.asarray(X)
        if array.dtype.kind == "c":
            raise HeadError("Complex data not supported: vectors are real numbers.")
        vectors: NDArray[Any] = array if array.dtype.kind == "f" else array.astype(np.float64)
    except ValueError as error:
        raise (
            error if isinstance(error, HeadError) else HeadError(f"X is no table of numbers: {error}.")
        ) from error
    if array.ndim != 2:
        raise HeadError(
            f"X has the shape {array.shape}; vectors are (n, d), one row an image. Reshape your data, one vector for "
            "example with X.reshape(1, -1)."
        )
    if not len(vectors):
        raise HeadError("X has no rows: there is nothing to do.")
    return vectors


def refuse_wrong_labels(y: ArrayLike, rows: int) -> None:
    """Raises HeadError for labels that are missing, fractions, of several kinds, or not one for each row."""
    labels = np.asarray(y)
    refuse_missing_labels(y)
    if labels.ndim and len(labels) != rows:
        raise HeadError(
            f"there are {counted(len(labels), 'label')} for the {counted(rows, 'row')} of X; each row needs one."
        )
    if labels.ndim == 1 and labels.dtype == object:
        labels = _of_one_kind(labels)
    if labels.ndim == 1 and labels.dtype.kind == "f":
        _refuse_fractions(labels)


def _of_one_kind(labels: NDArray[Any]) -> NDArray[Any]:
    """Objects that are all texts as they are, all numbers as floats. Raises HeadError for others."""
    kinds = {_kind(one) for one in labels}
    if kinds == {"texts", "numbers"}:
        raise HeadError("y mixes texts with numbers. Make all labels texts, for example with map(str, y).")
    if strange := kinds - {"texts", "numbers"}:
        raise HeadError(
            f"Unknown label type: {', '.join(sorted(strange))}. Labels are texts, numbers or booleans."
        )
    return labels.astype(np.float64) if kinds == {"numbers"} else labels


def _kind(label: object) -> str:
    if isinstance(label, str):
        return "texts"
    return "numbers" if isinstance(label, int | float | np.number | np.bool_) else type(label).__name__


def _refuse_fractions(labels: NDArray[np.floating[Any]]) -> None:
    finite = labels[np.isfinite(labels)]
    fractions = finite[finite % 1 != 0]
    if len(fractions):
        raise HeadError(
            f"Unknown label type: continuous. y has fractions such as {fractions[0]:g}, which are no classes. Cut them "
            "into ranges, or make them texts."
        )


def refuse_one_class(classes: NDArray[Any], rows: int) -> None:
    """Raises HeadError if labels of so many rows are of one of the sorted `classes` only."""
    if len(classes) < 2:
        what = "the one label is" if rows == 1 else f"all {rows:,} labels are"
        raise HeadError(f"{what} of one class, {str(classes[0])!r}; two are needed.")


def refuse_missing_labels(y: ArrayLike) -> None:
    """Raises HeadError if a label is NaN or None."""
    missing = np.asarray(pd.isna(y if isinstance(y, pd.Series | pd.Index) else np.asarray(y)))
    if missing.ndim > 1:
        missing = np.asarray(missing.any(axis=1))
    if missing.ndim and missing.any():
        raise HeadError(
            f"the labels of {missing.sum():,} of {counted(len(missing), 'row')} are missing (NaN or None; the first is "
            f"row {missing.argmax()}). Leave these rows out of X and y."
        )


def refuse_non_finite(X: NDArray[Any]) -> None:
    """Raises HeadError if a row of X is not finite; looks at blocks, to need little memory."""
    if not np.isfinite(_sum_of_squares(X)):  # several times as quick as to look at each value
        _name_non_finite(X)


def refuse_wrong_scale(X: NDArray[Any]) -> None:
    """Raises HeadError as `refuse_non_finite`, or if the precision of X makes its sum of squares infinite, or 0."""
    total = _sum_of_squares(X)
    if not np.isfinite(total):
        _name_non_finite(X)
    if not np.isfinite(total) or (not total and X.any()):
        raise HeadError(
            f"X has values up to {np.abs(X).max():.1g}, too {'small' if not total else 'large'} for {X.dtype} to hold "
            "their squares. Scale the vectors first."
        )


def _name_non_finite(X: NDArray[Any]) -> None:
    for start in range(0, len(X), _BLOCK):
        finite = np.isfinite(X[start : start + _BLOCK]).all(axis=1)
        if not finite.all():
            raise HeadError(
                f"X has NaN or infinity values, the first in row {start + int((~finite).argmax())} of {len(X):,}. "
                "Leave such rows out; `embank verify` finds them in a store."
            )


def _sum_of_squares(X: NDArray[Any]) -> float:
    # No head computes in float16, which could not hold the sum.
    precision = np.promote_types(X.dtype, np.float32)

    def total(starts: range) -> float:
        blocks = (X[start : start + starts.step].astype(precision, copy=False) for start in starts)
        return sum(float(np.vdot(block, block)) for block in blocks)

    with few_threads(True), np.errstate(all="ignore"):
        return sum(for_shares(total, len(X), _BLOCK))
