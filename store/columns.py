"""How strings and hashes stand in HDF5 files, and how they become pandas columns.

A string column `key` is two datasets: `key`, the UTF-8 bytes of all values one after the other, and
`key_end`, where each value ends. It has no longest value to pad to, no object dtype, and is Arrow's own
layout, so ten million keys become a column without a Python object each.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

HASH_BYTES = 16
Hashes = NDArray[np.uint8]


def pack_strings(values: Iterable[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The bytes of all values (total,) uint8 and where each ends (n,) int64."""
    array = pa.array(values, type=pa.large_string(), from_pandas=False)
    if isinstance(array, pa.ChunkedArray):  # what pd.concat leaves
        array = array.combine_chunks()
    _, offsets, data = array.buffers()
    if not offsets or not data:
        return np.zeros(0, np.uint8), np.zeros(len(array), np.int64)
    ends = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]  # it may be a slice
    return np.frombuffer(data, np.uint8)[ends[0] : ends[-1]], ends[1:] - ends[0]


def unpack_strings(text: NDArray[np.uint8], ends: NDArray[np.int64]) -> pd.Series[str]:
    """The column that `pack_strings` packed, as pandas strings. Raises ValueError if it is not one."""
    offsets = np.concatenate([np.zeros(1, np.int64), ends.astype(np.int64)])
    if offsets[-1] != len(text) or (np.diff(offsets) < 0).any():
        raise ValueError("the ends of its strings do not fit their bytes")
    array = pa.LargeStringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(text.tobytes()))
    array.validate(full=True)
    column: pd.Series[str] = array.to_pandas()
    return column


def hashes_to_hex(hashes: Hashes) -> pd.Series[str]:
    """(n, 16) uint8 to a column of 32 hex digits."""
    text = np.frombuffer(hashes.tobytes().hex().encode(), np.uint8)
    return unpack_strings(text, np.arange(1, len(hashes) + 1, dtype=np.int64) * (2 * HASH_BYTES))


def hashes_from_hex(column: Iterable[str]) -> Hashes:
    """A column of 32 hex digits to (n, 16) uint8. Raises ValueError on anything else."""
    text, ends = pack_strings(column)
    hexes = text.tobytes()
    digests = bytes.fromhex(hexes.decode())  # it skips blanks
    size = 2 * HASH_BYTES
    if len(digests) * 2 != len(hexes) or (ends != np.arange(size, size * len(ends) + 1, size)).any():
        raise ValueError(f"expected hashes of {size} hex digits")
    return np.frombuffer(digests, np.uint8).reshape(-1, HASH_BYTES)
