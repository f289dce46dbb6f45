"""Which machine this is, and which of its processes are running: how a dead writer is told from a slow one."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from pathlib import Path


@cache
def this_machine() -> str:
    """Names this machine's process numbering, 8 hex digits: host, boot and, on Linux, the process namespace."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    return blake2b("|".join(parts).encode(), digest_size=4).hexdigest()


def is_running(pid: int) -> bool:
    """Whether this machine has a process of this number."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # OverflowError: larger than any number of a process
        return False
    except PermissionError:
        pass
    return True
