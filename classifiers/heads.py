"""What all of embank's own heads share: checked input, the space they were trained on, linear prediction."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from classifiers.errors import HeadError, SpaceMismatchError
from classifiers.input_checks import (
    refuse_non_finite,
    refuse_one_class,
    refuse_other_than_vectors,
    refuse_wrong_labels,
    refuse_wrong_scale,
)
from store.recipes import describe_difference

_LABELS_AT_ONCE = 1 << 20


class Head(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A scikit-learn classifier that remembers which space its vectors came from.

    After `fit`: `classes_` (k,) sorted, `n_features_in_`, and `space_` and `recipe_` of the `Vectors` it was
    given (None for a plain array).
    """

    multilabel_ = False

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most likely class of each row, (n,); of several labels which ones it has, (n, t) of 0 and 1."""
        return self.named_by(self.decision_function(X))

    def named_by(self, scores: NDArray[Any]) -> NDArray[Any]:
        """What `predict` makes of the scores that `decision_function` gives."""
        if self.multilabel_:
            return (scores > 0).astype(np.intp)
        codes = (scores > 0).astype(np.intp) if scores.ndim == 1 else scores.argmax(axis=1)
        predicted: NDArray[Any] = self.classes_[codes]
        return predicted

    def decision_function(self, X: ArrayLike) -> NDArray[Any]:
        """Scores (n, k); (n,) for two classes, positive for the second; (n, t) of labels, positive if it has it."""
        raise NotImplementedError

    def save(self, path: str | Path) -> None:
        """Writes the head to `path`; `load_head` reads it. It must have been fitted on `Vectors`."""
        from classifiers.head_files import save_head

        save_head(path, self)

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401 (scikit-learn has no types)
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _checked_training(self, X: ArrayLike, y: ArrayLike | None) -> tuple[NDArray[Any], NDArray[Any]]:
        """Vectors (n, d) float32 or float64, and codes (n,) of the sorted classes; sets `classes_`.

        An indicator matrix y comes back as (n, t) bool. Raises HeadError with a sentence for whatever a head cannot
        be fitted on.
        """
        vectors, labels = self._checked_rows(X, y)
        self.space_, self.recipe_ = getattr(X, "space", None), getattr(X, "recipe", None)
        return vectors, self._set_classes(labels)

    def _checked_labels_like(self, first: Head, y: ArrayLike) -> NDArray[Any]:
        """Codes of other labels of the rows that `first` has been given, without looking at those again."""
        for name in ("n_features_in_", "feature_names_in_", "space_", "recipe_"):
            if hasattr(first, name):
                setattr(self, name, getattr(first, name))
        if _is_indicator(y):
            return self._set_classes(y)
        refuse_wrong_labels(y, np.size(y))
        try:
            labels = column_or_1d(y, warn=True)
        except ValueError as error:
            raise HeadError(str(error)) from error
        return self._set_classes(labels)

    def _set_classes(self, labels: ArrayLike) -> NDArray[Any]:
        """Sets `classes_` and `multilabel_`; codes (n,), or (n, t) bool."""
        found = np.asarray(labels)
        self.multilabel_ = found.ndim == 2
        if self.multilabel_:
            _refuse_other_than_0_and_1(found)
            self.classes_ = np.arange(found.shape[1])
            return found.astype(bool)
        self.classes_, codes = _classes_and_codes(found)
        refuse_one_class(self.classes_, len(found))
        return codes

    def _checked_rows(
        self, X: ArrayLike, y: ArrayLike | None, first: bool = True
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Vectors (n, d) and labels (n,), of any number of classes, or an indicator (n, t).

        Sets `n_features_in_` if they are the first.
        """
        if y is None:
            raise HeadError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        refuse_wrong_labels(y, len(refuse_other_than_vectors(X)))
        several = _is_indicator(y)
        try:
            vectors, labels = validate_data(
                self,
                X,
                np.zeros(len(np.asarray(y))) if several else y,
                dtype=[np.float64, np.float32],
                reset=first,
                ensure_all_finite=False,
            )
        except ValueError as error:
            raise HeadError(str(error)) from error
        refuse_wrong_scale(vectors)
        return vectors, np.asarray(y) if several else labels

    def _checked(self, X: ArrayLike) -> NDArray[Any]:
        """Vectors (n, d) to predict on. Raises HeadError, or SpaceMismatchError for another recipe's."""
        check_is_fitted(self)
        check_space(self.space_, self.recipe_, X)
        refuse_other_than_vectors(X)
        try:
            checked: NDArray[Any] = validate_data(
                self, X, dtype=[np.float64, np.float32], reset=False, ensure_all_finite=False
            )
        except ValueError as error:
            raise HeadError(str(error)) from error
        refuse_non_finite(checked)
        return checked


class LinearHead(Head):
    """A head whose scores are X @ coef_.T + intercept_.

    `coef_` is (k, d), or (1, d) for two classes, or (t, d) for an indicator matrix of t labels. Scores are turned
    into probabilities by `temperature_`: one factor, or factors and offsets (2, t) of each label's scores.
    """

    def decision_function(self, X: ArrayLike) -> NDArray[Any]:
        """Scores (n, k); (n,) for two classes, positive for the second; (n, t) of labels, positive if it has it."""
        scores: NDArray[Any] = self._checked(X) @ self.coef_.T + self.intercept_
        return scores[:, 0] if len(self.classes_) == 2 and not self.multilabel_ else scores

    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """Probabilities (n, k), columns in the order of `classes_`; (n, t), of each label by itself."""
        scores = self.decision_function(X)
        if not self.multilabel_:
            return probabilities(scores * getattr(self, "temperature_", 1.0))
        from scipy.special import expit

        factors, offsets = getattr(self, "temperature_", (1.0, 0.0))
        independent: NDArray[Any] = expit(scores * factors + offsets)
        return independent


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


def _is_indicator(y: ArrayLike) -> bool:
    """Whether y is a matrix of labels; a column vector of one label an image is none."""
    matrix = np.asarray(y)
    return matrix.ndim == 2 and (matrix.shape[1] > 1 or matrix.dtype == bool)


def _classes_and_codes(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """np.unique with the inverse; of many labels in blocks, since it sorts, and keeps several times the labels."""
    if len(labels) <= _LABELS_AT_ONCE:
        classes, codes = np.unique(labels, return_inverse=True)
        return classes, codes
    starts = range(0, len(labels), _LABELS_AT_ONCE)
    blocks = [labels[start : start + _LABELS_AT_ONCE] for start in starts]
    classes = np.unique(np.concatenate([np.unique(block) for block in blocks]))
    codes = np.empty(len(labels), np.intp)
    for start, block in zip(starts, blocks, strict=True):
        codes[start : start + len(block)] = np.searchsorted(classes, block)
    return classes, codes


def _refuse_other_than_0_and_1(indicator: NDArray[Any]) -> None:
    try:
        wrong = ~np.isin(indicator, [0, 1])
    except TypeError:
        wrong = np.ones(indicator.shape, bool)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise HeadError(
            f"a matrix of labels has 1 where a row has the label and 0 where not; row {row} has "
            f"{indicator[row, column]} for label {column}. Leave rows of unknown labels out of X and y."
        )
