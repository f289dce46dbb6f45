"""Calibration: one number that turns scores of classes into probabilities, or two for each of several labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

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
    scores = np.ascontiguousarray(scores.T)  # sums over few classes are quick along many rows
    noise = 1.0 / (rows + 2)
    aim = (1 - noise) * scores[codes, np.arange(rows)].sum() + noise * scores.mean(axis=0).sum()
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


def fit_platt(scores: NDArray[Any], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Factors and offsets (2, t): the probability of label j is 1 / (1 + exp(-(factor · score + offset))).

    scores, truth: (n, t). Platt 1999, "Probabilistic outputs for support vector machines", with his smoothed
    targets, all labels at once by damped Newton steps (Lin, Lin & Weng 2007). A factor is at least 0, so that the
    order of scores stays; a label that all rows have, or none, depends on no score.
    """
    positives = truth.sum(axis=0)
    negatives = len(truth) - positives
    aim = np.where(truth, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    scores = scores.astype(np.float64)
    factor, offset = np.zeros(scores.shape[1]), np.log((positives + 1) / (negatives + 1))
    varied = (positives > 0) & (negatives > 0) & (np.ptp(scores, axis=0) > 0)
    loss = _platt_loss(scores, aim, factor, offset)
    for _ in range(50):
        p = expit(scores * factor + offset)
        bend = p * (1 - p)
        a, b = ((p - aim) * scores).sum(axis=0), (p - aim).sum(axis=0)
        aa = (bend * scores**2).sum(axis=0) + 1e-12
        ab, bb = (bend * scores).sum(axis=0), bend.sum(axis=0) + 1e-12
        room = np.maximum(aa * bb - ab**2, 1e-12 * aa * bb)
        steps = np.where(varied, (bb * a - ab * b) / room, 0), np.where(varied, (aa * b - ab * a) / room, 0)
        size = np.ones(len(factor))
        for _ in range(30):
            tried = _platt_loss(scores, aim, factor - size * steps[0], offset - size * steps[1])
            size = np.where(tried <= loss + 1e-12, size, size / 2)
            if (tried <= loss + 1e-12).all():
                break
        better = tried <= loss + 1e-12
        factor, offset = factor - better * size * steps[0], offset - better * size * steps[1]
        gained, loss = np.where(better, loss - tried, 0.0), np.where(better, tried, loss)
        if (gained <= 1e-9 * len(truth)).all():
            break
    upright = factor >= 0
    priors = np.log((positives + 1) / (negatives + 1))
    return np.stack([np.where(upright, factor, 0.0), np.where(upright, offset, priors)])


def _platt_loss(
    scores: NDArray[np.float64],
    aim: NDArray[np.float64],
    factor: NDArray[np.float64],
    offset: NDArray[np.float64],
) -> NDArray[np.float64]:
    margins = scores * factor + offset
    losses: NDArray[np.float64] = (np.logaddexp(0, margins) - aim * margins).sum(axis=0)
    return losses


def _derivatives(scores: NDArray[Any], factor: float) -> tuple[float, float]:
    """First and second derivative of the sum of log-sum-exp(factor · scores) by the factor; scores (k, n)."""
    p = scores * factor
    p -= p.max(axis=0)
    np.exp(p, out=p)
    p /= p.sum(axis=0)
    weighted = p * scores
    mean = weighted.sum(axis=0)
    return float(mean.sum()), float(np.vdot(weighted, scores) - mean @ mean)
