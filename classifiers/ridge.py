"""Ridge classifiers: one factorization for any number of label vectors, strengths by exact leave-one-out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from classifiers.errors import HeadError
from classifiers.factor_cache import KeptFactors
from classifiers.factorization import Factorization, Float, VectorRows, factorize
from classifiers.heads import Head, LinearHead
from classifiers.signs import Signs
from classifiers.temperature import fit_platt, fit_temperature

ClassWeight = Literal["balanced"] | dict[Any, float] | None
# Times the mean eigenvalue of the centred vectors, so that the grid fits vectors of any scale and number.
DEFAULT_GRID = np.logspace(-3, 3, 13)
_TEMPERATURE_ROWS = 2048
_SOLUTIONS_AT_ONCE = 1 << 24
_SCORES_AT_ONCE = 1 << 23


class RidgeHead(LinearHead):
    """Least squares on ±1 targets, one against the rest, with a penalty on the squared coefficients.

    The same classifier as scikit-learn's RidgeClassifierCV: the strength is the one of `alphas` with the least
    mean squared leave-one-out error. By default `alphas` is a grid around the vectors' own scale, 1e-3 to 1e3
    times the mean eigenvalue of X'X. `alpha` fixes the strength instead. `class_weight` is None, 'balanced'
    or a dict by class.

    `predict_proba` is the softmax of the scores times `temperature_`, which is fitted to the leave-one-out
    scores (Guo et al. 2017, "On calibration of modern neural networks").

    y may be an indicator matrix (n, t) of 0 and 1, of several labels an image: each label is a problem of two
    classes, all with the same strength, and has a factor and an offset of its own (Platt 1999) in `temperature_`
    (2, t). `class_weight` is for classes only.

    After `fit`: `alpha_`, `alphas_`, `errors_` (mean squared leave-one-out error at each of `alphas_`),
    `coef_` (k, d), (1, d) or (t, d), `intercept_`, `temperature_`, `multilabel_`, and `classes_` (of labels their
    numbers), `space_`, `recipe_` as any head.
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
        """Fits on (n, d) vectors and (n,) labels, or (n, t) of 0 and 1. Raises HeadError."""
        vectors, codes = self._checked_training(X, y)
        _given_strengths(self)
        solve_ridges(factorize(vectors, _row_weights(self, codes), self.fit_intercept), [self], [codes])
        return self

    def learn_labels(self, y: ArrayLike, X: VectorRows) -> NDArray[Any]:
        """Takes in the classes of y, of rows that are not in memory; codes as `solve_ridges` wants them."""
        _given_strengths(self)
        self.n_features_in_ = X.shape[1]
        self.space_, self.recipe_ = None, None
        return self._checked_labels_like(self, y)


def fit_ridge_heads(
    heads: Sequence[RidgeHead], X: ArrayLike, ys: Sequence[ArrayLike], kept: KeptFactors | None = None
) -> None:
    """Fits heads[i] on all rows of X and ys[i], with one factorization for those without class weights.

    kept: where the factorization of X is kept.
    """
    vectors, codes = checked_together(heads, X, ys)
    shared: dict[bool, list[int]] = {}
    for index, head in enumerate(heads):
        _given_strengths(head)
        if head.class_weight is None:
            shared.setdefault(bool(head.fit_intercept), []).append(index)
        else:
            factor = factorize(vectors, _row_weights(head, codes[index]), head.fit_intercept)
            solve_ridges(factor, [head], [codes[index]])
    for intercept, indices in shared.items():
        factor = (
            factorize(vectors, None, intercept) if kept is None else kept.factorization(vectors, intercept)
        )
        known = len(factor.known_gaps)
        solve_ridges(factor, [heads[i] for i in indices], [codes[i] for i in indices])
        if kept is not None:
            kept.keep(factor, known)


def checked_together(
    heads: Sequence[Head], X: ArrayLike, ys: Sequence[ArrayLike]
) -> tuple[NDArray[Any], list[NDArray[Any]]]:
    """The vectors, which are looked at once, and the codes of each head's labels. Raises HeadError."""
    vectors, codes = heads[0]._checked_training(X, ys[0])
    others = zip(heads[1:], ys[1:], strict=True)
    return vectors, [codes, *(head._checked_labels_like(heads[0], y) for head, y in others)]


def _batches(widths: Sequence[int], rank: int) -> Iterator[slice]:
    """Consecutive heads of so many classes each, as many at a time as have room for their solutions."""
    start, width = 0, 0
    for end, one in enumerate(widths):
        if width and (width + one) * rank > _SOLUTIONS_AT_ONCE:
            yield slice(start, end)
            start, width = end, 0
        width += one
    yield slice(start, len(widths))


def solve_ridges(factor: Factorization, heads: Sequence[RidgeHead], codes: Sequence[NDArray[Any]]) -> None:
    """Chooses strengths and sets what heads learn; their labels are checked, and of the rows of the factorization."""
    for batch in _batches([len(head.classes_) for head in heads], len(factor.values)):
        _solve(factor, heads[batch], codes[batch])


