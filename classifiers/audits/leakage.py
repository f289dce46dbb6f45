"""What training and test images have in common that they should not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifiers.audits.neighbours import Neighbours
from classifiers.jobs import Job
from classifiers.splits import Rows, Split
from classifiers.targets import Targets, labelled

_SHOWN = 200


@dataclass(frozen=True)
class Pairs:
    """`total` pairs of images were found; `rows` (p, 2) are the row numbers of the first 200, the most similar first.

    `similarity` (p,) is the cosine of their vectors.
    """

    rows: NDArray[np.intp]
    similarity: NDArray[np.float64]
    total: int

    @classmethod
    def of(cls, rows: NDArray[np.intp], similarity: NDArray[np.float64] | None = None) -> Pairs:
        """The first of these pairs (p, 2); by default of the same vectors."""
        known = np.ones(len(rows)) if similarity is None else similarity
        return cls(rows[:_SHOWN], known[:_SHOWN], len(rows))


@dataclass(frozen=True)
class Leakage:
    """Pairs of a training and a test image of the `same` bytes, and of `near`-duplicates by their vectors.

    `conflicts`: images of the same bytes with different labels, wherever they are. `threshold`: the cosine from which
    on a pair is near. `leaked` (m,): rows of the test images that have such a twin; `accuracy_without`: that of the
    best head on the other test images, None if there are none.
    """

    same: Pairs
    near: Pairs
    conflicts: Pairs
    threshold: float
    leaked: Rows
    accuracy_without: float | None


def leakage(
    job: Job, neighbours: Neighbours, hashes: NDArray[np.intp], test: Rows, right: NDArray[np.bool_]
) -> Leakage:
    """The leaks of a scheme's splits. hashes (all images,): equal for the same bytes. `right` (m,) says on which of
    the images `test` the best head is right.
    """
    pairs, similarity = neighbours.near(job.rows[neighbours.place[job.rows] >= 0])
    # With folds an image is tested once and trains otherwise: of a pair either may be the tested one.
    tested = [_across(pairs[:, ::step], job.splits) for step in (1, -1)]
    same = _same_bytes(job.splits, hashes)
    leaked = np.unique(np.concatenate([pairs[tested[0], 1], pairs[tested[1], 0], same[:, 1]]))
    across = tested[0] | tested[1]
    clean = ~np.isin(test, leaked)
    return Leakage(
        Pairs.of(same),
        Pairs.of(np.where(tested[0][:, None], pairs, pairs[:, ::-1])[across], similarity[across]),
        Pairs.of(_conflicts(job.codes, hashes)),
        neighbours.threshold,
        leaked,
        float(right[clean].mean()) if clean.any() else None,
    )


def _across(pairs: Rows, splits: Sequence[Split]) -> NDArray[np.bool_]:
    """Which pairs (p, 2) have their first image in the training rows and the second in the test rows of a split."""
    found = np.zeros(len(pairs), bool)
    for split in splits:
        found |= np.isin(pairs[:, 0], split.train) & np.isin(pairs[:, 1], split.test)
    return found


def _same_bytes(splits: Sequence[Split], hashes: NDArray[np.intp]) -> Rows:
    """Pairs (p, 2) of a training and a test image of the same bytes; splits should leave none."""
    found = []
    for split in splits:
        _, train, test = np.intersect1d(hashes[split.train], hashes[split.test], return_indices=True)
        found.append(np.stack([split.train[train], split.test[test]], axis=1))
    return np.concatenate(found)


def _conflicts(codes: Targets, hashes: NDArray[np.intp]) -> Rows:
    """Pairs (p, 2) of images of the same bytes with different labels: the first of them, and another."""
    rows = np.flatnonzero(labelled(codes))
    _, first, which = np.unique(hashes[rows], return_index=True, return_inverse=True)
    firsts = rows[first[which]]
    differ = np.flatnonzero((codes[firsts] != codes[rows]).reshape(len(rows), -1).any(axis=1))
    return np.stack([firsts[differ], rows[differ]], axis=1)
