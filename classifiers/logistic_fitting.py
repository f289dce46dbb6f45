"""Fitting logistic heads on the same vectors together: their problems, in batches, and the choice of C."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from classifiers.batched_logistic import Solutions, solve
from classifiers.factor_cache import KeptFactors
from classifiers.factorization import Float, factorize
from classifiers.logistic_objective import Objective, Problems
from classifiers.ridge import checked_together, refuse_class_weight, row_weights
from classifiers.scaling import mean_and_scale
from classifiers.threads import few_threads

if TYPE_CHECKING:
    from classifiers.logistic import LogisticHead

# Of C times the mean squared length of centred vectors, so that the grid fits vectors of any scale and dimension.
AUTO_GRID = np.logspace(-0.5, 4, 10)
FOLDS = 5
_SEARCH_TOLERANCE = 1e-3
_SEARCH_ROUNDS = 200
_WORTH_ROTATING = 128  # columns to solve for; one problem is done before an eigendecomposition would be
_SMALL_SIDE = 512  # which decomposes in a few milliseconds
_ROWS_A_DIMENSION = 4  # a round costs rows × dimensions, the decomposition dimensions cubed
_NUMBERS_AT_ONCE = 1 << 21
_SMALL = 1 << 21

_NOTHING = Solutions(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0, np.int64), np.zeros(0, bool))


def fit_logistic_heads(
    heads: Sequence[LogisticHead],
    X: ArrayLike,
    ys: Sequence[ArrayLike],
    kept: KeptFactors | None = None,
) -> None:
    """Fits heads[i] on all rows of X and ys[i]; those of the same settings are solved together.

    kept: where the factorization of X is kept. Raises HeadError.
    """
    for head in heads:
        head.check_settings()
    vectors, codes = checked_together(heads, X, ys)
    for head in heads:
        refuse_class_weight(head)
    groups: dict[tuple[Any, ...], list[int]] = {}
    for index, head in enumerate(heads):
        groups.setdefault((bool(head.standardize), head.tol, head.max_iter), []).append(index)
    spaces: dict[bool, _Turned] = {}
    for (standardize, _, _), indices in groups.items():
        members, labels = [heads[i] for i in indices], [codes[i] for i in indices]
        if standardize not in spaces:
            columns = sum(_columns(head) for head in members)
            spaces[standardize] = _Turned.of(vectors, standardize, columns, kept)
        _fit_group(members, labels, spaces[standardize])


@dataclass(frozen=True)
class _Turned:
    """Centred vectors with a last column of ones, in coordinates that suit the solver, and the way back."""

    Z: NDArray[Any]
    curvatures: Float
    basis: NDArray[Any] | None  # in whose columns the curvatures are, if not in those of Z
    back: Callable[[Float], tuple[Float, Float]]
    length: float  # mean squared length of the centred vectors

    @classmethod
    def of(cls, X: NDArray[Any], standardize: bool, columns: int, kept: KeptFactors | None) -> _Turned:
        """Of vectors to be solved for so many columns of scores.

        Many columns are worth to turn all rows into the eigenbasis. With few only the directions are turned,
        where the basis is known, will be kept, or costs less than the rounds it saves; else the curvatures of the
        dimensions themselves have to do.
        """
        divisor = mean_and_scale(X, True)[1] if standardize else None
        scaled, kept = (X, kept) if divisor is None else (X / divisor, None)
        many = columns >= _WORTH_ROTATING
        factor = kept.known(X) if kept is not None else None
        worth = (
            many
            or kept is not None
            or min(X.shape) <= _SMALL_SIDE
            or len(X) >= _ROWS_A_DIMENSION * X.shape[1]
        )
        if factor is None and worth:
            factor = factorize(scaled) if kept is None else kept.factorization(X)
            if kept is not None:
                kept.keep(factor, 0)
        basis = None
        back: Callable[[Float], tuple[Float, Float]]
        if factor is None:
            mean = scaled.mean(axis=0, dtype=np.float64)
            Z = _centred(scaled, mean)
            curvatures = np.einsum("nd,nd->d", Z, Z).astype(np.float64)
            back = partial(_uncentred, mean)
        else:
            curvatures, back = np.append(factor.values, len(X)), factor.unrotated
            if many or factor.wide:
                Z = factor.rotated()
            else:
                Z, basis = _centred(scaled, factor.mean), factor.narrow()

        def unscaled(W: Float) -> tuple[Float, Float]:
            coefficients, intercepts = back(W)
            return (coefficients if divisor is None else coefficients / divisor), intercepts

        length = float(curvatures[:-1].sum()) / len(X)
        return cls(Z, curvatures, basis, unscaled, length if length > 0 else 1.0)


def _centred(X: NDArray[Any], mean: Float) -> NDArray[Any]:
    """Centred vectors and a last column of ones: (n, d + 1)."""
    Z = np.empty((len(X), X.shape[1] + 1), X.dtype)
    np.subtract(X, mean.astype(X.dtype), out=Z[:, :-1])
    Z[:, -1] = 1
    return Z


def _uncentred(mean: Float, W: Float) -> tuple[Float, Float]:
    """Weights (t, d + 1) of the columns of `_centred` as coefficients (t, d) and intercepts (t,)."""
    return W[:, :-1], W[:, -1] - W[:, :-1] @ mean


@dataclass(frozen=True)
class _Task:
    """One problem: that of all classes of a head, or of one of its labels."""

    head: int
    codes: NDArray[Any]
    classes: int  # 1 for two
    weights: NDArray[Any] | None
    test: NDArray[Any] | None = None  # weights of the rows to be tested on


@dataclass(frozen=True)
class _Found:
    """A task's solution, and its summed log-loss and hits on the rows to be tested on."""

    solution: Solutions
    loss: float = 0.0
    hits: float = 0.0


