"""Many penalized logistic regressions on the same rows, solved together by one preconditioned L-BFGS.

Each problem is the minimum over W, b of the sum of the rows' weighted log-losses plus ½ λ |W|². All have the
same rows, so their scores and their gradients are two large matrix products a round, and each problem has its
own direction, step and history (Nocedal & Wright 2006, "Numerical optimization", algorithm 7.4). In the
eigenbasis of the rows (`Factorization.rotated`) the Hessian is close to (mean p (1 - p)) · eigenvalue + λ, a
diagonal that serves as preconditioner: the first step from zero is nearly Newton's.

Products are in the precision of the rows, losses and slopes are summed in float64. What float32 cannot bring
to the tolerance is finished in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.logistic_objective import Objective, Problems, inner_products

Float = NDArray[np.float64]
_PAIRS = 8
_SUFFICIENT = 1e-4
_PATIENCE = 20
_WORTH_COPYING = 0.1
_FLATTENED = 1e-2  # of the curvature before a step


@dataclass(frozen=True)
class Solutions:
    """What `solve` found. coef: (q, k, r + 1), the last of each the intercept; k is 1 for two classes.

    objective, gap: (q,), the objective, and by how much of it the optimum is estimated to be lower (half the
    slope of the quasi-Newton step). n_iter: (q,) rounds. converged: (q,) whether the gap is within the tolerance.
    """

    coef: NDArray[Any]
    objective: Float
    gap: Float
    n_iter: NDArray[np.int64]
    converged: NDArray[np.bool_]

    def __getitem__(self, some: slice) -> Solutions:
        return Solutions(
            self.coef[some], self.objective[some], self.gap[some], self.n_iter[some], self.converged[some]
        )

    def updated(self, some: NDArray[np.bool_], by: Solutions) -> Solutions:
        """With other solutions of some problems, whose rounds are added to those before."""
        coef = self.coef.astype(by.coef.dtype)
        objective, gap, rounds = self.objective.copy(), self.gap.copy(), self.n_iter.copy()
        converged = self.converged.copy()
        coef[some], objective[some], gap[some], converged[some] = by.coef, by.objective, by.gap, by.converged
        rounds[some] += by.n_iter
        return Solutions(coef, objective, gap, rounds, converged)


def solve(
    objective: Objective, curvatures: Float, tol: float, max_iter: int, start: NDArray[Any] | None = None
) -> Solutions:
    """Solves all problems of an objective, in the precision of its rows and, where that is too low, in float64.

    curvatures: (r + 1,), the sum of squares of each column of its centred rows (turned by its basis, if it has one),
    which are best uncorrelated, and their number. start: (q, k, r + 1).
    """
    Z, problems = objective.Z, objective.problems
    coef = (_beginning(Z, problems) if start is None else start).astype(Z.dtype)
    q = len(problems)
    found = Solutions(coef, np.zeros(q), np.zeros(q), np.zeros(q, np.int64), np.ones(q, bool))
    open_ = np.array([_varies(problems, number) for number in range(q)])
    if open_.any():
        found = found.updated(open_, _Descent(objective[open_], curvatures, coef[open_], tol, max_iter).run())
    short = ~found.converged & (found.n_iter < max_iter)
    if Z.dtype == np.float64 or not short.any():
        return found
    coef = found.coef[short].astype(np.float64)
    return found.updated(short, _Descent(objective[short], curvatures, coef, tol, max_iter).run())


def _varies(problems: Problems, number: int) -> bool:
    """Whether rows of both kinds have a weight. Else the intercept alone is right, and would never end to grow."""
    if problems.classes > 1:
        return True
    weights = None if problems.weights is None else problems.weights[number]
    return bool((np.bincount(problems.codes[number], weights, minlength=2) > 0).all())


def _beginning(Z: NDArray[Any], problems: Problems) -> NDArray[Any]:
    """No weights, and the intercepts that give each class its share of the rows."""
    q, k = len(problems), problems.classes
    coef = np.zeros((q, k, Z.shape[1] + 1), Z.dtype)
    for number, codes in enumerate(problems.codes):
        weights = None if problems.weights is None else problems.weights[number]
        counts = np.bincount(codes, weights, minlength=max(k, 2)).astype(float)
        logs = np.log((counts + 0.5) / (counts.sum() + 0.5 * len(counts)))
        coef[number, :, -1] = logs[1] - logs[0] if k == 1 else logs - logs.mean()
    return coef


class _Descent:
    """The state of one run in the precision of `coef`; arrays begin with the problems that are still running."""

    def __init__(
        self, objective: Objective, curvatures: Float, coef: NDArray[Any], tol: float, max_iter: int
    ) -> None:
        self.tol, self.max_iter = tol, max_iter
        self.dtype = coef.dtype
        self.objective = objective.in_precision(self.dtype)
        self.curvatures = (curvatures / len(objective.Z)).astype(self.dtype)
        self.noise = 1e-6 if self.dtype == np.float32 else 1e-13
        q = len(coef)
        self.running = np.arange(q)
        self.found = Solutions(
            coef.copy(), np.zeros(q), np.full(q, np.inf), np.zeros(q, np.int64), np.zeros(q, bool)
        )
        self.x = coef
        self.f, self.g, self.h = self.objective(coef)
        self.S: list[NDArray[Any]] = []
        self.Y: list[NDArray[Any]] = []
        self.R: list[Float] = []
        self.scale = np.ones(q)
        self.step = np.ones(q)
        self.best, self.since = np.full(q, np.inf), np.zeros(q, np.int64)
        self.shrunk = np.zeros(q, np.int64)
        self._aim(np.ones(q, bool))

    def run(self) -> Solutions:
        """Rounds until every problem has converged, is stuck, or has had `max_iter`."""
        rounds = 0
        while True:
            self._settle(rounds)
            if not len(self.running):
                return self.found
            rounds += 1
            self._round()

    def _round(self) -> None:
        """Tries each problem's step: takes it, or makes it shorter."""
        trial = self.x + self._wide(self.step) * self.d
        f, g, h = self.objective(trial)
        slope = inner_products(g, self.d)
        lower = f <= self.f + _SUFFICIENT * self.step * self.slope
        # Near the optimum differences of losses are below their precision; slopes still tell.
        flat = (f <= self.f + self.noise * np.abs(self.f)) & (slope <= -0.8 * self.slope)
        taken = (lower | flat) & np.isfinite(f)
        wide = self._wide(taken.astype(self.dtype))
        s, y = wide * (trial - self.x), wide * (g - self.g)
        product = inner_products(s, y)
        inverse = np.divide(1.0, product, out=np.zeros_like(product), where=product > 0)
        curved = inner_products(y, self._precondition(y))
        self.scale = np.where(curved > 0, product / np.where(curved > 0, curved, 1), self.scale)
        self.S, self.Y, self.R = [*self.S, s][-_PAIRS:], [*self.Y, y][-_PAIRS:], [*self.R, inverse][-_PAIRS:]
        # A step far past the optimum of classes that can be told apart ends where the loss is flat: pairs from
        # before would hide how much there is to gain by going back.
        flattened = taken & (h.max(axis=1) < _FLATTENED * self.h.max(axis=1))
        if flattened.any():
            self.R = [np.where(flattened, 0.0, one) for one in self.R]
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            secant = self.step * -self.slope / (slope - self.slope)
        shorter = np.clip(np.nan_to_num(secant, nan=0.0), 0.1 * self.step, 0.6 * self.step)
        self.shrunk = np.where(taken, 0, self.shrunk + 1)
        self.x, self.g = np.where(wide > 0, trial, self.x), np.where(wide > 0, g, self.g)
        self.f, self.h = np.where(taken, f, self.f), np.where(taken[:, None], h, self.h)
        self.step = np.where(taken, 1.0, shorter)
        self._aim(taken)

    def _aim(self, taken: NDArray[np.bool_]) -> None:
        """New directions where a step was taken, by the two-loop recursion."""
        direction = -self.g
        factors = []
        for s, y, inverse in zip(reversed(self.S), reversed(self.Y), reversed(self.R), strict=True):
            factor = inverse * inner_products(s, direction)
            direction -= self._wide(factor) * y
            factors.append(factor)
        direction = self._precondition(direction) * self._wide(self.scale)
        for s, y, inverse, factor in zip(self.S, self.Y, self.R, reversed(factors), strict=True):
            direction += self._wide(factor - inverse * inner_products(y, direction)) * s
        slope = inner_products(self.g, direction)
        if taken.all():
            self.d, self.slope = direction, slope
        else:
            self.d = np.where(self._wide(taken) > 0, direction, self.d)
            self.slope = np.where(taken, slope, self.slope)

    def _settle(self, rounds: int) -> None:
        """Files the problems that are done, and takes them out of the arrays once they are many."""
        gap = np.maximum(-self.slope / 2, 0.0) / np.maximum(np.abs(self.f), np.finfo(float).tiny)
        better = gap < 0.5 * self.best
        self.best, self.since = np.where(better, gap, self.best), np.where(better, 0, self.since + 1)
        stuck = (self.since > _PATIENCE) & (self.dtype == np.float32) | (self.shrunk > _PATIENCE)
        done = (gap <= self.tol) | stuck | (rounds >= self.max_iter)
        if not done.any() or done.mean() < _WORTH_COPYING:
            return  # those that are done go on a little: to take them out would copy the histories of all
        at = self.running[done]
        self.found.coef[at], self.found.objective[at] = self.x[done], self.f[done]
        self.found.gap[at], self.found.converged[at] = gap[done], gap[done] <= self.tol
        self.found.n_iter[at] = rounds
        self._keep(~done)

    def _keep(self, some: NDArray[np.bool_]) -> None:
        self.running, self.objective = self.running[some], self.objective[some]
        for name in ("x", "f", "g", "h", "d", "slope", "scale", "step", "best", "since", "shrunk"):
            setattr(self, name, getattr(self, name)[some])
        for pairs in (self.S, self.Y, self.R):
            pairs[:] = [one[some] for one in pairs]

    def _wide(self, values: NDArray[Any]) -> NDArray[Any]:
        return values.astype(self.dtype)[:, None, None]

    def _precondition(self, direction: NDArray[Any]) -> NDArray[Any]:
        bends = self.h.astype(self.dtype)[:, :, None] * self.curvatures
        bends[..., :-1] += self.objective.problems.penalties.astype(self.dtype)[:, None, None]
        return _sum_zero(np.divide(direction, bends, out=bends))


def _sum_zero(x: NDArray[Any]) -> NDArray[Any]:
    """Takes the mean over the classes away, where the optimum has none, and the intercepts need none."""
    if x.shape[1] > 1:
        x -= x.mean(axis=1, keepdims=True)
    return x
