"""Ridge classifiers: one factorization for any number of label vectors, strengths by exact leave-one-out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from classifiers.errors import HeadError
from classifiers.factorization import Factorization, Float, factorize
from classifiers.heads import LinearHead
from classifiers.temperature import fit_temperature

ClassWeight = Literal["balanced"] | dict[Any, float] | None
# Times the mean eigenvalue of the centred vectors, so that the grid fits vectors of any scale and number.
DEFAULT_GRID = np.logspace(-3, 3, 13)
_TEMPERATURE_ROWS = 4096
_TARGETS_AT_ONCE = 1 << 27


class RidgeHead(LinearHead):
    """Least squares on ±1 targets, one against the rest, with a penalty on the squared coefficients.

    The same classifier as scikit-learn's RidgeClassifierCV: the strength is the one of `alphas` with the least
    mean squared leave-one-out error. By default `alphas` is a grid around the vectors' own scale, 1e-3 to 1e3
    times the mean eigenvalue of X'X. `alpha` fixes the strength instead. `class_weight` is None, 'balanced'
    or a dict by class.

    `predict_proba` is the softmax of the scores times `temperature_`, which is fitted to the leave-one-out
    scores (Guo et al. 2017, "On calibration of modern neural networks").

    After `fit`: `alpha_`, `alphas_`, `errors_` (mean squared leave-one-out error at each of `alphas_`),
    `coef_` (k, d) or (1, d), `intercept_`, `temperature_`, and `classes_`, `space_`, `recipe_` as any head.
    """

    def __init__(
        self,
        alphas: Sequence[float] | None = None,
        alpha: float | None = None,
        class_weight: ClassWeight = None,
        fit_intercept: bool = True,
    ) -> None:
        self.alphas = alphas
        self.alpha = alpha
        self.class_weight = class_weight
        self.fit_intercept = fit_intercept

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fits on (n, d) vectors and (n,) labels. Raises HeadError."""
        vectors, codes = self._checked_training(X, y)
        _fit_all([self], vectors, [codes])
        return self


def fit_ridge_heads(heads: Sequence[RidgeHead], X: ArrayLike, ys: Sequence[ArrayLike]) -> None:
    """Fits heads[i] on all rows of X and ys[i], with one factorization for those without class weights."""
    checked = [head._checked_training(X, y) for head, y in zip(heads, ys, strict=True)]
    codes = [one for _, one in checked]
    shared: dict[bool, list[int]] = {}
    for index, head in enumerate(heads):
        if head.class_weight is not None:
            _fit_all([head], checked[index][0], [codes[index]])
        else:
            shared.setdefault(bool(head.fit_intercept), []).append(index)
    for indices in shared.values():
        _fit_all([heads[i] for i in indices], checked[indices[0]][0], [codes[i] for i in indices])


def _fit_all(heads: Sequence[RidgeHead], X: NDArray[Any], codes: Sequence[NDArray[np.intp]]) -> None:
    """Fits heads that share weights of rows and `fit_intercept`; a few at a time if their targets are many."""
    first = heads[0]
    factor = factorize(X, _row_weights(first, codes[0]), first.fit_intercept)
    batch: list[int] = []
    targets = 0
    for index, head in enumerate(heads):
        batch.append(index)
        targets += len(head.classes_)
        if targets * len(X) > _TARGETS_AT_ONCE or index == len(heads) - 1:
            _solve(factor, [heads[i] for i in batch], [codes[i] for i in batch])
            batch, targets = [], 0


