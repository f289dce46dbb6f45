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

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.skinny import scores_of, weighted_sums
from classifiers.threads import for_shares

Float = NDArray[np.float64]
_PAIRS = 8
_BLOCK_SCORES = 1 << 19
_BLOCK_NUMBERS = 1 << 20
_LARGEST_BLOCK = 8192
_SUFFICIENT = 1e-4
_PATIENCE = 20
_WORTH_COPYING = 0.1


@dataclass(frozen=True)
class Problems:
    """q problems of the same kind, with the penalties λ (q,).

    codes: (q, n), numbers of classes; `classes` is their number, or 1 for two classes or a single label, whose
    codes are 0 and 1. weights: (q, n) of the rows, or None; rows to leave out have 0.
    """

    codes: NDArray[np.integer[Any]]
    classes: int
    penalties: Float
    weights: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, some: NDArray[Any] | slice) -> Problems:
        weights = None if self.weights is None else self.weights[some]
        return replace(self, codes=self.codes[some], penalties=self.penalties[some], weights=weights)


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
    Z: NDArray[Any],
    curvatures: Float,
    problems: Problems,
    tol: float,
    max_iter: int,
    start: NDArray[Any] | None = None,
    basis: NDArray[Any] | None = None,
    side_by_side: bool = False,
) -> Solutions:
    """Solves all problems on the rows Z (n, r + 1), whose last column is 1.

    curvatures: (r + 1,), the sum of squares of each column, which are best uncorrelated. With an orthonormal basis
    (r, r) they are of the products of Z's columns but the last with it, and so are the solutions.
    start: (q, k, r + 1). side_by_side: whether to share the rows among the processors.
    """
    coef = (_beginning(Z, problems) if start is None else start).astype(Z.dtype)
    q = len(problems)
    found = Solutions(coef, np.zeros(q), np.zeros(q), np.zeros(q, np.int64), np.ones(q, bool))
    open_ = np.array([_varies(problems, number) for number in range(q)])
    if open_.any():
        found = found.updated(
            open_,
            _Descent(Z, curvatures, problems[open_], coef[open_], tol, max_iter, basis, side_by_side).run(),
        )
    short = ~found.converged & (found.n_iter < max_iter)
    if Z.dtype == np.float64 or not short.any():
        return found
    coef = found.coef[short].astype(np.float64)
    return found.updated(
        short, _Descent(Z, curvatures, problems[short], coef, tol, max_iter, basis, side_by_side).run()
    )


def _varies(problems: Problems, number: int) -> bool:
    """Whether rows of both kinds have a weight. Else the intercept alone is right, and would never end to grow."""
    if problems.classes > 1:
        return True
    weights = None if problems.weights is None else problems.weights[number]
    return bool((np.bincount(problems.codes[number], weights, minlength=2) > 0).all())


def held_out(
    Z: NDArray[Any], coef: NDArray[Any], problems: Problems, basis: NDArray[Any] | None = None
) -> tuple[Float, Float]:
    """The summed log-losses (q,) of solutions (q, k, r + 1) on rows that have a weight, and the weights of hits."""
    q, k, width = coef.shape
    flat = _in_dimensions(coef.astype(Z.dtype), basis).reshape(q * k, width)
    losses, hits = np.zeros(q), np.zeros(q)
    size = _block_rows(q * k, width)
    for start in range(0, len(Z), size):
        rows = slice(start, start + size)
        block, codes = Z[rows], problems.codes[:, rows]
        scores = (flat @ block.T).reshape(q, k, len(block))
        weights = np.ones_like(codes) if problems.weights is None else problems.weights[:, rows]
        best = scores[:, 0] > 0 if k == 1 else scores.argmax(axis=1)
        hits += ((best == codes) * weights).sum(axis=1)
        losses += _losses(scores, codes, weights)[0]
    return losses, hits


def _in_dimensions(x: NDArray[Any], basis: NDArray[Any] | None) -> NDArray[Any]:
    """Weights (q, k, r + 1) of a basis's columns as weights of the dimensions that Z has."""
    if basis is None:
        return x
    q, k, width = x.shape
    flat = np.ascontiguousarray(x[..., :-1]).reshape(q * k, width - 1)
    shares = for_shares(lambda starts: scores_of(flat, basis[starts.start : starts.stop]), len(basis), 64)
    turned = x.copy()
    turned[..., :-1] = np.concatenate(shares, axis=1).reshape(q, k, width - 1)
    return turned


