"""Logistic regression: one head, or many on the same vectors at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from classifiers.errors import HeadError
from classifiers.heads import LinearHead
from classifiers.logistic_fitting import fit_logistic_heads
from classifiers.row_weights import ClassWeight


class LogisticHead(LinearHead):
    """Logistic regression with a penalty of 1 / (2C) on the squared coefficients, as scikit-learn's.

    Multinomial for three classes or more; y may be an indicator matrix (n, t) of 0 and 1, of several labels an
    image, each of which is a problem of two classes (`class_weight` is for classes only).

    `C` is a number as scikit-learn's, or 'auto': 1 / C is then the strength with which a ridge on the same labels has
    its least leave-one-out error, times (1 - 1/k) / 4k for k classes, a quarter of the curvature p (1 - p) of the loss
    where all are equally likely. That follows the vectors' scale and how much they tell of the labels, and costs a
    few products. Or it is several numbers, or 'folds' for a grid around the vectors' own scale: of these the one with
    the least log-loss on five held-out folds of the training rows is taken, which costs 50 fits.
    `standardize=True` scales each dimension by its own deviation, which is another problem: the penalty then
    counts in standard deviations.

    It stops when the objective is estimated to be within `tol` of its optimum, as a share of it, or after
    `max_iter` rounds with a ConvergenceWarning.

    After `fit`: `coef_` (k, d), (1, d) or (t, d) and `intercept_`, `C_`, `n_iter_`, `gap_` (the estimated share of
    the objective that is still to gain; seen up to sixteen times too low, where classes can be told apart and C is
    large), `converged_`, `multilabel_`, and `classes_` (of labels their numbers), `space_`, `recipe_` as any head;
    where C was chosen by folds also `Cs_`, `losses_` and `accuracies_`, those of the held-out rows at each.
    """

    def __init__(
        self,
        C: float | Sequence[float] | Literal["auto", "folds"] = "auto",
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

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fits on (n, d) vectors and (n,) labels, or (n, t) of 0 and 1, and weights (n,) of the rows from 0 up.

        Weights multiply those of `class_weight`. Raises HeadError.
        """
        fit_logistic_heads([self], X, [y], weights=[sample_weight])
        return self

    @property
    def guided(self) -> bool:
        """Whether C is to come from a ridge."""
        return isinstance(self.C, str) and self.C == "auto"

    def grid(self, usual: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """The values of C to choose from, `usual` for 'folds'; None where there is nothing to try. Raises HeadError."""
        if self.guided:
            return None
        if isinstance(self.C, str) and self.C == "folds":
            return usual
        try:
            values = np.array(self.C, np.float64)
        except (TypeError, ValueError):
            values = np.array([])
        if isinstance(self.C, str | bool) or values.ndim > 1 or not values.size or not _is_strength(values):
            raise HeadError(
                "C of a logistic head must be a number above 0, several to choose from, 'auto' or 'folds'; got "
                f"{self.C!r}."
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
