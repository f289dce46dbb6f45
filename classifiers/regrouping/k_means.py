"""k-means on several small clouds of points at once, and how well what it finds is separated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

_STARTS = 8
_ROUNDS = 40


def k_means(clouds: Float, k: int, generator: np.random.Generator) -> Float:
    """(b, k, p) centres of each of (b, n, p) clouds: of eight starts from k of its points the one that fits best.

    Lloyd's algorithm (1982). scikit-learn's takes longer to start than clouds of a few hundred points take here.
    """
    batch, rows, dims = clouds.shape
    first = generator.random((batch, _STARTS, rows)).argsort(axis=2)[:, :, :k]
    centres = clouds[np.arange(batch)[:, None, None], first]  # (b, starts, k, p)
    before: NDArray[np.intp] | None = None
    for _ in range(_ROUNDS):
        flat = centres.reshape(batch, _STARTS * k, dims)
        away = _squares(clouds, flat).reshape(batch, rows, _STARTS, k)
        labels = away.argmin(axis=3)
        if before is not None and (labels == before).all():
            break
        before = labels
        member = (labels[..., None] == np.arange(k)).astype(np.float64)
        counts = member.sum(axis=1)
        sums = member.reshape(batch, rows, -1).transpose(0, 2, 1) @ clouds
        means = sums.reshape(batch, _STARTS, k, dims) / np.maximum(counts, 1.0)[..., None]
        centres = np.where(counts[..., None] > 0, means, centres)
    best = away.min(axis=3).sum(axis=1).argmin(axis=1)
    return np.asarray(centres[np.arange(batch), best])


def nearest_centres(clouds: Float, centres: Float) -> NDArray[np.intp]:
    """(b, n) the nearest of (b, k, p) centres to each point of (b, n, p) clouds; one cloud serves all centres."""
    return np.asarray(_squares(clouds, centres).argmin(axis=2), np.intp)


def mean_silhouette(distances: Float, labels: NDArray[np.intp], k: int) -> float:
    """The mean silhouette (Rousseeuw 1987) of points with (n, n) distances in k clusters (n,); -1 if one is empty.

    Of each point: (b - a) / max(a, b), with a its mean distance to the others of its cluster, and b that to the
    nearest other cluster; 0 for a point alone in its cluster.
    """
    member = (labels[:, None] == np.arange(k)).astype(np.float64)
    counts = member.sum(axis=0)
    if (counts == 0).any():
        return -1.0
    sums, rows = distances @ member, np.arange(len(labels))
    own = sums[rows, labels] / np.maximum(counts[labels] - 1, 1)
    means = sums / counts
    means[rows, labels] = np.inf
    other = means.min(axis=1)
    largest = np.maximum(own, other)
    shape = np.divide(other - own, largest, out=np.zeros(len(labels)), where=largest > 0)
    return float(np.where(counts[labels] > 1, shape, 0.0).mean())


def _squares(clouds: Float, centres: Float) -> Float:
    """(b, n, k) squared distances from points (b, n, p) to centres (b, k, p)."""
    squares = (clouds**2).sum(axis=2)[:, :, None] + (centres**2).sum(axis=2)[:, None]
    return np.asarray(squares - 2 * clouds @ centres.transpose(0, 2, 1))
