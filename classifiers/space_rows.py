"""Rows of a space that are read when they are taken, as from an array."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.errors import HeadError
from store.space import Space

_MAPPED = 1 << 28  # bytes; pages of mapped parts count as resident memory until they are let go


class SpaceRows:
    """Rows of a space, float32 (n, dim), as `Space.find` numbers them. Raises HeadError for NaN and infinity."""

    dtype = np.dtype(np.float32)

    def __init__(self, space: Space, rows: NDArray[np.int64]) -> None:
        self.space, self.rows = space, rows
        self.shape = (len(rows), space.dim)
        self._taken = 0

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Any) -> NDArray[np.float32]:  # noqa: ANN401 (as arrays are)
        wanted = self.rows[rows]
        block = np.empty((len(wanted), self.space.dim), np.float32)
        self.space.read(wanted, block)
        self._taken += block.nbytes
        if self._taken > _MAPPED or len(wanted) == len(self.rows):
            self.space.release()
            self._taken = 0
        if not np.isfinite(block.sum()) and not np.isfinite(block).all():
            raise HeadError(
                f"{self.space.id} has NaN or infinity values; `embank verify` finds them. Leave these images out."
            )
        return block
