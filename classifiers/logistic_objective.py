"""The objective of many penalized logistic regressions on the same rows, with its gradient and its curvature."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.skinny import scores_of, weighted_sums
from classifiers.threads import for_shares

Float = NDArray[np.float64]
_BLOCK_SCORES = 1 << 19
_BLOCK_NUMBERS = 1 << 20
_LARGEST_BLOCK = 8192


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
class Objective:
    """The objectives of `problems` on the rows Z (n, r + 1), whose last column is 1.

    basis: (r, r) orthonormal, or None; the weights are then those of the products of Z's columns but the last with
    it. side_by_side: whether to share the rows among the processors.
    """

    Z: NDArray[Any]
    problems: Problems
    basis: NDArray[Any] | None = None
    side_by_side: bool = False

    def __getitem__(self, some: NDArray[Any] | slice) -> Objective:
        return replace(self, problems=self.problems[some])

    def in_precision(self, dtype: np.dtype[Any]) -> Objective:
        """The same, the basis in this precision."""
        return replace(self, basis=None if self.basis is None else self.basis.astype(dtype, copy=False))

    def __call__(self, x: NDArray[Any]) -> tuple[Float, NDArray[Any], Float]:
        """At x (q, k, r + 1): objectives (q,), gradients like x, and the sums of p (1 - p) over the rows (q, k)."""
        q, k, width = x.shape
        size = _block_rows(q * k, width)
        weights = self._in_dimensions(x)
        if self.side_by_side:
            sums = for_shares(lambda starts: self._sums(weights, starts), len(self.Z), size)
        else:
            sums = [self._sums(weights, range(0, len(self.Z), size))]
        value, flat, curvature = (sum(parts[1:], start=parts[0]) for parts in zip(*sums, strict=True))
        if self.basis is not None:
            flat[:, :-1] = flat[:, :-1] @ self.basis
        gradient = flat.reshape(q, k, width)
        penalties = self.problems.penalties
        gradient[..., :-1] += penalties.astype(x.dtype)[:, None, None] * x[..., :-1]
        value = value + 0.5 * penalties * inner_products(x[..., :-1], x[..., :-1])
        floor = 1e-8 * len(self.Z)
        return value, gradient, np.maximum(curvature * (k / (k - 1) if k > 1 else 1), floor)

    def held_out(self, coef: NDArray[Any]) -> tuple[Float, Float]:
        """The summed log-losses (q,) of solutions (q, k, r + 1) on rows that have a weight, and the weights of hits."""
        q, k, width = coef.shape
        flat = self._in_dimensions(coef.astype(self.Z.dtype)).reshape(q * k, width)
        losses, hits = np.zeros(q), np.zeros(q)
        size = _block_rows(q * k, width)
        for start in range(0, len(self.Z), size):
            rows = slice(start, start + size)
            block, codes = self.Z[rows], self.problems.codes[:, rows]
            scores = (flat @ block.T).reshape(q, k, len(block))
            weights = np.ones_like(codes) if self.problems.weights is None else self.problems.weights[:, rows]
            best = scores[:, 0] > 0 if k == 1 else scores.argmax(axis=1)
            hits += ((best == codes) * weights).sum(axis=1)
            losses += _losses(scores, codes, weights)[0]
        return losses, hits

    def _in_dimensions(self, x: NDArray[Any]) -> NDArray[Any]:
        """Weights (q, k, r + 1) of the basis's columns as weights of the dimensions that Z has."""
        if self.basis is None:
            return x
        q, k, width = x.shape
        turned = x.copy()
        turned[..., :-1] = (x[..., :-1].reshape(q * k, width - 1) @ self.basis.T).reshape(q, k, width - 1)
        return turned

    def _sums(self, x: NDArray[Any], starts: range) -> tuple[Float, NDArray[Any], Float]:
        """The sums over blocks of rows of losses (q,), of gradients (q · k, r + 1), and of p (1 - p) (q, k)."""
        q, k, width = x.shape
        flat = x.reshape(q * k, width)
        value, curvature = np.zeros(q), np.zeros((q, k))
        gradient = np.zeros((q * k, width), x.dtype)
        for start in starts:
            rows = slice(start, start + starts.step)
            block = self.Z[rows].astype(x.dtype, copy=False)
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


def _block_rows(columns: int, width: int) -> int:
    """How many rows of this width, and scores of so many columns, stay in the processor's cache."""
    return int(np.clip(min(_BLOCK_SCORES // columns, _BLOCK_NUMBERS // width), 64, _LARGEST_BLOCK))


def inner_products(a: NDArray[Any], b: NDArray[Any]) -> Float:
    """One inner product a problem, (q,)."""
    q = len(a)
    product: Float = np.einsum("qm,qm->q", a.reshape(q, -1), b.reshape(q, -1)).astype(np.float64)
    return product
