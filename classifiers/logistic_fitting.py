"""Fitting logistic heads on the same vectors together: their problems, in batches, and the choice of C."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from classifiers.batched_logistic import Solutions, solve
from classifiers.factor_cache import KeptFactors
from classifiers.factorization import Float
from classifiers.logistic_objective import Objective, Problems
from classifiers.ridge import checked_together, leave_one_out_strengths
from classifiers.row_weights import training_weights
from classifiers.threads import few_threads
from classifiers.turned_vectors import Turned

if TYPE_CHECKING:
    from classifiers.logistic import LogisticHead

# Of C times the mean squared length of centred vectors, so that the grid fits vectors of any scale and dimension.
GRID = np.logspace(-0.5, 4, 10)
# Of the curvature at equal shares, where a fit is good. 0.1 to 0.5 did as well on photos, digits, synthetic vectors.
_LEFT = 0.25
FOLDS = 5
_SEARCH_TOLERANCE = 1e-3
_SEARCH_ROUNDS = 200
_NUMBERS_AT_ONCE = 1 << 21
_SMALL = 1 << 21

_NOTHING = Solutions(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0, np.int64), np.zeros(0, bool))


def fit_logistic_heads(
    heads: Sequence[LogisticHead],
    X: ArrayLike,
    ys: Sequence[ArrayLike],
    kept: KeptFactors | None = None,
    weights: Sequence[ArrayLike | None] | None = None,
) -> None:
    """Fits heads[i] on all rows of X and ys[i]; those of the same settings are solved together.

    kept: where the factorization of X is kept. weights: (n,) of the rows for each head, or None. Raises HeadError.
    """
    for head in heads:
        head.check_settings()
    with few_threads(True):
        vectors, codes = checked_together(heads, X, ys)
    given = [None] * len(heads) if weights is None else weights
    weighed = [training_weights(*one, weighed=True) for one in zip(heads, codes, given, strict=True)]
    some = [one for one in weighed if one is not None]
    if len(some) == len(heads) and not (live := np.any(some, axis=0)).all():
        vectors, kept = vectors[live], None
        codes, weighed = [one[live] for one in codes], [one[live] for one in some]
    groups: dict[tuple[Any, ...], list[int]] = {}
    for index, head in enumerate(heads):
        groups.setdefault((bool(head.standardize), head.tol, head.max_iter), []).append(index)
    spaces: dict[bool, Turned] = {}
    for (standardize, _, _), indices in groups.items():
        members, labels = [heads[i] for i in indices], [codes[i] for i in indices]
        if standardize not in spaces:
            guided = any(head.guided for head in heads)
            columns = sum(_columns(head) for head in members)
            spaces[standardize] = Turned.of(vectors, standardize, columns, guided, kept)
        turned = spaces[standardize]
        _fit_group(members, labels, [weighed[i] for i in indices], turned)
        if kept is not None and turned.factor is not None and not standardize:
            kept.keep(turned.factor, turned.gaps)


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


def _fit_group(
    heads: Sequence[LogisticHead],
    codes: Sequence[NDArray[Any]],
    weights: Sequence[NDArray[Any] | None],
    turned: Turned,
) -> None:
    tasks = [
        task
        for index, (head, one, weight) in enumerate(zip(heads, codes, weights, strict=True))
        for task in _tasks(index, head, one, weight)
    ]
    means = np.array([1.0 if one is None else one.mean() for one in weights])
    _guide(heads, codes, means, turned)
    _choose(heads, tasks, means, turned)
    penalties = np.array([1.0 / heads[task.head].C_ for task in tasks])
    found = _solve_tasks(tasks, penalties, turned, heads[0].tol, heads[0].max_iter)
    for index, head in enumerate(heads):
        own = [one.solution for one, task in zip(found, tasks, strict=True) if task.head == index]
        _set_learned(head, own, turned)


def _set_learned(head: LogisticHead, found: Sequence[Solutions], turned: Turned) -> None:
    from sklearn.exceptions import ConvergenceWarning

    coefficients, intercepts = turned.back(np.concatenate([one.coef[0] for one in found]).astype(np.float64))
    dtype = turned.dtype
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


def _tasks(index: int, head: LogisticHead, codes: NDArray[Any], weights: NDArray[Any] | None) -> list[_Task]:
    if head.multilabel_:
        return [_Task(index, column, 1, weights) for column in codes.T]
    kind = np.int16 if len(head.classes_) < 1 << 15 else np.int32
    return [_Task(index, codes.astype(kind), _columns(head), weights)]


def _columns(head: LogisticHead) -> int:
    k = len(head.classes_)
    return 1 if k == 2 and not head.multilabel_ else k


def _solve_tasks(
    tasks: Sequence[_Task],
    penalties: Float,
    turned: Turned,
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
        objective = Objective(turned.Z, problems, turned.mean, turned.basis, alone)
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
        most = max(1, min(_NUMBERS_AT_ONCE // (classes * shape[1] + 1), 16 * _NUMBERS_AT_ONCE // shape[0]))
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


def _guide(
    heads: Sequence[LogisticHead], codes: Sequence[NDArray[Any]], means: Float, turned: Turned
) -> None:
    """Sets `C_` of heads that have it from a ridge. means: (heads,), the mean weight of the rows of each."""
    guided = [index for index, head in enumerate(heads) if head.guided]
    if not guided or turned.factor is None:
        return
    classes = [len(heads[index].classes_) for index in guided]
    strengths = leave_one_out_strengths(turned.factor, [codes[index] for index in guided], classes)
    for index, strength in zip(guided, strengths, strict=True):
        share = 0.5 if heads[index].multilabel_ else 1 / len(heads[index].classes_)
        heads[index].C_ = 1 / (_LEFT * share * (1 - share) * strength * float(means[index]))


def _choose(heads: Sequence[LogisticHead], tasks: Sequence[_Task], means: Float, turned: Turned) -> None:
    """Sets `C_`, of heads that ask to try several by the log-loss on held-out folds; equal grids together."""
    grids: dict[tuple[float, ...], list[int]] = {}
    for index, head in enumerate(heads):
        if head.guided:
            continue
        asked = head.grid(GRID / (turned.length * means[index]))
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
