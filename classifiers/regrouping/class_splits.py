"""Which classes are several: clusters inside a class, and whether they are more than k-means always finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist, squareform

from classifiers.errors import SchemeError
from classifiers.factorization import VectorRows
from classifiers.regrouping.k_means import k_means, mean_silhouette, nearest_centres
from classifiers.splits import Rows
from classifiers.suggestions import counted
from classifiers.targets import Targets
from classifiers.threads import few_threads

Float = NDArray[np.float64]

FEWEST_IMAGES = 40  # of a class that is looked into
_MOST_IMAGES = 1000  # that clusters are found from; silhouettes compare all of them in pairs
_DIMENSIONS = 10
_IMAGES_A_DIMENSION = 5
_SMALLEST_SHARE = 0.05
_EXAMPLES = 6
_TIMES = 10
_STABLE = 0.75  # Hennig 2007: below this clusters should not be trusted
_MARGIN = 0.05  # of a silhouette above those without clusters: less cannot be seen in pictures
_DEVIATIONS = 3.0


@dataclass(frozen=True)
class ClassClusters:
    """What was found inside one class.

    members: the rows of each cluster, the largest first; one cluster where there are no clear ones. examples: up to
    six rows of each, nearest to its middle. silhouette: mean silhouette (Rousseeuw 1987) of the clusters, or of the
    best that were refused; chance: what as many clusters have in one cloud of the same spread; stability: the adjusted
    Rand index of clusters found in four fifths of the images. All NaN for a class with too few images. reason: why
    there are no clear clusters, '' where there are.
    """

    code: int
    members: tuple[Rows, ...]
    examples: tuple[Rows, ...]
    silhouette: float
    chance: float
    stability: float
    reason: str

    @property
    def clear(self) -> bool:
        """Whether the class has clear clusters."""
        return len(self.members) > 1


def class_clusters(
    X: VectorRows, codes: Targets, *, classes: Sequence[int] | None = None, most: int = 4, seed: int = 0
) -> list[ClassClusters]:
    """Clusters inside each class of (n, d) vectors and codes (n,), -1 for rows to leave out; or of some `classes`.

    k-means with k = 2 to `most` on the first principal components of the class's vectors, made of length 1. Clusters
    are clear where their silhouette is above chance by three deviations and by 0.05, where they are found again in
    parts of the images, and none has less than a twentieth of them. Chance is what k-means finds in normal
    clouds of the same spread (as in Liu et al. 2008, "Statistical significance of clustering for high-dimension, low
    sample size data", J. Am. Stat. Assoc. 103, 1281). Raises SchemeError with several labels an image.
    """
    if codes.ndim == 2:
        raise SchemeError("the scheme gives several labels an image; only classes can be split.")
    wanted = np.unique(codes[codes >= 0]).tolist() if classes is None else list(classes)
    with few_threads(True):
        return [_of_class(X, code, np.flatnonzero(codes == code), most, seed) for code in wanted]


def cut_class(X: VectorRows, rows: Rows, k: int, seed: int = 0) -> list[Rows]:
    """The rows of a class (m,) of (n, d) vectors in k clusters, the largest first, clear ones or not; as above.

    Raises SchemeError for fewer rows than clusters, or fewer different ones.
    """
    if not 2 <= k <= len(rows):
        raise SchemeError(f"{counted(len(rows), 'image')} cannot be split into {k} clusters.")
    generator = np.random.default_rng(seed)
    with few_threads(True):
        scores = _principal(X[rows], generator)[None]
        sample = scores[:, _some(len(rows), max(_MOST_IMAGES, k), generator)]
        labels = nearest_centres(scores, k_means(sample, k, generator))[0]
    found = [
        rows[labels == cluster] for cluster in np.argsort(-np.bincount(labels, minlength=k), kind="stable")
    ]
    if not len(found[-1]):
        raise SchemeError(f"the images are too much alike to be split into {k} clusters.")
    return found


def _of_class(X: VectorRows, code: int, rows: Rows, most: int, seed: int) -> ClassClusters:
    if len(rows) < FEWEST_IMAGES:
        reason = f"{counted(len(rows), 'image')} are too few: {FEWEST_IMAGES} are needed"
        return ClassClusters(code, (rows,), (rows[:_EXAMPLES],), np.nan, np.nan, np.nan, reason)
    generator = np.random.default_rng(seed)
    scores = _principal(X[rows], generator)
    found = list(_candidates(scores, most, generator))
    clear = [one for one in found if not one.reason]
    best = (
        max(clear, key=lambda one: one.stability)
        if clear
        else max(found, key=lambda one: one.silhouette - one.chance)
    )
    labels = best.labels if clear else np.zeros(len(rows), np.intp)
    members, examples = [], []
    for cluster in np.argsort(-np.bincount(labels), kind="stable"):
        own = np.flatnonzero(labels == cluster)
        away = ((scores[own] - scores[own].mean(axis=0)) ** 2).sum(axis=1)
        members.append(rows[own])
        examples.append(rows[own[np.argsort(away, kind="stable")[:_EXAMPLES]]])
    return ClassClusters(
        code, tuple(members), tuple(examples), best.silhouette, best.chance, best.stability, best.reason
    )


@dataclass(frozen=True)
class _Candidate:
    """One number of clusters: the cluster of each row (n,), its figures, and why it is refused, if it is."""

    labels: NDArray[np.intp]
    silhouette: float
    chance: float
    stability: float
    reason: str


def _candidates(scores: Float, most: int, generator: np.random.Generator) -> Iterator[_Candidate]:
    sample = scores[_some(len(scores), _MOST_IMAGES, generator)]
    clouds = generator.normal(size=(_TIMES, *sample.shape)) * sample.std(axis=0)
    parts = np.stack([sample[_some(len(sample), len(sample) * 4 // 5, generator)] for _ in range(_TIMES)])
    both = np.concatenate([sample[None], clouds])
    distances = [squareform(pdist(cloud)) for cloud in both]
    for k in range(2, most + 1):
        centres = k_means(both, k, generator)
        named = nearest_centres(both, centres)
        own, *chances = (mean_silhouette(*one, k) for one in zip(distances, named, strict=True))
        again = nearest_centres(sample[None], k_means(parts, k, generator))
        stability = float(np.mean([_agreement(named[0], labels) for labels in again]))
        share = float(np.bincount(named[0], minlength=k).min() / len(sample))
        chance, above = float(np.mean(chances)), max(_MARGIN, _DEVIATIONS * float(np.std(chances, ddof=1)))
        reason = _reason(own, chance + above, stability, share)
        yield _Candidate(nearest_centres(scores[None], centres[:1])[0], own, chance, stability, reason)


def _reason(silhouette: float, needed: float, stability: float, share: float) -> str:
    if silhouette < needed:
        return f"silhouette {silhouette:.2f}, where {needed:.2f} would be more than chance"
    if stability < _STABLE:
        return f"other clusters in other parts of the images (agreement {stability:.2f}, {_STABLE} is needed)"
    if share < _SMALLEST_SHARE:
        return f"the smallest cluster has {100 * share:.0f} % of the images: a few outliers"
    return ""


def _principal(vectors: NDArray[Any], generator: np.random.Generator) -> Float:
    """(n, p) scores on the first principal components of the directions of vectors (n, d)."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions = vectors / np.where(lengths > 0, lengths, 1)
    directions -= directions.mean(axis=0)
    sample = directions[_some(len(directions), _MOST_IMAGES, generator)]
    components = min(_DIMENSIONS, max(2, len(sample) // _IMAGES_A_DIMENSION), vectors.shape[1])
    axes = _principal_axes(sample, components)
    return np.asarray(directions @ axes.astype(directions.dtype), np.float64)


def _principal_axes(centred: NDArray[Any], count: int) -> Float:
    """(d, count) the first principal axes of centred rows (n, d), by eigenvectors of the smaller of XX' and X'X.

    That takes a tenth of the time of a singular value decomposition, and what rounding does to it is seen in the
    last axes only. An axis along which the rows do not vary is 0.
    """
    from scipy.linalg import eigh  # costs a third of a second to import

    wide = len(centred) <= centred.shape[1]
    square = centred @ centred.T if wide else centred.T @ centred
    last = len(square) - 1
    values, vectors = eigh(square, subset_by_index=(max(0, last + 1 - count), last), check_finite=False)
    if not wide:
        return np.asarray(vectors[:, ::-1], np.float64)
    floor = len(square) * np.finfo(centred.dtype).eps * max(values[-1], 0.0)
    scales = np.where(values > floor, 1 / np.sqrt(np.maximum(values, np.finfo(values.dtype).tiny)), 0)
    return np.asarray((centred.T @ (vectors * scales).astype(centred.dtype))[:, ::-1], np.float64)


def _some(rows: int, count: int, generator: np.random.Generator) -> Rows:
    """So many of the rows, or all if they are fewer, at random, ascending."""
    return np.sort(generator.permutation(rows)[:count])


def _agreement(first: NDArray[np.intp], second: NDArray[np.intp]) -> float:
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(first, second))
