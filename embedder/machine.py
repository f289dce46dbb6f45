"""The processor, and how much of it this process may use."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


def usable_processors() -> int:
    """Processors of this process: its affinity, and a container's quota (cgroup v2) where there is one."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        count = min(count, max(1, int(quota) // int(period)))
    return count


def processor_name(cpuinfo: Path = _CPUINFO) -> str:
    """What the processor calls itself."""
    return _cpuinfo(cpuinfo).get("model name") or platform.processor() or "processor of unknown name"


def processor_features(cpuinfo: Path = _CPUINFO) -> frozenset[str]:
    """What the processor can do, in the kernel's words, such as `avx2` and `amx_bf16`; empty where it does not say."""
    about = _cpuinfo(cpuinfo)
    return frozenset((about.get("flags") or about.get("Features") or "").split())


def _cpuinfo(path: Path) -> dict[str, str]:
    """What Linux says of the first processor."""
    about: dict[str, str] = {}
    with suppress(OSError):
        for line in path.read_text().splitlines():
            name, _, value = line.partition(":")
            about.setdefault(name.strip(), value.strip())
    return about
