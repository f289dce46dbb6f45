"""The ±1 targets of many label vectors, one against the rest, made for a block of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp] | slice


@dataclass(frozen=True)
class SignColumns:
    """Target columns of one label vector: 1 where its code is `first + j`, -1 elsewhere.

    codes: (n,) of classes, or (n, t) bool of labels; `first` and `last` are the columns that are meant.
    """

    codes: NDArray[Any]
    first: int
    last: int

    @classmethod
    def of(cls, codes: NDArray[Any], classes: int) -> SignColumns:
        """All columns: one a class or a label, but a single one for two classes."""
        if codes.ndim == 1 and classes == 2:
            return cls(codes, 1, 2)
        return cls(codes, 0, classes)

    @property
    def complete(self) -> bool:
        """Whether each row has its 1 in just one of several columns."""
        several = self.codes.ndim == 1 and self.last - self.first > 1
        return several and bool(((self.codes >= self.first) & (self.codes < self.last)).all())

    def fill(self, rows: Rows, out: NDArray[Any]) -> None:
        """Puts the targets of some rows into `out` (m, last - first)."""
        some = self.codes[rows]
        classes = slice(self.first, self.last)
        hit = some[:, classes] if some.ndim == 2 else some[:, None] == np.arange(self.first, self.last)
        np.multiply(hit, 2.0, out=out, casting="unsafe")
        out -= 1.0


@dataclass(frozen=True)
class Signs:
    """Columns of several label vectors of the same n rows, side by side."""

    parts: tuple[SignColumns, ...]

    @classmethod
    def of(cls, codes: Sequence[NDArray[Any]], classes: Sequence[int]) -> Signs:
        """All columns of all label vectors."""
        return cls(tuple(SignColumns.of(one, k) for one, k in zip(codes, classes, strict=True)))

    @property
    def width(self) -> int:
        """The number of columns."""
        return sum(part.last - part.first for part in self.parts)

    def slices(self) -> list[slice]:
        """Where the columns of each part are."""
        ends = np.cumsum([0, *(part.last - part.first for part in self.parts)]).tolist()
        return [slice(start, end) for start, end in pairwise(ends)]

    def repeated(self, values: Sequence[float]) -> NDArray[np.float64]:
        """The value of each part, for each of its columns: (width,)."""
        return np.repeat(np.asarray(values, np.float64), [part.last - part.first for part in self.parts])

    def block(self, rows: Rows, dtype: type[np.floating[Any]] = np.float64) -> NDArray[Any]:
        """The targets of some rows, (m, width)."""
        count = len(self.parts[0].codes[rows])
        block = np.empty((count, self.width), dtype)
        for part, columns in zip(self.parts, self.slices(), strict=True):
            part.fill(rows, block[:, columns])
        return block

    def independent(self, centred: bool) -> tuple[Signs, NDArray[np.intp], NDArray[np.float64]]:
        """Columns that no others tell: without the last of each label vector that has one for every class, if centred.

        That is minus the sum of the vector's others. Also the numbers of the columns (t,), and for each that was left
        out which of these are in the sum, (t, h) of 0 and 1.
        """
        parts, kept, sums = [], [], []
        for part, columns in zip(self.parts, self.slices(), strict=True):
            spare = centred and part.complete
            parts.append(replace(part, last=part.last - spare))
            kept.append(np.arange(columns.start, columns.stop - spare))
            if spare:
                sums.append(kept[-1])
        numbers = np.concatenate(kept)
        others = (
            np.stack([np.isin(numbers, one) for one in sums], axis=1) if sums else np.zeros((len(numbers), 0))
        )
        return Signs(tuple(parts)), numbers, others.astype(np.float64)

    def groups(self, most: int) -> Iterator[tuple[slice, Signs]]:
        """The columns in groups of about `most`; a wide label vector is cut."""
        pieces = [
            SignColumns(part.codes, first, min(first + most, part.last))
            for part in self.parts
            for first in range(part.first, part.last, most)
        ]
        start, waiting = 0, Signs(())
        for piece in pieces:
            if waiting.width and waiting.width + piece.last - piece.first > most:
                yield slice(start, start + waiting.width), waiting
                start, waiting = start + waiting.width, Signs(())
            waiting = Signs((*waiting.parts, piece))
        if waiting.width:
            yield slice(start, start + waiting.width), waiting


def batches(classes: Sequence[int], each: int, most: int) -> Iterator[slice]:
    """Consecutive label vectors of so many classes each, as many at a time as `most` numbers, `each` a class, allow."""
    start, width = 0, 0
    for end, one in enumerate(classes):
        if width and (width + one) * each > most:
            yield slice(start, end)
            start, width = end, 0
        width += one
    yield slice(start, len(classes))