def _solve(factor: Factorization, heads: Sequence[RidgeHead], codes: Sequence[NDArray[np.intp]]) -> None:
    blocks = [_targets(one, len(head.classes_)) for head, one in zip(heads, codes, strict=True)]
    ends = np.cumsum([block.shape[1] for block in blocks])
    columns = [slice(end - block.shape[1], end) for end, block in zip(ends, blocks, strict=True)]
    Yc, means = factor.centre(np.concatenate(blocks, axis=1))
    P = factor.project(Yc)
    _choose_strengths(factor, heads, columns, Yc, P)
    strengths = np.concatenate(
        [np.full(c.stop - c.start, h.alpha_) for h, c in zip(heads, columns, strict=True)]
    )
    coefficients, intercepts = factor.coefficients(P, means, strengths)
    rows = np.unique(np.linspace(0, len(factor.X) - 1, min(len(factor.X), _TEMPERATURE_ROWS)).astype(np.intp))
    left_out = factor.left_out(Yc, P, means, strengths, rows)
    dtype = factor.X.dtype
    for head, one, block in zip(heads, codes, columns, strict=True):
        head.coef_ = coefficients[block].astype(dtype)
        head.intercept_ = intercepts[block].astype(dtype)
        head.temperature_ = fit_temperature(left_out[:, block], one[rows])


def _choose_strengths(
    factor: Factorization, heads: Sequence[RidgeHead], columns: Sequence[slice], Yc: Float, P: Float
) -> None:
    """Sets `alphas_`, `errors_` and `alpha_`; heads with the same strengths are scanned together."""
    groups: dict[tuple[float, ...], list[int]] = {}
    for index, head in enumerate(heads):
        groups.setdefault(tuple(_strengths(head, factor.scale)), []).append(index)
    for strengths, indices in groups.items():
        alphas = np.array(strengths)
        members = np.concatenate([np.arange(columns[i].start, columns[i].stop) for i in indices])
        everything = len(members) == Yc.shape[1]
        Y, projected = (Yc, P) if everything else (Yc[:, members], P[:, members])
        errors = factor.squared_errors(Y, projected, alphas)
        start = 0
        for index in indices:
            width = columns[index].stop - columns[index].start
            head = heads[index]
            head.alphas_, head.errors_ = alphas, errors[:, start : start + width].mean(axis=1)
            head.alpha_ = float(alphas[head.errors_.argmin()])
            start += width


def _strengths(head: RidgeHead, scale: float) -> Float:
    if head.alpha is not None and head.alphas is not None:
        raise HeadError("alpha fixes the strength and alphas asks to choose one: give one of the two.")
    given = [head.alpha] if head.alpha is not None else head.alphas
    if given is None:
        return DEFAULT_GRID * scale
    try:
        strengths = np.array(list(given), np.float64)
    except (TypeError, ValueError):
        strengths = np.array([])
    if not strengths.size or strengths.ndim != 1 or not (np.isfinite(strengths) & (strengths > 0)).all():
        raise HeadError(
            f"the strength of a ridge must be a number above 0, or several in alphas; got {given!r}."
        )
    return strengths


def _targets(codes: NDArray[np.intp], classes: int) -> Float:
    """±1 targets (n, k), one against the rest; one column for two classes."""
    if classes == 2:
        return np.where(codes == 1, 1.0, -1.0)[:, None]
    return np.where(codes[:, None] == np.arange(classes), 1.0, -1.0)


def _row_weights(head: RidgeHead, codes: NDArray[np.intp]) -> Float | None:
    if head.class_weight is None:
        return None
    return row_weights(head.class_weight, head.classes_, codes)


def row_weights(class_weight: ClassWeight, classes: NDArray[Any], codes: NDArray[np.intp]) -> Float:
    """Weights (n,) of rows; 'balanced' is n / (k · count of the class), as in scikit-learn. Raises HeadError."""
    from sklearn.utils.class_weight import compute_sample_weight

    if class_weight is None:
        return np.ones(len(codes))
    try:
        weights: Float = compute_sample_weight(class_weight, classes[codes])
    except (TypeError, ValueError) as error:
        raise HeadError(f"class_weight {class_weight!r} does not fit: {error}") from error
    if not (np.isfinite(weights) & (weights > 0)).all():
        raise HeadError(f"class_weight {class_weight!r} gives a class a weight that is not above 0.")
    return weights
