"""Ridge classifiers: one factorization for any number of label vectors, strengths by exact leave-one-out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from classifiers.errors import HeadError
from classifiers.factor_cache import KeptFactors
from classifiers.factorization import Factorization, Float, VectorRows, factorize
from classifiers.heads import Head, LinearHead
from classifiers.leave_one_out import left_out, squared_errors
from classifiers.row_weights import ClassWeight, training_weights
from classifiers.signs import Signs, batches
from classifiers.temperature import fit_platt, fit_temperature
from classifiers.threads import few_threads

# Times the mean eigenvalue of the centred vectors, so that the grid fits vectors of any scale and number.
DEFAULT_GRID = np.logspace(-3, 3, 13)
_TEMPERATURE_ROWS = 2048
_SOLUTIONS_AT_ONCE = 1 << 24
_SCORES_AT_ONCE = 1 << 23


class RidgeHead(LinearHead):
    """Least squares on ±1 targets, one against the rest, with a penalty on the squared coefficients.

    The same classifier as scikit-learn's RidgeClassifierCV: the strength is the one of `alphas` with the least
    mean squared leave-one-out error. By default `alphas` is a grid around the vectors' own scale, 1e-3 to 1e3
    times the mean eigenvalue of X'X; rows that are alone in their class are not counted then, and where fewer than
    two classes have several rows it is once the mean eigenvalue. `alpha` fixes the strength instead. `class_weight`
    is None, 'balanced' or a dict by class.

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

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fits on (n, d) vectors and (n,) labels, or (n, t) of 0 and 1, and weights (n,) of the rows from 0 up.

        Weights multiply those of `class_weight`. Raises HeadError.
        """
        fit_ridge_heads([self], X, [y], weights=[sample_weight])
        return self

    def learn_labels(self, y: ArrayLike, X: VectorRows) -> NDArray[Any]:
        """Takes in the classes of y, of rows that are not in memory; codes as `solve_ridges` wants them."""
        _given_strengths(self)
        self.n_features_in_ = X.shape[1]
        self.space_, self.recipe_ = None, None
        return self._checked_labels_like(self, y)


def fit_ridge_heads(
    heads: Sequence[RidgeHead],
    X: ArrayLike,
    ys: Sequence[ArrayLike],
    kept: KeptFactors | None = None,
    weights: Sequence[ArrayLike | None] | None = None,
) -> None:
    """Fits heads[i] on all rows of X and ys[i]; rows of the same weights share a factorization.

    kept: where the factorization of X is kept. weights: (n,) of the rows for each head, or None. Raises HeadError.
    """
    with few_threads(True):
        vectors, codes = checked_together(heads, X, ys)
    given = weights or [None] * len(heads)
    for weighed, indices in by_weights(heads, codes, given):
        members, labels = [heads[i] for i in indices], [codes[i] for i in indices]
        if weighed is not None:
            rows: Any = slice(None) if weighed.all() else weighed > 0
            factor = factorize(vectors[rows], weighed[rows], members[0].fit_intercept)
            solve_ridges(factor, members, [one[rows] for one in labels])
            continue
        if kept is None:
            solve_ridges(factorize(vectors, None, members[0].fit_intercept), members, labels)
            continue
        factor = kept.factorization(vectors, bool(members[0].fit_intercept))
        known = len(factor.known_gaps)
        solve_ridges(factor, members, labels)
        kept.keep(factor, known)


def by_weights(
    heads: Sequence[RidgeHead], codes: Sequence[NDArray[Any]], given: Sequence[ArrayLike | None]
) -> Iterator[tuple[Float | None, list[int]]]:
    """Weights (n,) of rows, None if all are 1, and the numbers of the heads that share them and `fit_intercept`.

    Raises HeadError.
    """
    groups: dict[tuple[bool, bytes], tuple[Float | None, list[int]]] = {}
    for index, (head, one, sample) in enumerate(zip(heads, codes, given, strict=True)):
        _given_strengths(head)
        weights = training_weights(head, one, sample)
        key = bool(head.fit_intercept), b"" if weights is None else weights.tobytes()
        groups.setdefault(key, (weights, []))[1].append(index)
    yield from groups.values()


def leave_one_out_strengths(
    factor: Factorization, codes: Sequence[NDArray[Any]], classes: Sequence[int]
) -> list[float]:
    """The strengths that ridges with the default grid would choose for label vectors of so many classes or labels."""
    heads = [RidgeHead() for _ in codes]
    for batch in batches(classes, len(factor.values), _SOLUTIONS_AT_ONCE):
        targets = Signs.of(codes[batch], classes[batch])
        means = factor.means(targets)
        _choose_strengths(factor, heads[batch], codes[batch], targets, means, factor.project(targets, means))
    return [head.alpha_ for head in heads]


def checked_together(
    heads: Sequence[Head], X: ArrayLike, ys: Sequence[ArrayLike]
) -> tuple[NDArray[Any], list[NDArray[Any]]]:
    """The vectors, which are looked at once, and the codes of each head's labels. Raises HeadError."""
    vectors, codes = heads[0]._checked_training(X, ys[0])
    others = zip(heads[1:], ys[1:], strict=True)
    return vectors, [codes, *(head._checked_labels_like(heads[0], y) for head, y in others)]


def solve_ridges(factor: Factorization, heads: Sequence[RidgeHead], codes: Sequence[NDArray[Any]]) -> None:
    """Chooses strengths and sets what heads learn; their labels are checked, and of the rows of the factorization."""
    with few_threads(True):
        for batch in batches([len(head.classes_) for head in heads], len(factor.values), _SOLUTIONS_AT_ONCE):
            _solve(factor, heads[batch], codes[batch])