def _solve(factor: Factorization, heads: Sequence[RidgeHead], codes: Sequence[NDArray[Any]]) -> None:
    targets = Signs.of(codes, [len(head.classes_) for head in heads])
    columns = targets.slices()
    means = factor.means(targets)
    P = factor.project(targets, means)
    _choose_strengths(factor, heads, targets, means, P)
    strengths = np.concatenate(
        [np.full(c.stop - c.start, h.alpha_) for h, c in zip(heads, columns, strict=True)]
    )
    coefficients, intercepts = factor.coefficients(P, means, strengths)
    rows = _temperature_rows(len(factor.X), targets.width)
    left_out = np.concatenate(list(factor.left_out(targets, means, P, strengths, rows)))
    dtype = factor.X.dtype
    for head, one, block in zip(heads, codes, columns, strict=True):
        head.coef_ = coefficients[block].astype(dtype)
        head.intercept_ = intercepts[block].astype(dtype)
        fit = fit_platt if head.multilabel_ else fit_temperature
        head.temperature_ = fit(left_out[:, block], one[rows])


def left_out_codes(
    factor: Factorization, heads: Sequence[RidgeHead], codes: Sequence[NDArray[Any]]
) -> list[NDArray[Any]]:
    """What fitted heads would predict for each row of their factorization had it been left out: (n,) or (n, t)."""
    predicted = [np.empty(one.shape, bool if one.ndim == 2 else np.intp) for one in codes]
    for batch in _batches([len(head.classes_) for head in heads], len(factor.values)):
        targets = Signs.of(codes[batch], [len(head.classes_) for head in heads[batch]])
        means = factor.means(targets)
        slices = targets.slices()
        strengths = [np.full(c.stop - c.start, h.alpha_) for h, c in zip(heads[batch], slices, strict=True)]
        everything = np.arange(len(factor.X))
        P = factor.project(targets, means)
        start = 0
        for scores in factor.left_out(targets, means, P, np.concatenate(strengths), everything):
            rows = slice(start, start + len(scores))
            for head, columns, out in zip(heads[batch], slices, predicted[batch], strict=True):
                own = scores[:, columns]
                single = own.shape[1] == 1 and not head.multilabel_
                out[rows] = own > 0 if head.multilabel_ else own[:, 0] > 0 if single else own.argmax(axis=1)
            start = rows.stop
    return predicted


def _temperature_rows(rows: int, targets: int) -> NDArray[np.intp]:
    """Rows that a temperature is fitted to, evenly spread: few where there are many targets."""
    few = min(rows, _TEMPERATURE_ROWS, max(256, _SCORES_AT_ONCE // targets))
    return np.unique(np.linspace(0, rows - 1, few).astype(np.intp))


def _choose_strengths(
    factor: Factorization, heads: Sequence[RidgeHead], targets: Signs, means: Float, P: Float
) -> None:
    """Sets `alphas_`, `errors_` and `alpha_`; heads with the same strengths are scanned together."""
    groups: dict[tuple[float, ...], list[int]] = {}
    for index, head in enumerate(heads):
        groups.setdefault(tuple(_strengths(head, factor.scale)), []).append(index)
    columns = targets.slices()
    for strengths, indices in groups.items():
        alphas = np.array(strengths)
        members = np.concatenate([np.arange(columns[i].start, columns[i].stop) for i in indices])
        some = Signs(tuple(targets.parts[i] for i in indices))
        errors = factor.squared_errors(some, means[members], P[:, members], alphas)
        for index, block in zip(indices, some.slices(), strict=True):
            head = heads[index]
            head.alphas_, head.errors_ = alphas, errors[:, block].mean(axis=1)
            head.alpha_ = float(alphas[head.errors_.argmin()])


def _strengths(head: RidgeHead, scale: float) -> Float:
    given = _given_strengths(head)
    return DEFAULT_GRID * scale if given is None else given


def _given_strengths(head: RidgeHead) -> Float | None:
    """The strengths that the head was asked for, None for the default grid. Raises HeadError."""
    if head.alpha is not None and head.alphas is not None:
        raise HeadError("alpha fixes the strength and alphas asks to choose one: give one of the two.")
    given = [head.alpha] if head.alpha is not None else head.alphas
    if given is None:
        return None
    try:
        strengths = np.array(list(given), np.float64)
    except (TypeError, ValueError):
        strengths = np.array([])
    if not strengths.size or strengths.ndim != 1 or not (np.isfinite(strengths) & (strengths > 0)).all():
        raise HeadError(
            f"the strength of a ridge must be a number above 0, or several in alphas; got {given!r}."
        )
    return strengths


def _row_weights(head: RidgeHead, codes: NDArray[Any]) -> Float | None:
    if head.class_weight is None:
        return None
    refuse_class_weight(head)
    return row_weights(head.class_weight, head.classes_, codes)


def refuse_class_weight(head: Head) -> None:
    """Raises HeadError if a head of several labels an image has weights of classes."""
    if head.multilabel_ and head.get_params()["class_weight"] is not None:
        raise HeadError("class_weight is for classes; a head of several labels an image takes none.")


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
