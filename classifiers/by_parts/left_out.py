"""Second pass over the rows: what ridges of every strength would say of each row had it been left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.by_parts.runners import Runner
from classifiers.by_parts.sums import Float, Labelled
from classifiers.ridge import RidgeHead
from classifiers.signs import Signs

SMALLEST_GAP = 1e-12
_BLOCK = 1024
_COLUMNS_AT_ONCE = 4096
Codes = NDArray[Any]


@dataclass(frozen=True)
class LeftOut:
    """A ridge head, and for each image the code that it would be given had it been left out.

    predicted: (n,) indices of `head.classes_`, or (n, t) bool of labels; -1 (False) where it has no label.
    accuracy: the share of labelled images whose code is right, all labels of them if there are several.
    """

    head: RidgeHead
    predicted: NDArray[Any]
    accuracy: float


@dataclass(frozen=True)
class Solved:
    """The ridges of some targets in an eigenbasis (see `Factorization`).

    basis (d, r); values (r,); projected (r, t); means (t,) of targets; weight: of all rows. several: which targets
    are labels of a head of several an image, by head. told: of which rows errors count, by head.
    """

    mean: Float
    basis: NDArray[Any]
    values: Float
    projected: Float
    means: Float
    weight: float
    intercept: bool
    strengths: Float
    several: tuple[bool, ...]
    with_codes: bool


@dataclass(frozen=True)
class Counted:
    """A share, and for each head the rows (m,) bool whose errors count, None for all."""

    rows: Labelled
    told: tuple[NDArray[np.bool_] | None, ...]


@dataclass(frozen=True)
class Scanned:
    """Of a share: sums (a, t) of squared errors, and codes of each head (a, m) or (a, m, t), if asked for."""

    errors: Float
    codes: tuple[Codes, ...]


def scan(runner: Runner, solved: Solved, tasks: Sequence[Counted]) -> Iterator[Scanned]:
    """Of each share, in order."""
    return runner.map(scan_of, solved, tasks)


def scan_of(solved: Solved, task: Counted) -> Scanned:
    """Turns each block into the eigenbasis once; all strengths and targets follow from that."""
    targets, strengths = task.rows.targets, solved.strengths
    columns = targets.slices()
    errors = np.zeros((len(strengths), targets.width))
    codes = _empty_codes(solved, targets, task.rows.share.rows) if solved.with_codes else ()
    at_once = max(1, _COLUMNS_AT_ONCE // max(1, targets.width))
    groups = [slice(start, start + at_once) for start in range(0, len(strengths), at_once)]
    solutions = [_solutions(solved, strengths[group]) for group in groups]
    for where, x, root in task.rows.blocks(solved.mean, solved.basis.dtype, _BLOCK):
        turned = x @ solved.basis
        gaps = _gaps(solved, turned, strengths, root)
        y = targets.block(where, turned.dtype.type)
        for group, solution in zip(groups, solutions, strict=True):
            wrong = _errors(solved, turned, solution, y, root) / gaps[:, group, None]
            for number, own in enumerate(columns):
                if solved.with_codes:
                    scores = y[:, None, own] - wrong[:, :, own]
                    codes[number][group, where] = _named(scores, solved.several[number])
                told = task.told[number]
                some = wrong[:, :, own] if told is None else wrong[told[where]][:, :, own]
                weights = None if root is None else root if told is None else root[told[where]]
                if weights is not None:
                    some = some * weights[:, None, None].astype(some.dtype)
                errors[group, own] += np.einsum("mat,mat->at", some, some)
    return Scanned(errors, codes)


def left_out_scores(solved: Solved, rows: Labelled, strengths: Float) -> Float:
    """Scores (m, t) of the rows of a share had each been left out, target j at strength strengths[j]."""
    distinct, which = np.unique(strengths, return_inverse=True)
    solution = (solved.projected / (solved.values[:, None] + strengths)).astype(solved.basis.dtype)
    blocks = []
    for where, x, root in rows.blocks(solved.mean, solved.basis.dtype, _BLOCK):
        turned = x @ solved.basis
        gaps = _gaps(solved, turned, distinct, root)[:, which]
        y = rows.targets.block(where, turned.dtype.type)
        blocks.append(y - _errors(solved, turned, solution[:, None], y, root)[:, 0] / gaps)
    return np.concatenate(blocks).astype(np.float64)


def _solutions(solved: Solved, strengths: Float) -> NDArray[Any]:
    """(r, a, t), in the precision of the basis."""
    inverse = 1.0 / (solved.values[:, None] + strengths)
    return np.asarray((inverse[:, :, None] * solved.projected[:, None]).astype(solved.basis.dtype))


def _errors(
    solved: Solved, turned: NDArray[Any], solution: NDArray[Any], y: NDArray[Any], root: Float | None
) -> NDArray[Any]:
    """y less what is fitted (m, a, t), not weighted; of targets around their means."""
    rank, strengths, width = solution.shape
    fitted = (turned @ solution.reshape(rank, -1)).reshape(len(turned), strengths, width)
    if root is not None:
        fitted /= root[:, None, None].astype(fitted.dtype)
    return np.asarray(np.subtract((y - solved.means.astype(y.dtype))[:, None], fitted, out=fitted))


def _gaps(solved: Solved, turned: NDArray[Any], strengths: Float, root: Float | None) -> NDArray[Any]:
    """1 - h of each row at each strength: (m, a), with h the diagonal of the hat matrix."""
    inverse = (1.0 / (solved.values[:, None] + strengths)).astype(turned.dtype)
    leverage = np.square(turned) @ inverse
    if solved.intercept:
        own = np.ones(len(turned)) if root is None else root**2
        leverage += (own / solved.weight).astype(turned.dtype)[:, None]
    return np.asarray(np.maximum(1.0 - leverage, SMALLEST_GAP))


def _empty_codes(solved: Solved, targets: Signs, rows: slice) -> tuple[Codes, ...]:
    count, strengths = rows.stop - rows.start, len(solved.strengths)
    return tuple(
        np.empty((strengths, count, part.last - part.first), bool)
        if several
        else np.empty((strengths, count), part.codes.dtype)
        for part, several in zip(targets.parts, solved.several, strict=True)
    )


def _named(scores: NDArray[Any], several: bool) -> Codes:
    """Codes of scores (m, a, t) as (a, m), or (a, m, t) of several labels."""
    turned = scores.swapaxes(0, 1)
    if several:
        return np.asarray(turned > 0)
    return np.asarray(turned[:, :, 0] > 0 if turned.shape[2] == 1 else turned.argmax(axis=2))