def _fit_group(heads: Sequence[LogisticHead], codes: Sequence[NDArray[Any]], turned: _Turned) -> None:
    tasks = [task for index, head in enumerate(heads) for task in _tasks(index, head, codes[index])]
    _choose(heads, tasks, turned)
    penalties = np.array([1.0 / heads[task.head].C_ for task in tasks])
    found = _solve_tasks(tasks, penalties, turned, heads[0].tol, heads[0].max_iter)
    for index, head in enumerate(heads):
        own = [one.solution for one, task in zip(found, tasks, strict=True) if task.head == index]
        _set_learned(head, own, turned)


def _set_learned(head: LogisticHead, found: Sequence[Solutions], turned: _Turned) -> None:
    from sklearn.exceptions import ConvergenceWarning

    coefficients, intercepts = turned.back(np.concatenate([one.coef[0] for one in found]).astype(np.float64))
    dtype = turned.Z.dtype
    head.coef_, head.intercept_ = coefficients.astype(dtype), intercepts.astype(dtype)
    head.n_iter_ = np.array([max(int(one.n_iter[0]) for one in found)])
    head.gap_ = max(float(one.gap[0]) for one in found)
    head.converged_ = all(bool(one.converged[0]) for one in found)
    if not head.converged_:
        warnings.warn(
            f"the logistic head had not converged after {int(head.n_iter_[0]):,} steps: its objective may be "
            f"{head.gap_:.1g} of itself above the optimum, asked was {head.tol:g}; raise max_iter or tol, or lower C "
            f"(now {head.C_:g}).",
            ConvergenceWarning,
            stacklevel=5,
        )


def _tasks(index: int, head: LogisticHead, codes: NDArray[Any]) -> list[_Task]:
    if head.multilabel_:
        return [_Task(index, column, 1, None) for column in codes.T]
    weights = None if head.class_weight is None else row_weights(head.class_weight, head.classes_, codes)
    kind = np.int16 if len(head.classes_) < 1 << 15 else np.int32
    return [_Task(index, codes.astype(kind), _columns(head), weights)]


def _columns(head: LogisticHead) -> int:
    k = len(head.classes_)
    return 1 if k == 2 and not head.multilabel_ else k


