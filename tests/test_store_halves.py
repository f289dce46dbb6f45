"""float16 becomes exactly the float32 that NumPy makes of it."""

from __future__ import annotations

import numpy as np
import pytest

from store.halves import widened

EVERY = np.arange(1 << 16, dtype=np.uint16).view(np.float16)


def test_every_finite_number_is_the_same_to_the_bit() -> None:
    finite = EVERY[np.isfinite(EVERY)].reshape(-1, 4)
    found = widened(finite)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.view(np.uint32), finite.astype(np.float32).view(np.uint32))


def test_infinity_and_nan_stay_what_they_are() -> None:
    np.testing.assert_array_equal(
        widened(EVERY.reshape(256, 256)), EVERY.reshape(256, 256).astype(np.float32)
    )


@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (1, 1), (65, 3)])
def test_any_shape(shape: tuple[int, int]) -> None:
    halves = np.random.default_rng(0).standard_normal(shape).astype(np.float16)
    np.testing.assert_array_equal(widened(halves), halves.astype(np.float32))
