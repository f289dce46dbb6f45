"""Multinomial logistic regression by scikit-learn's lbfgs, on well-scaled vectors."""

from __future__ import annotations

import warnings
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from classifiers.errors import HeadError
from classifiers.heads import LinearHead
from classifiers.ridge import ClassWeight, row_weights
from classifiers.scaling import mean_and_scale
from classifiers.threads import few_threads

_SMALL = 1 << 21


class LogisticHead(LinearHead):
    """Logistic regression with a penalty of 1 / (2C) on the squared coefficients, as scikit-learn's.

    The vectors are centred and divided by one number, their root mean variance, and C is adjusted so that the
    problem stays the same: lbfgs then needs far fewer steps. `standardize=True` scales each dimension by its
    own deviation instead, which is another problem (the penalty then counts in standard deviations).

    After `fit`: `coef_` (k, d) or (1, d) and `intercept_` for vectors as they are, `n_iter_`, `converged_`
    (if False, a ConvergenceWarning was given), and `classes_`, `space_`, `recipe_` as any head.
    """

    def __init__(
        self,
        C: float = 1.0,
        class_weight: ClassWeight = None,
        max_iter: int = 1000,
        tol: float = 1e-4,
        standardize: bool = False,
    ) -> None:
        self.C = C
        self.class_weight = class_weight
        self.max_iter = max_iter
        self.tol = tol
        self.standardize = standardize

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fits on (n, d) vectors and (n,) labels. Raises HeadError."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        vectors, codes = self._checked_training(X, y)
        if not (isinstance(self.C, int | float | np.number) and 0 < self.C < np.inf):
            raise HeadError(f"C of a logistic head must be a number above 0; got {self.C!r}.")
        weights = None if self.class_weight is None else row_weights(self.class_weight, self.classes_, codes)
        mean, scale = mean_and_scale(vectors, self.standardize)
        strength = self.C if self.standardize else self.C * float(scale) ** 2
        model = LogisticRegression(C=strength, max_iter=self.max_iter, tol=self.tol)
        scaled = vectors - mean
        scaled /= scale
        with warnings.catch_warnings(record=True) as caught, few_threads(scaled.size <= _SMALL):
            warnings.simplefilter("always")
            model.fit(scaled, codes, sample_weight=weights)
        unexpected = [warning for warning in caught if not issubclass(warning.category, ConvergenceWarning)]
        for warning in unexpected:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        self.n_iter_ = model.n_iter_
        self.converged_ = len(unexpected) == len(caught)
        self.coef_ = (model.coef_ / scale).astype(vectors.dtype, copy=False)
        self.intercept_ = (model.intercept_ - self.coef_ @ mean).astype(vectors.dtype, copy=False)
        if not self.converged_:
            warnings.warn(
                f"the logistic head had not converged after {int(np.max(self.n_iter_)):,} steps; raise max_iter, or "
                f"lower C (now {self.C:g}).",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self
