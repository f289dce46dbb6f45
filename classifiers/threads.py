"""Linear algebra on one thread where several would only wait for one another."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]  # comes with scikit-learn


def few_threads(small: bool) -> AbstractContextManager[object]:
    """Keeps BLAS to one thread while `small` work is done.

    OpenBLAS's threads wait for one another actively, many times in one small decomposition. On a machine that
    is busy with anything else this was seen to make an eigendecomposition of (400, 400) 10 to 50 times slower,
    and a second thread gains little there on an idle one.
    """
    return _libraries().limit(limits=1, user_api="blas") if small else nullcontext()


@cache
def _libraries() -> ThreadpoolController:
    """The BLAS libraries of this process. To find them takes milliseconds, so it is done once."""
    import scipy.linalg  # noqa: F401 (it brings a BLAS of its own beside NumPy's)

    return ThreadpoolController()
