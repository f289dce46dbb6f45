"""Logistic regression: one head, or many on the same vectors at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from classifiers.errors import HeadError
from classifiers.heads import LinearHead
from classifiers.logistic_fitting import fit_logistic_heads
from classifiers.ridge import ClassWeight


class LogisticHead(LinearHead):
    """Logistic regression with a penalty of 1 / (2C) on the squared coefficients, as scikit-learn's.

    Multinomial for three classes or more; y may be an indicator matrix (n, t) of 0 and 1, of several labels an
    image, each of which is a problem of two classes (`class_weight` is for classes only). `C` may be several numbers,
    or 'auto' for a grid around the vectors' own scale: of these the one with the least log-loss on five held-out
    folds of the training rows is taken.
    `standardize=True` scales each dimension by its own deviation, which is another problem: the penalty then
    counts in standard deviations.

    It stops when the objective is estimated to be within `tol` of its optimum, as a share of it, or after
    `max_iter` rounds with a ConvergenceWarning.

    After `fit`: `coef_` (k, d), (1, d) or (t, d) and `intercept_`, `C_`, `n_iter_`, `gap_` (the estimated share of
    the objective that is still to gain), `converged_`, `multilabel_`, and `classes_` (of labels their numbers),
    `space_`, `recipe_` as any head; where C was chosen also `Cs_`, `losses_` and `accuracies_`, those of the
    held-out rows at each.
    """

    def __init__(
        self,
        C: float | Sequence[float] | Literal["auto"] = 1.0,
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
        """Fits on (n, d) vectors and (n,) labels, or (n, t) of 0 and 1. Raises HeadError."""
        fit_logistic_heads([self], X, [y])
        return self

    def grid(self, auto: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """The values of C to choose from, `auto` for 'auto'; None where one is given. Raises HeadError."""
        if isinstance(self.C, str) and self.C == "auto":
            return auto
        try:
            values = np.array(self.C, np.float64)
        except (TypeError, ValueError):
            values = np.array([])
        if isinstance(self.C, str | bool) or values.ndim > 1 or not values.size or not _is_strength(values):
            raise HeadError(
                f"C of a logistic head must be a number above 0, several to choose from, or 'auto'; got {self.C!r}."
            )
        return values if values.ndim else None

    def check_settings(self) -> None:
        """Raises HeadError for settings that no fit can follow."""
        self.grid(np.ones(1))
        if not (self.tol > 0 and self.max_iter >= 1):
            raise HeadError(
                f"tol of a logistic head must be above 0 and max_iter at least 1; got {self.tol!r} and "
                f"{self.max_iter!r}."
            )


def _is_strength(values: NDArray[np.float64]) -> bool:
    return bool((np.isfinite(values) & (values > 0)).all())
