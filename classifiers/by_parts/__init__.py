"""Ridge heads on stores of any size: sums over parts, in threads, in processes or on Ray."""

from classifiers.by_parts.left_out import LeftOut
from classifiers.by_parts.ridge import PartedRidges
from classifiers.by_parts.runners import (
    ProcessRunner,
    RayRunner,
    Runner,
    ThreadRunner,
    runner_of,
)
from classifiers.by_parts.shares import Share, shares_of

__all__ = [
    "LeftOut",
    "PartedRidges",
    "ProcessRunner",
    "RayRunner",
    "Runner",
    "Share",
    "ThreadRunner",
    "runner_of",
    "shares_of",
]