def _solve(factor: Factorization, heads: Sequence[RidgeHead], codes: Sequence[NDArray[Any]]) -> None:
    targets = Signs.of(codes, [len(head.classes_) for head in heads])
    columns = targets.slices()
    means = factor.means(targets)
    P = factor.project(targets, means)
    _choose_strengths(factor, heads, codes, targets, means, P)
    strengths = targets.repeated([head.alpha_ for head in heads])
    coefficients, intercepts = factor.coefficients(P, means, strengths)
    rows = temperature_rows(len(factor.X), targets.width)
    scores = np.concatenate(list(left_out(factor, targets, means, P, strengths, rows)))
    dtype = factor.X.dtype
    for head, one, block in zip(heads, codes, columns, strict=True):
        head.coef_ = coefficients[block].astype(dtype)
        head.intercept_ = intercepts[block].astype(dtype)
        head.temperature_ = temperature_of(head, scores[:, block], one[rows])


def temperature_of(head: RidgeHead, scores: Float, codes: NDArray[Any]) -> Any:  # noqa: ANN401 (a number, or (2, t))
    """The `temperature_` of a head, from leave-one-out scores (m, t) of rows and their codes."""
    return (fit_platt if head.multilabel_ else fit_temperature)(scores, codes)


def left_out_codes(
    factor: Factorization, heads: Sequence[RidgeHead], codes: Sequence[NDArray[Any]]
) -> list[NDArray[Any]]:
    """What fitted heads would predict for each row of their factorization had it been left out: (n,) or (n, t)."""
    predicted = [np.empty(one.shape, bool if one.ndim == 2 else np.intp) for one in codes]
    for batch in batches([len(head.classes_) for head in heads], len(factor.values), _SOLUTIONS_AT_ONCE):
        targets = Signs.of(codes[batch], [len(head.classes_) for head in heads[batch]])
        means = factor.means(targets)
        slices = targets.slices()
        strengths = targets.repeated([head.alpha_ for head in heads[batch]])
        everything = np.arange(len(factor.X))
        P = factor.project(targets, means)
        start = 0
        for scores in left_out(factor, targets, means, P, strengths, everything):
            rows = slice(start, start + len(scores))
            for head, columns, out in zip(heads[batch], slices, predicted[batch], strict=True):
                own = scores[:, columns]
                single = own.shape[1] == 1 and not head.multilabel_
                out[rows] = own > 0 if head.multilabel_ else own[:, 0] > 0 if single else own.argmax(axis=1)
            start = rows.stop
    return predicted


def temperature_rows(rows: int, targets: int) -> NDArray[np.intp]:
    """Rows that a temperature is fitted to, evenly spread: few where there are many targets."""
    few = min(rows, _TEMPERATURE_ROWS, max(256, _SCORES_AT_ONCE // targets))
    return evenly_spread(rows, few)


def evenly_spread(rows: int, few: int) -> NDArray[np.intp]:
    """The numbers of about `few` of so many rows, ascending."""
    return np.unique(np.linspace(0, rows - 1, few).astype(np.intp))


def _choose_strengths(
    factor: Factorization,
    heads: Sequence[RidgeHead],
    codes: Sequence[NDArray[Any]],
    targets: Signs,
    means: Float,
    P: Float,
) -> None:
    """Sets `alphas_`, `errors_` and `alpha_`; heads with the same strengths are scanned together."""
    groups: dict[tuple[tuple[float, ...], bytes], list[int]] = {}
    masks = [told_rows(head, one) for head, one in zip(heads, codes, strict=True)]
    for index, (head, mask) in enumerate(zip(heads, masks, strict=True)):
        key = tuple(strengths_of(head, factor.scale)), b"" if mask is None else mask.tobytes()
        groups.setdefault(key, []).append(index)
    columns = targets.slices()
    for (strengths, _), indices in groups.items():
        alphas, told = np.array(strengths), masks[indices[0]]
        members = np.concatenate([np.arange(columns[i].start, columns[i].stop) for i in indices])
        some = Signs(tuple(targets.parts[i] for i in indices))
        errors = squared_errors(factor, some, means[members], P[:, members], alphas, told)
        for index, block in zip(indices, some.slices(), strict=True):
            choose_strength(heads[index], alphas, errors[:, block], told)


def choose_strength(head: RidgeHead, alphas: Float, errors: Float, told: NDArray[np.bool_] | None) -> int:
    """Sets `alphas_`, `errors_` and `alpha_` by mean squared errors (a, t) of the rows that tell; which it is."""
    head.alphas_, head.errors_ = alphas, errors.mean(axis=1)
    best = int(head.errors_.argmin()) if told is None or told.any() else len(alphas) // 2
    head.alpha_ = float(alphas[best])
    return best


def told_rows(head: RidgeHead, codes: NDArray[Any]) -> NDArray[np.bool_] | None:
    """The rows (n,) that the choice of a head's strength looks at, None for all."""
    return None if _given_strengths(head) is not None or codes.ndim == 2 else rows_that_tell(codes)


def rows_that_tell(codes: NDArray[Any]) -> NDArray[np.bool_] | None:
    """The rows (n,) that leaving out tells something of, None for all: not those that are alone in their class.

    None of them if fewer than two classes are left.
    """
    counts = np.bincount(codes)
    if (counts != 1).all():
        return None
    return (counts > 1)[codes] if (counts > 1).sum() > 1 else np.zeros(len(codes), bool)


def strengths_of(head: RidgeHead, scale: float) -> Float:
    """The strengths that it chooses from: those it was given, or the grid around `scale`."""
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
