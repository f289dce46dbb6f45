"""First pass over the rows: their Gram matrix, and their products with targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.by_parts.runners import Runner
from classifiers.by_parts.shares import Share
from classifiers.gram import Gram
from classifiers.signs import Signs

Float = NDArray[np.float64]
_BLOCK = 2048
_PANEL = 512  # columns; products of the panels on and above the diagonal are 5/8 of all at 2,048 dimensions


@dataclass(frozen=True)
class Sums:
    """Sums over rows x with weights w and targets y (t,), of x - `around`.

    weight: of w. first (d,): of w x. inner (d, d): of w x x', its upper panels; None if not asked for. targets (t,): of
    w y. cross (t, d): of w y x.
    """

    around: Float
    weight: float
    first: Float
    inner: Float | None
    targets: Float
    cross: Float

    def add(self, other: Sums) -> Sums:
        """With those of other rows; the Gram matrix is added in place, since there is one for all shares."""
        if self.inner is not None and other.inner is not None:
            self.inner.__iadd__(other.inner)
        return replace(
            self,
            weight=self.weight + other.weight,
            first=self.first + other.first,
            targets=self.targets + other.targets,
            cross=self.cross + other.cross,
        )

    @property
    def shift(self) -> Float:
        """From `around` to the mean: (d,)."""
        return np.asarray(self.first / self.weight)

    @property
    def mean(self) -> Float:
        """Of the rows: (d,)."""
        return np.asarray(self.around + self.shift)

    def gram(self, rows: int, centred: bool) -> Gram:
        """Around the mean; if not `centred` around `around`, which should be 0 then."""
        if self.inner is None:
            raise ValueError("these sums were made without the Gram matrix")
        inner = np.triu(self.inner)
        inner += np.triu(inner, 1).T
        if centred:
            inner -= self.weight * np.outer(self.shift, self.shift)
        return Gram(rows, self.mean if centred else self.around, inner)

    def centred_cross(self, centred: bool) -> Float:
        """Products of targets with rows around their mean: (t, d)."""
        return self.cross - np.outer(self.targets, self.shift) if centred else self.cross


@dataclass(frozen=True)
class Labelled:
    """A share with the targets and the square roots of the weights (m,) of its rows, None if all weigh 1."""

    share: Share
    targets: Signs
    root: Float | None

    @classmethod
    def each(cls, shares: Sequence[Share], targets: Signs, root: Float | None) -> list[Labelled]:
        """Each share with its own, of those of all rows."""
        return [
            cls(
                share,
                Signs(tuple(replace(part, codes=part.codes[share.rows]) for part in targets.parts)),
                None if root is None else root[share.rows],
            )
            for share in shares
        ]

    def blocks(
        self,
        mean: Float,
        dtype: np.dtype[Any],
        rows: int = _BLOCK,
    ) -> Iterator[tuple[slice, NDArray[Any], Float | None]]:
        """Where in the share, rows less `mean` times their roots (m, d), and these roots."""
        mean = mean.astype(dtype)
        for where, block in self.share.blocks(rows):
            x = np.subtract(block, mean, dtype=dtype)
            root = None if self.root is None else self.root[where]
            if root is not None:
                x *= root[:, None].astype(dtype)
            yield where, x, root


@dataclass(frozen=True)
class SumsAround:
    """What sums are to be made: around which point, with the Gram matrix or without, in which precision."""

    around: Float
    gram: bool
    dtype: str = "f4"


def sums(runner: Runner, about: SumsAround, tasks: Sequence[Labelled]) -> Iterator[Sums]:
    """Those of each share, in order. Their total is the same whoever makes them, and however many there are."""
    return runner.map(sums_of, about, tasks)


def sums_of(about: SumsAround, task: Labelled) -> Sums:
    """The sums of a share: products of blocks in float32 (or `dtype`), added up in float64."""
    dim, width = task.share.dim, task.targets.width
    inner = np.zeros((dim, dim)) if about.gram else None
    first, cross, targets, weight = np.zeros(dim), np.zeros((width, dim)), np.zeros(width), 0.0
    for where, x, root in task.blocks(about.around, np.dtype(about.dtype)):
        y = task.targets.block(where, x.dtype.type) if width else np.empty((len(x), 0), x.dtype)
        squares = np.ones(len(x)) if root is None else root**2
        weight += float(squares.sum())
        targets += squares @ y
        roots = np.ones(len(x), x.dtype) if root is None else root.astype(x.dtype)
        first += roots @ x
        cross += (y * roots[:, None]).T @ x
        if inner is not None:
            add_upper_product(x, inner)
    return Sums(about.around, weight, first, inner, targets, cross)


def add_upper_product(x: NDArray[Any], inner: Float) -> None:
    """Adds the upper triangle of x'x (d, d), and what the panels of columns have below it.

    BLAS's own symmetric product is no slower on one thread, but SciPy's keeps hold of the interpreter meanwhile.
    """
    for start in range(0, x.shape[1], _PANEL):
        end = min(start + _PANEL, x.shape[1])
        inner[:end, start:end] += x[:, :end].T @ x[:, start:end]
