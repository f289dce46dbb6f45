"""What one task reads: some rows of a few parts that lie side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifiers.errors import HeadError
from store.part import PartFile, read_rows
from store.space import Space

SHARE_ROWS = 1 << 17


@dataclass(frozen=True)
class Piece:
    """Rows of a part, ascending, all of them if None."""

    part: PartFile
    rows: NDArray[np.int32] | None

    def __len__(self) -> int:
        return self.part.rows if self.rows is None else len(self.rows)

    def read(self, start: int, out: NDArray[np.float32]) -> None:
        """Its vectors from `start` on, as many as `out` (m, dim) has rows."""
        end = start + len(out)
        rows = np.arange(start, end) if self.rows is None else self.rows[start:end].astype(np.int64)
        read_rows(self.part, rows, out, np.arange(len(out)))


@dataclass(frozen=True)
class Share:
    """Consecutive rows of a training set, `rows` among all of them, and where they lie. It can be sent anywhere."""

    pieces: tuple[Piece, ...]
    rows: slice
    dim: int

    def blocks(self, rows: int) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Where in the share, and vectors (m, dim) float32, m at most `rows`; the array is filled anew each time.

        Raises HeadError for a value that is not finite.
        """
        buffer = np.empty((rows, self.dim), np.float32)
        start = filled = 0
        for piece in self.pieces:
            taken = 0
            while taken < len(piece):
                count = min(rows - filled, len(piece) - taken)
                piece.read(taken, buffer[filled : filled + count])
                taken, filled = taken + count, filled + count
                if filled == rows:
                    yield slice(start, start + filled), self._sound(buffer)
                    start, filled = start + filled, 0
            piece.part.__dict__.pop("vectors", None)  # touched pages of a map count as resident memory
        if filled:
            yield slice(start, start + filled), self._sound(buffer[:filled])

    def _sound(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        if not np.isfinite(block.sum()) and not np.isfinite(block).all():
            names = ", ".join(dict.fromkeys(piece.part.path.name for piece in self.pieces))
            raise HeadError(
                f"there are NaN or infinity values in {names}; `embank verify` finds them. Leave these images out."
            )
        return block


def shares_of(space: Space, rows: NDArray[np.int64], most: int = SHARE_ROWS) -> list[Share]:
    """Shares of rows of a space (ascending, as `Space.find` numbers them), of about `most` rows each.

    They depend on the rows alone, not on who will work on them: so sums over shares are always added in one order.
    """
    starts = np.cumsum([0, *(part.rows for part in space.parts)])
    ends = np.searchsorted(rows, starts)
    shares: list[Share] = []
    pieces: list[Piece] = []
    begin = size = 0
    for number, part in enumerate(space.parts):
        for first in range(int(ends[number]), int(ends[number + 1]), most):
            last = min(first + most, int(ends[number + 1]))
            if size and size + last - first > most:
                shares.append(Share(tuple(pieces), slice(begin, begin + size), space.dim))
                pieces, begin, size = [], begin + size, 0
            own = (rows[first:last] - starts[number]).astype(np.int32)
            whole = len(own) == part.rows
            file = PartFile(part.path, part.rows, part.dim, part.dtype, part.vectors_at)
            pieces.append(Piece(file, None if whole else own))
            size += len(own)
    if size:
        shares.append(Share(tuple(pieces), slice(begin, begin + size), space.dim))
    return shares
