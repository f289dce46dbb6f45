"""Plain arrays as .npy bytes, read with nothing trusted."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray


def npy_bytes(array: NDArray[Any]) -> bytes:
    """The array as the bytes of an .npy file of version 1.0."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), (1, 0), allow_pickle=False)
    return buffer.getvalue()


def npy_array(data: bytes, dimensions: int, dtypes: str) -> NDArray[Any]:
    """The finite array in .npy bytes, of one of the dtypes (such as "f4 f8"). Raises ValueError.

    Its header is checked first, since NumPy would believe any shape and allocate it.
    """
    buffer = io.BytesIO(data)
    if np.lib.format.read_magic(buffer) != (1, 0):
        raise ValueError("an array is of an unknown format")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(buffer)
    if dtype not in [np.dtype(f"<{one}") for one in dtypes.split()] or len(shape) != dimensions or fortran:
        raise ValueError(f"an array has the type {dtype} and shape {shape}")
    count = int(np.prod([int(side) for side in shape], dtype=object))
    if count * dtype.itemsize != len(data) - buffer.tell():
        raise ValueError("an array is not as large as it says")
    array = np.frombuffer(data, dtype, count, buffer.tell()).reshape(shape).copy()
    if not np.isfinite(array).all():
        raise ValueError("an array has values that are not finite")
    return array