def _in_basis(flat: NDArray[Any], basis: NDArray[Any]) -> NDArray[Any]:
    """Gradients (m, r) by the dimensions as those by the basis's columns."""
    flat = np.ascontiguousarray(flat)

    def share(starts: range) -> NDArray[Any]:
        rows = slice(starts.start, starts.stop)
        return weighted_sums(flat[:, rows], basis[rows])

    return np.asarray(np.sum(for_shares(share, len(basis), 64), axis=0))


def _block_rows(columns: int, width: int) -> int:
    """How many rows of this width, and scores of so many columns, stay in the processor's cache."""
    return int(np.clip(min(_BLOCK_SCORES // columns, _BLOCK_NUMBERS // width), 64, _LARGEST_BLOCK))


def _beginning(Z: NDArray[Any], problems: Problems) -> NDArray[Any]:
    """No weights, and the intercepts that give each class its share of the rows."""
    q, k = len(problems), problems.classes
    coef = np.zeros((q, k, Z.shape[1]), Z.dtype)
    for number, codes in enumerate(problems.codes):
        weights = None if problems.weights is None else problems.weights[number]
        counts = np.bincount(codes, weights, minlength=max(k, 2)).astype(float)
        logs = np.log((counts + 0.5) / (counts.sum() + 0.5 * len(counts)))
        coef[number, :, -1] = logs[1] - logs[0] if k == 1 else logs - logs.mean()
    return coef


class _Descent:
    """The state of one run in the precision of `coef`; arrays begin with the problems that are still running."""

    def __init__(
        self,
        Z: NDArray[Any],
        curvatures: Float,
        problems: Problems,
        coef: NDArray[Any],
        tol: float,
        max_iter: int,
        basis: NDArray[Any] | None,
        side_by_side: bool,
    ) -> None:
        self.side_by_side = side_by_side
        self.Z, self.problems, self.tol, self.max_iter = Z, problems, tol, max_iter
        self.dtype = coef.dtype
        self.basis = None if basis is None else basis.astype(self.dtype, copy=False)
        self.curvatures = (curvatures / len(Z)).astype(self.dtype)
        self.noise = 1e-6 if self.dtype == np.float32 else 1e-13
        q = len(problems)
        self.running = np.arange(q)
        self.found = Solutions(
            coef.copy(), np.zeros(q), np.full(q, np.inf), np.zeros(q, np.int64), np.zeros(q, bool)
        )
        self.x = coef
        self.f, self.g, self.h = self._evaluate(coef)
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
        f, g, h = self._evaluate(trial)
        slope = _dot(g, self.d)
        lower = f <= self.f + _SUFFICIENT * self.step * self.slope
        # Near the optimum differences of losses are below their precision; slopes still tell.
        flat = (f <= self.f + self.noise * np.abs(self.f)) & (slope <= -0.8 * self.slope)
        taken = (lower | flat) & np.isfinite(f)
        wide = self._wide(taken.astype(self.dtype))
        s, y = wide * (trial - self.x), wide * (g - self.g)
        product = _dot(s, y)
        inverse = np.divide(1.0, product, out=np.zeros_like(product), where=product > 0)
        curved = _dot(y, self._precondition(y))
        self.scale = np.where(curved > 0, product / np.where(curved > 0, curved, 1), self.scale)
        self.S, self.Y, self.R = [*self.S, s][-_PAIRS:], [*self.Y, y][-_PAIRS:], [*self.R, inverse][-_PAIRS:]
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
            factor = inverse * _dot(s, direction)
            direction -= self._wide(factor) * y
            factors.append(factor)
        direction = self._precondition(direction) * self._wide(self.scale)
        for s, y, inverse, factor in zip(self.S, self.Y, self.R, reversed(factors), strict=True):
            direction += self._wide(factor - inverse * _dot(y, direction)) * s
        slope = _dot(self.g, direction)
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
        self.running, self.problems = self.running[some], self.problems[some]
        for name in ("x", "f", "g", "h", "d", "slope", "scale", "step", "best", "since", "shrunk"):
            setattr(self, name, getattr(self, name)[some])
        for pairs in (self.S, self.Y, self.R):
            pairs[:] = [one[some] for one in pairs]

    def _wide(self, values: NDArray[Any]) -> NDArray[Any]:
        return values.astype(self.dtype)[:, None, None]

    def _precondition(self, direction: NDArray[Any]) -> NDArray[Any]:
        bends = self.h.astype(self.dtype)[:, :, None] * self.curvatures
        bends[..., :-1] += self.problems.penalties.astype(self.dtype)[:, None, None]
        return _sum_zero(np.divide(direction, bends, out=bends))

    def _evaluate(self, x: NDArray[Any]) -> tuple[Float, NDArray[Any], Float]:
        """Objectives (q,), gradients (q, k, r + 1), and the sums of p (1 - p) over the rows (q, k)."""
        q, k, width = x.shape
        size = _block_rows(q * k, width)
        weights = _in_dimensions(x, self.basis)
        if self.side_by_side:
            sums = for_shares(lambda starts: self._sums(weights, starts), len(self.Z), size)
        else:
            sums = [self._sums(weights, range(0, len(self.Z), size))]
        value, flat, curvature = (sum(parts[1:], start=parts[0]) for parts in zip(*sums, strict=True))
        if self.basis is not None:
            flat[:, :-1] = _in_basis(flat[:, :-1], self.basis)
        gradient = flat.reshape(q, k, width)
        penalties = self.problems.penalties
        gradient[..., :-1] += penalties.astype(self.dtype)[:, None, None] * x[..., :-1]
        value = value + 0.5 * penalties * _dot(x[..., :-1], x[..., :-1])
        floor = 1e-8 * len(self.Z)
        return value, gradient, np.maximum(curvature * (k / (k - 1) if k > 1 else 1), floor)

    def _sums(self, x: NDArray[Any], starts: range) -> tuple[Float, NDArray[Any], Float]:
        """The sums over blocks of rows of losses (q,), of gradients (q · k, r + 1), and of p (1 - p) (q, k)."""
        q, k, width = x.shape
        flat = x.reshape(q * k, width)
        value, curvature = np.zeros(q), np.zeros((q, k))
        gradient = np.zeros((q * k, width), self.dtype)
        for start in starts:
            rows = slice(start, start + starts.step)
            block = self.Z[rows].astype(self.dtype, copy=False)
            scores = scores_of(flat, block).reshape(q, k, len(block))
            weights = None if self.problems.weights is None else self.problems.weights[:, rows]
            losses, residual, bend = _losses(scores, self.problems.codes[:, rows], weights)
            value += losses
            curvature += bend
            gradient += weighted_sums(residual.reshape(q * k, len(block)), block)
        return value, gradient, curvature


def _losses(
    scores: NDArray[Any], codes: NDArray[np.integer[Any]], weights: NDArray[Any] | None
) -> tuple[Float, NDArray[Any], Float]:
    """Summed losses (q,), residuals p - y (q, k, b) in place of `scores` (q, k, b), summed p (1 - p) (q, k)."""
    if scores.shape[1] == 1:
        signs = (2 * codes - 1).astype(scores.dtype)
        margins = scores[:, 0] * signs
        small = np.exp(-np.abs(margins))
        loss = np.log1p(small) - np.minimum(margins, 0)
        wrong = np.where(margins >= 0, small, 1) / (1 + small)
        bent = (wrong * (1 - wrong))[:, None]
        residual = (-signs * wrong)[:, None]
    else:
        own = codes[:, None, :].astype(np.intp)
        scores -= scores.max(axis=1, keepdims=True)
        true = np.take_along_axis(scores, own, axis=1)[:, 0]
        residual = np.exp(scores, out=scores)
        total = residual.sum(axis=1)
        loss = np.log(total) - true
        residual /= total[:, None]
        bent = residual * (1 - residual)
        np.put_along_axis(residual, own, np.take_along_axis(residual, own, axis=1) - 1, axis=1)
    if weights is not None:
        loss, bent = loss * weights, bent * weights[:, None]
        residual *= weights[:, None]
    return loss.sum(axis=1, dtype=np.float64), residual, bent.sum(axis=2, dtype=np.float64)


def _sum_zero(x: NDArray[Any]) -> NDArray[Any]:
    """Takes the mean over the classes away, where the optimum has none, and the intercepts need none."""
    if x.shape[1] > 1:
        x -= x.mean(axis=1, keepdims=True)
    return x


def _dot(a: NDArray[Any], b: NDArray[Any]) -> Float:
    """One inner product a problem, (q,)."""
    q = len(a)
    product: Float = np.einsum("qm,qm->q", a.reshape(q, -1), b.reshape(q, -1)).astype(np.float64)
    return product
