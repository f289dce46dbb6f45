"""The objective of many penalized logistic regressions on the same rows, with its gradient and its curvature."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.skinny import scores_of, shared_scores, shared_sums, weighted_sums
from classifiers.threads import for_shares

Float = NDArray[np.float64]
_BLOCK_SCORES = 1 << 19
_BLOCK_NUMBERS = 1 << 19
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
    """The objectives of `problems` on the rows Z (n, r), centred or after `mean` (r,) has been taken from them.

    basis: (r, r) orthonormal, or None; the weights are then those of the products of centred rows with it.
    side_by_side: whether to share the rows among the processors.
    """

    Z: NDArray[Any]
    problems: Problems
    mean: Float | None = None
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
        gradient = self._in_basis(flat).reshape(q, -1, width)
        if k > 1:
            gradient = np.concatenate([gradient, -gradient.sum(axis=1, keepdims=True)], axis=1)
        penalties = self.problems.penalties
        gradient[..., :-1] += penalties.astype(x.dtype)[:, None, None] * x[..., :-1]
        value = value + 0.5 * penalties * inner_products(x[..., :-1], x[..., :-1])
        floor = 1e-8 * len(self.Z)
        return value, gradient, np.maximum(curvature * (k / (k - 1) if k > 1 else 1), floor)

    def held_out(self, coef: NDArray[Any]) -> tuple[Float, Float]:
        """The summed log-losses (q,) of solutions (q, k, r + 1) on rows that have a weight, and the weights of hits."""
        q, k, width = coef.shape
        weights = self._in_dimensions(coef.astype(self.Z.dtype))
        losses, hits = np.zeros(q), np.zeros(q)
        size = _block_rows(q * k, width)
        for start in range(0, len(self.Z), size):
            rows = slice(start, start + size)
            codes = self.problems.codes[:, rows]
            scores = _scores(weights, self.Z[rows], q, k)
            shares = np.ones_like(codes) if self.problems.weights is None else self.problems.weights[:, rows]
            best = scores[:, 0] > 0 if k == 1 else scores.argmax(axis=1)
            hits += ((best == codes) * shares).sum(axis=1)
            losses += _losses(scores, codes, shares)[0]
        return losses, hits

    def _in_dimensions(self, x: NDArray[Any]) -> NDArray[Any]:
        """Weights and intercepts (q, k, r + 1) for centred rows as those for the rows of Z.

        Of several classes they are relative to the last, which is left out: (q · (k - 1), r + 1).
        """
        free = x[:, :-1] - x[:, -1:] if x.shape[1] > 1 else x.copy()
        flat = free.reshape(-1, x.shape[2])
        if self.basis is not None:
            flat[:, :-1] = shared_scores(flat[:, :-1], self.basis)
        if self.mean is not None:
            flat[:, -1] -= flat[:, :-1] @ self.mean
        return flat

    def _in_basis(self, flat: NDArray[Any]) -> NDArray[Any]:
        """Gradients by what `_in_dimensions` gives as gradients by what it takes, without the last class."""
        if self.mean is not None:
            flat[:, :-1] -= flat[:, -1:] * self.mean.astype(flat.dtype)
        if self.basis is not None:
            flat[:, :-1] = shared_sums(flat[:, :-1], self.basis)
        return flat

    def _sums(self, flat: NDArray[Any], starts: range) -> tuple[Float, NDArray[Any], Float]:
        """The sums over blocks of rows of losses (q,), of gradients like `flat`, and of p (1 - p) (q, k)."""
        q, k = len(self.problems), self.problems.classes
        value, curvature = np.zeros(q), np.zeros((q, k))
        gradient = np.zeros_like(flat)
        for start in starts:
            rows = slice(start, start + starts.step)
            block = self.Z[rows].astype(flat.dtype, copy=False)
            scores = _scores(flat, block, q, k)
            weights = None if self.problems.weights is None else self.problems.weights[:, rows]
            losses, residual, bend = _losses(scores, self.problems.codes[:, rows], weights)
            value += losses
            curvature += bend
            errors = residual[:, : max(1, k - 1)].reshape(len(flat), len(block))
            gradient[:, :-1] += weighted_sums(errors, block)
            gradient[:, -1] += errors.sum(axis=1)
        return value, gradient, curvature


def _scores(flat: NDArray[Any], rows: NDArray[Any], q: int, k: int) -> NDArray[Any]:
    """The scores (q, k, n) of rows (n, r), given weights and intercepts (m, r + 1); those of a last class are 0."""
    found = scores_of(np.ascontiguousarray(flat[:, :-1]), rows)
    found += flat[:, -1:]
    if k == 1:
        return found[:, None]
    scores = np.zeros((q, k, len(rows)), found.dtype)
    scores[:, :-1] = found.reshape(q, k - 1, -1)
    return scores


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
        residual = (-signs * wrong)[:, None]
        bent = wrong * (1 - wrong)
        if weights is not None:
            bent *= weights
        bend = bent.sum(axis=1, dtype=np.float64)[:, None]
    else:
        q, k, rows = scores.shape
        own = (np.arange(q)[:, None] * k + codes) * rows + np.arange(rows)
        scores -= scores.max(axis=1, keepdims=True)
        true = scores.reshape(-1)[own]
        residual = np.exp(scores, out=scores)
        total = residual.sum(axis=1)
        loss = np.log(total) - true
        residual *= (1 / total)[:, None]
        bent = residual if weights is None else residual * weights[:, None]
        bend = bent.sum(axis=2, dtype=np.float64) - np.einsum("qkn,qkn->qk", bent, residual)
        residual.reshape(-1)[own] -= 1
    if weights is not None:
        loss *= weights
        residual *= weights[:, None]
    return loss.sum(axis=1, dtype=np.float64), residual, bend


def _block_rows(columns: int, width: int) -> int:
    """How many rows of this width, and scores of so many columns, stay in the processor's cache."""
    return int(np.clip(min(_BLOCK_SCORES // columns, _BLOCK_NUMBERS // width), 64, _LARGEST_BLOCK))


def inner_products(a: NDArray[Any], b: NDArray[Any]) -> Float:
    """One inner product a problem, (q,)."""
    q = len(a)
    product: Float = np.einsum("qm,qm->q", a.reshape(q, -1), b.reshape(q, -1)).astype(np.float64)
    return product
