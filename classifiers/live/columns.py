"""What a factorization knows of one class against the rest, kept, since most classes survive a change of scheme.

A class's column of ±1 depends on which images are in it and on nothing else: merging two classes makes one new
column, moving an image two, undoing none.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.factorization import Factorization, Float
from classifiers.leave_one_out import left_out, squared_errors
from classifiers.signs import SignColumns, Signs

_LARGEST = 256 << 20  # bytes of leave-one-out scores that are kept


@dataclass
class ColumnCache:
    """The columns of label vectors of one factorization's rows, the least recently used forgotten first.

    turned: the rows in the eigenbasis (n, r) as `Factorization.rotated` gives them, if they are kept. Threads may ask
    side by side.
    """

    factor: Factorization
    turned: NDArray[Any] | None = None
    largest: int = _LARGEST
    _kept: OrderedDict[tuple[object, ...], Float] = field(default_factory=OrderedDict)
    _bytes: int = 0
    _lock: Lock = field(default_factory=Lock)

    def means(self, columns: Sequence[SignColumns]) -> Float:
        """Of each column, (t,)."""
        return self._each("mean", columns, lambda new: self.factor.means(new)[:, None])[:, 0]

    def projections(self, columns: Sequence[SignColumns]) -> Float:
        """Centred columns in the eigenbasis, (r, t)."""
        return self._each(
            "projection", columns, lambda new: self.factor.project(new, self.means(new.parts)).T
        ).T

    def ridges(self, columns: Sequence[SignColumns], strength: float) -> tuple[Float, Float]:
        """Coefficients (d, t) and intercepts (t,) of the columns' ridges."""

        def make(new: Signs) -> Float:
            P, means = self.projections(new.parts), self.means(new.parts)
            strengths = np.full(new.width, strength)
            return np.column_stack(self.factor.coefficients(P, means, strengths))

        found = self._each(("ridge", strength), columns, make)
        return found[:, :-1].T, found[:, -1]

    def errors(
        self, columns: Sequence[SignColumns], strengths: Float, told: NDArray[np.bool_] | None
    ) -> Float:
        """Mean squared leave-one-out errors of each column at each strength, on the rows that are `told`: (a, t)."""

        def make(new: Signs) -> Float:
            P, means = self.projections(new.parts), self.means(new.parts)
            return squared_errors(self.factor, new, means, P, strengths, told).T

        return self._each(_errors(strengths, told), columns, make).T

    def unknown_errors(
        self, columns: Sequence[SignColumns], strengths: Float, told: NDArray[np.bool_] | None
    ) -> int:
        """Of how many columns `errors` are not known yet."""
        what = _errors(strengths, told)
        with self._lock:
            return sum((what, _name(column)) not in self._kept for column in columns)

    def left_out(self, columns: Sequence[SignColumns], strength: float) -> Float:
        """Leave-one-out scores of every row, (n, t)."""

        def make(new: Signs) -> Float:
            P, means = self.projections(new.parts), self.means(new.parts)
            rows = np.arange(len(self.factor.X))
            scores = left_out(self.factor, new, means, P, np.full(new.width, strength), rows)
            return np.concatenate(list(scores)).T

        return self._each(("scores", strength), columns, make).T

    def _each(self, what: object, columns: Sequence[SignColumns], make: Callable[[Signs], Float]) -> Float:
        """(t, …): what is kept of each column, or made, all new ones together."""
        names = [(what, _name(column)) for column in columns]
        with self._lock:
            known = {name: self._kept[name] for name in names if name in self._kept}
        new = {name: column for name, column in zip(names, columns, strict=True) if name not in known}
        if new:  # making them can make others be forgotten, even those that are known here
            made = make(Signs(tuple(new.values())))
            known |= {name: np.ascontiguousarray(one) for name, one in zip(new, made, strict=True)}
        with self._lock:
            self._keep({name: known[name] for name in names})
        return np.stack([known[name] for name in names])

    def _keep(self, found: dict[tuple[object, ...], Float]) -> None:
        for name, one in found.items():
            if name not in self._kept:
                self._kept[name] = one
                self._bytes += one.nbytes
            self._kept.move_to_end(name)
        while self._bytes > self.largest:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes


def columns_of(codes: NDArray[np.intp], classes: int) -> list[SignColumns]:
    """The columns of a label vector, each by itself; a single one for two classes."""
    whole = SignColumns.of(codes, classes)
    return [SignColumns(codes, code, code + 1) for code in range(whole.first, whole.last)]


def _name(column: SignColumns) -> bytes:
    return np.packbits(column.codes == column.first).tobytes()


def _errors(strengths: Float, told: NDArray[np.bool_] | None) -> tuple[object, ...]:
    return "errors", strengths.tobytes(), b"" if told is None else np.packbits(told).tobytes()
