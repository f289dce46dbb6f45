"""What it would gain to make two classes one: from the mistakes of a head, without training it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifiers.errors import SchemeError
from classifiers.intervals import Clusters
from classifiers.regrouping.entropy import bits_lost, entropy
from classifiers.results import Result


@dataclass(frozen=True)
class Merge:
    """Two classes made one.

    classes: their numbers; in a path a number of k or more is a class that an earlier merge made. accuracy: of the
    scheme after it, its predictions mapped. gain, low, high: the accuracy over that of the scheme as it is, and the
    95 % interval of this difference, on the same images. entropy: of the labels after it, in bits.
    """

    classes: tuple[int, int]
    accuracy: float
    gain: float
    low: float
    high: float
    entropy: float


@dataclass(frozen=True)
class MergePath:
    """Merges one after the other, from the `leaves` classes of a scheme down to two.

    `accuracy` and `entropy` are those of the scheme as it is. After steps[i] there are leaves - 1 - i classes, and
    what it made has the number leaves + i, as in scipy's linkage matrices.
    """

    leaves: int
    accuracy: float
    entropy: float
    steps: tuple[Merge, ...]

    @property
    def fewest(self) -> int:
        """How many classes are left at its end."""
        return self.leaves - len(self.steps)

    def members(self, number: int) -> tuple[int, ...]:
        """The classes of the scheme that are in class `number` of the path, ascending."""
        found, waiting = [], [number]
        while waiting:
            one = waiting.pop()
            if one < self.leaves:
                found.append(one)
            else:
                waiting += self.steps[one - self.leaves].classes
        return tuple(sorted(found))

    def groups(self, classes: int) -> list[tuple[int, ...]]:
        """The classes of the scheme in so many groups, each ascending, by their first. Raises SchemeError."""
        if not self.fewest <= classes <= self.leaves:
            raise SchemeError(
                f"merges lead from {self.leaves} classes to {self.fewest}; {classes} were asked for."
            )
        made = self.leaves - classes
        used = {one for step in self.steps[:made] for one in step.classes}
        return sorted(self.members(one) for one in range(self.leaves + made) if one not in used)


def merges(result: Result, most: int = 20, groups: NDArray[np.object_] | None = None) -> list[Merge]:
    """The single merges that gain most, best first, at most so many; only such as gain something and leave two classes.

    groups (all images,): images of one value belong together for the interval. It is that of one pair named before one
    looked: the best of many pairs is partly the luckiest. Raises SchemeError with several labels an image.
    """
    confused = _Confused.of(result)
    if np.count_nonzero(confused.images) < 3:
        return []
    pairs, counts = confused.pairs()
    order = np.argsort(-counts, kind="stable")[:most]
    return [confused.merge(tuple(pair), pair, groups) for pair in pairs[order].tolist()]


def merge_path(result: Result, groups: NDArray[np.object_] | None = None) -> MergePath:
    """Merges down to two classes, each the one with most accuracy gained for each bit of the label that is given up.

    (By accuracy alone one large class would swallow the others.) Where no two classes are confused, the two with
    fewest images. Raises SchemeError with several labels an image.
    """
    confused = _Confused.of(result)
    start, leaves = confused, len(result.labels.classes)
    steps = []
    for number in range(leaves, leaves + np.count_nonzero(start.images) - 2):
        first, second = confused.best()
        confused = confused.merged(first, second, number)
        steps.append(confused.merge((first, second), (), groups))
    return MergePath(leaves, start.accuracy, entropy(start.images), tuple(steps))


@dataclass(frozen=True)
class _Confused:
    """Test images and how they are named, with classes partly merged.

    true, named: (n,) class numbers of the test images. images: (c,) labelled images of each class, 0 for one that was
    merged into another. right: (n,) bool before any merge. rows: (n,) the rows of the test images.
    """

    true: NDArray[np.intp]
    named: NDArray[np.intp]
    images: NDArray[np.int64]
    right: NDArray[np.bool_]
    rows: NDArray[np.intp]

    @classmethod
    def of(cls, result: Result) -> _Confused:
        codes = result.labels.codes
        if codes.ndim == 2:
            raise SchemeError(
                f"scheme {result.scheme!r} gives several labels an image; only classes can be merged."
            )
        images = np.bincount(codes[codes >= 0], minlength=len(result.labels.classes))
        true, named = codes[result.test].astype(np.intp), np.asarray(result.predicted, np.intp)
        return cls(true, named, images, true == named, result.test)

    @property
    def accuracy(self) -> float:
        return float((self.true == self.named).mean())

    def pairs(self) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """(m, 2) classes that are taken for each other, ascending, and how often, either way: (m,)."""
        wrong = self.true != self.named
        both = np.sort(np.stack([self.true[wrong], self.named[wrong]], axis=1), axis=1)
        pairs, counts = np.unique(both, axis=0, return_counts=True)
        return pairs.reshape(-1, 2), counts

    def best(self) -> tuple[int, int]:
        """The pair with most accuracy for each bit; else the two classes with fewest images."""
        pairs, counts = self.pairs()
        if not len(pairs):
            left = np.flatnonzero(self.images)
            first, second = np.sort(left[np.argsort(self.images[left], kind="stable")[:2]]).tolist()
            return first, second
        lost = bits_lost(self.images[pairs[:, 0]], self.images[pairs[:, 1]], self.images.sum())
        with np.errstate(divide="ignore"):
            first, second = pairs[np.argmax(counts / lost)].tolist()
        return first, second

    def merged(self, first: int, second: int, number: int) -> _Confused:
        """With two classes made a new one."""
        images = np.append(self.images, self.images[first] + self.images[second])
        images[[first, second]] = 0
        true, named = (
            np.where(np.isin(one, (first, second)), number, one) for one in (self.true, self.named)
        )
        return _Confused(true, named, images, self.right, self.rows)

    def merge(
        self, classes: tuple[int, ...], also: Sequence[int], groups: NDArray[np.object_] | None
    ) -> Merge:
        """What the merges so far, and that of two classes more if there are any, came to."""
        right, images = self.true == self.named, self.images
        if len(also):
            first, second = also
            right = right | (np.isin(self.true, also) & np.isin(self.named, also))
            images = np.append(np.delete(images, (first, second)), images[first] + images[second])
        won = right & ~self.right
        low, high = Clusters.of(len(won), None if groups is None else groups[self.rows]).share_interval(won)
        pair = (classes[0], classes[1])
        return Merge(pair, float(right.mean()), float(won.mean()), low, high, entropy(images))
