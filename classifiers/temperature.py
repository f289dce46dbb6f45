"""Temperature scaling: one number that turns scores into probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALLEST, LARGEST = 1e-3, 1e4


def fit_temperature(scores: NDArray[Any], codes: NDArray[np.intp]) -> float:
    """The factor on `scores` (n, k), or (n, 1) for two classes, that minimizes the log-loss of `codes` (n,).

    Guo et al. 2017, "On calibration of modern neural networks" (their 1 / T). The targets are smoothed by
    1 / (n + 2) as in Platt 1999, so that perfectly separated scores have a finite optimum. The loss is convex
    in the factor: Newton's method on its derivative, kept between two bounds.
    """
    if scores.shape[1] == 1:
        scores = np.concatenate([np.zeros_like(scores), scores], axis=1)
    rows = len(scores)
    noise = 1.0 / (rows + 2)
    aim = (1 - noise) * scores[np.arange(rows), codes].sum() + noise * scores.mean(axis=1).sum()
    low, high, factor = 0.0, LARGEST, 1.0
    for _ in range(60):
        slope, curvature = _derivatives(scores, factor)
        slope -= aim
        low, high = (low, factor) if slope > 0 else (factor, high)
        if high < SMALLEST:
            break
        step = factor - slope / curvature if curvature > 0 else np.inf
        step = step if low < step < high else (low + min(high, 4 * low + 1)) / 2
        if abs(step - factor) <= 1e-6 * factor:
            break
        factor = step
    return float(max(factor, SMALLEST))


def _derivatives(scores: NDArray[Any], factor: float) -> tuple[float, float]:
    """First and second derivative of the sum of log-sum-exp(factor · scores) by the factor."""
    p = scores * factor
    p -= p.max(axis=1, keepdims=True)
    np.exp(p, out=p)
    p /= p.sum(axis=1, keepdims=True)
    weighted = p * scores
    mean = weighted.sum(axis=1)
    return float(mean.sum()), float(np.vdot(weighted, scores) - mean @ mean)
