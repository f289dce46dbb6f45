"""What all of embank's own heads share: checked input, the space they were trained on, linear prediction."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from classifiers.errors import HeadError, SpaceMismatchError
from classifiers.suggestions import counted
from store.recipes import describe_difference

_BLOCK = 65_536


class Head(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A scikit-learn classifier that remembers which space its vectors came from.

    After `fit`: `classes_` (k,) sorted, `n_features_in_`, and `space_` and `recipe_` of the `Vectors` it was
    given (None for a plain array).
    """

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most likely class of each row, (n,)."""
        scores = self.decision_function(X)
        codes = (scores > 0).astype(np.intp) if scores.ndim == 1 else scores.argmax(axis=1)
        predicted: NDArray[Any] = self.classes_[codes]
        return predicted

    def decision_function(self, X: ArrayLike) -> NDArray[Any]:
        """Scores (n, k); (n,) for two classes, positive for the second."""
        raise NotImplementedError

    def save(self, path: str | Path) -> None:
        """Writes the head to `path`; `load_head` reads it. It must have been fitted on `Vectors`."""
        from classifiers.head_files import save_head

        save_head(path, self)

    def _checked_training(self, X: ArrayLike, y: ArrayLike | None) -> tuple[NDArray[Any], NDArray[np.intp]]:
        """Vectors (n, d) float32 or float64, and codes (n,) of the sorted classes; sets `classes_`.

        Raises HeadError with a sentence for whatever a head cannot be fitted on.
        """
        space, recipe = getattr(X, "space", None), getattr(X, "recipe", None)
        if y is None:
            raise HeadError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        _refuse_missing_labels(y)
        try:
            vectors, labels = validate_data(
                self, X, y, dtype=[np.float64, np.float32], ensure_all_finite=False
            )
            check_classification_targets(labels)
        except ValueError as error:
            raise HeadError(str(error)) from error
        _refuse_non_finite(vectors)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise HeadError(
                f"all {counted(len(labels), 'label')} are of one class, {str(self.classes_[0])!r}; two are needed."
            )
        self.space_, self.recipe_ = space, recipe
        return vectors, codes

    def _checked(self, X: ArrayLike) -> NDArray[Any]:
        """Vectors (n, d) to predict on. Raises HeadError, or SpaceMismatchError for another recipe's."""
        check_is_fitted(self)
        check_space(self.space_, self.recipe_, X)
        try:
            checked: NDArray[Any] = validate_data(
                self, X, dtype=[np.float64, np.float32], reset=False, ensure_all_finite=False
            )
        except ValueError as error:
            raise HeadError(str(error)) from error
        _refuse_non_finite(checked)
        return checked


class LinearHead(Head):
    """A head whose scores are X @ coef_.T + intercept_: `coef_` (k, d), or (1, d) for two classes."""

    def decision_function(self, X: ArrayLike) -> NDArray[Any]:
        """Scores (n, k); (n,) for two classes, positive for the second."""
        scores: NDArray[Any] = self._checked(X) @ self.coef_.T + self.intercept_
        return scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """Probabilities (n, k), columns in the order of `classes_`."""
        return probabilities(self.decision_function(X) * getattr(self, "temperature_", 1.0))


def probabilities(scores: NDArray[Any]) -> NDArray[Any]:
    """Softmax of scores (n, k); for scores (n,) of two classes the logistic function, as (n, 2)."""
    from scipy.special import expit, softmax

    if scores.ndim == 1:
        return np.stack([expit(-scores), expit(scores)], axis=1)
    result: NDArray[Any] = softmax(scores, axis=1)
    return result


def check_space(space: str | None, recipe: Mapping[str, Any] | None, X: object) -> None:
    """Refuses vectors that say they come from another space than the head's; plain arrays pass."""
    other, theirs = getattr(X, "space", None), getattr(X, "recipe", None)
    if not space or not other or space == other:
        return
    difference = describe_difference(recipe or {}, theirs or {}) or "the fingerprint"
    raise SpaceMismatchError(
        f"this head was trained on the space {space}, the vectors are of {other}. What differs: {difference}. "
        f"Give it vectors of {space}, or train a head on {other}."
    )


def _refuse_missing_labels(y: ArrayLike) -> None:
    missing = np.asarray(pd.isna(y if isinstance(y, pd.Series | pd.Index) else np.asarray(y)))
    if missing.ndim and missing.any():
        raise HeadError(
            f"the labels of {missing.sum():,} of {counted(len(missing), 'row')} are missing (NaN or None; the first is "
            f"row {missing.argmax()}). Leave these rows out of X and y."
        )


def _refuse_non_finite(X: NDArray[Any]) -> None:
    """Raises HeadError if a row of X is not finite; looks at blocks, to need little memory."""
    for start in range(0, len(X), _BLOCK):
        finite = np.isfinite(X[start : start + _BLOCK]).all(axis=1)
        if not finite.all():
            raise HeadError(
                f"X has NaN or infinity values, the first in row {start + int((~finite).argmax())} of {len(X):,}. "
                "Leave such rows out; `embank verify` finds them in a store."
            )
