"""Threads for linear algebra: one where several would only wait for one another, or one for each share of rows."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]  # comes with scikit-learn

Result = TypeVar("Result")


def for_shares(work: Callable[[range], Result], rows: int, step: int) -> list[Result]:
    """What `work` makes of each share of the rows, a range of starts of blocks of `step`; a share a processor.

    BLAS should be kept to one thread meanwhile.
    """
    starts = range(0, rows, step)
    count = min(os.cpu_count() or 1, len(starts))
    if count < 2:
        return [work(starts)]
    size = -(-len(starts) // count)
    own, *others = (starts[first : first + size] for first in range(0, len(starts), size))
    with ThreadPoolExecutor(max(1, len(others))) as pool:
        futures = [pool.submit(work, share) for share in others]
        return [work(own), *(future.result() for future in futures)]


def few_threads(small: bool) -> AbstractContextManager[object]:
    """Keeps BLAS to one thread while `small` work is done.

    OpenBLAS's threads wait for one another actively, many times in one small decomposition. On a machine that
    is busy with anything else this was seen to make an eigendecomposition of (400, 400) 10 to 50 times slower and
    one of (2048, 2048) 11 times, and a second thread gains little there on an idle one.
    """
    return _libraries().limit(limits=1, user_api="blas") if small else nullcontext()


@cache
def _libraries() -> ThreadpoolController:
    """The BLAS libraries of this process. To find them takes milliseconds, so it is done once."""
    import scipy.linalg  # noqa: F401 (it brings a BLAS of its own beside NumPy's)

    return ThreadpoolController()