def _solve_tasks(
    tasks: Sequence[_Task],
    penalties: Float,
    turned: _Turned,
    tol: float,
    max_iter: int,
    starts: Sequence[NDArray[Any]] | None = None,
) -> list[_Found]:
    """Solves each task, in batches of the same number of classes, as many side by side as there are processors."""
    batches = list(_batches(tasks, turned.Z.shape))
    alone = len(batches) == 1 and turned.Z.size > _SMALL
    found = [_Found(_NOTHING)] * len(tasks)

    def run(batch: list[int]) -> None:
        start = None if starts is None else np.stack([starts[i] for i in batch])
        some = [tasks[i] for i in batch]
        problems = _problems(some, [task.weights for task in some], penalties[batch], turned.Z.dtype)
        objective = Objective(turned.Z, problems, turned.basis, alone)
        solved = solve(objective, turned.curvatures, tol, max_iter, start)
        losses, hits = np.zeros(len(batch)), np.zeros(len(batch))
        if some[0].test is not None:
            tests = _problems(some, [task.test for task in some], penalties[batch], turned.Z.dtype)
            losses, hits = replace(objective, problems=tests).held_out(solved.coef)
        for place, index in enumerate(batch):
            found[index] = _Found(solved[place : place + 1], float(losses[place]), float(hits[place]))

    with few_threads(True):
        if len(batches) == 1:
            run(batches[0])
        else:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                list(pool.map(run, batches))
    return found


def _batches(tasks: Sequence[_Task], shape: tuple[int, ...]) -> Iterator[list[int]]:
    """Numbers of tasks of the same number of classes, few enough for their histories and codes to be in memory."""
    kinds: dict[tuple[int, bool], list[int]] = {}
    for index, task in enumerate(tasks):
        kinds.setdefault((task.classes, task.weights is not None), []).append(index)
    for (classes, _), indices in kinds.items():
        most = max(1, min(_NUMBERS_AT_ONCE // (classes * shape[1]), 16 * _NUMBERS_AT_ONCE // shape[0]))
        pieces = -(-len(indices) // most)
        yield from (piece.tolist() for piece in np.array_split(indices, pieces))


def _problems(
    tasks: Sequence[_Task], weights: Sequence[NDArray[Any] | None], penalties: Float, dtype: np.dtype[Any]
) -> Problems:
    given = [one for one in weights if one is not None]
    stacked = np.stack(given).astype(dtype) if given else None
    codes = np.stack([task.codes for task in tasks])
    return Problems(
        codes.astype(np.int8) if codes.dtype == bool else codes, tasks[0].classes, penalties, stacked
    )


def _choose(heads: Sequence[LogisticHead], tasks: Sequence[_Task], turned: _Turned) -> None:
    """Sets `C_`, of heads that ask to choose it by the log-loss on held-out folds; equal grids together."""
    grids: dict[tuple[float, ...], list[int]] = {}
    for index, head in enumerate(heads):
        asked = head.grid(AUTO_GRID / turned.length)
        if asked is None:
            head.C_ = float(head.C)  # type: ignore[arg-type]  # it is one number
        else:
            grids.setdefault(tuple(asked.tolist()), []).append(index)
    for grid, indices in grids.items():
        trials = [trial for task in tasks if task.head in indices for trial in _trials(task)]
        losses, hits = np.zeros((len(heads), len(grid))), np.zeros((len(heads), len(grid)))
        starts: list[NDArray[Any]] | None = None
        for step in np.argsort(grid):  # each strength starts where the stronger one before it ended
            penalties = np.full(len(trials), 1 / grid[step])
            found = _solve_tasks(trials, penalties, turned, _SEARCH_TOLERANCE, _SEARCH_ROUNDS, starts)
            starts = [one.solution.coef[0] for one in found]
            for trial, one in zip(trials, found, strict=True):
                losses[trial.head, step] += one.loss
                hits[trial.head, step] += one.hits
        tested = np.zeros(len(heads))
        for trial in trials:
            tested[trial.head] += 0 if trial.test is None else trial.test.sum()
        for index in indices:
            head = heads[index]
            head.Cs_, head.losses_ = np.array(grid), losses[index] / tested[index]
            head.accuracies_ = hits[index] / tested[index]
            head.C_ = float(grid[head.losses_.argmin()])


def _trials(task: _Task) -> Iterator[_Task]:
    """The task without each fold in turn, which is tested on."""
    folds = fold_numbers(task.codes)
    weights = np.ones(len(folds), np.float32) if task.weights is None else task.weights
    for fold in range(FOLDS):
        test = folds == fold
        yield replace(task, weights=np.where(test, 0, weights), test=np.where(test, weights, 0))


def fold_numbers(codes: NDArray[Any]) -> NDArray[np.intp]:
    """The fold of each row (n,), each class spread over all; the same for the same codes."""
    order = np.random.default_rng(0).permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    folds = np.empty(len(codes), np.intp)
    folds[order] = np.arange(len(codes)) % FOLDS
    return folds
