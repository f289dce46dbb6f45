"""Seconds of a call, and what a script of this folder measures in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")


def timed(work: Callable[[], Result]) -> tuple[float, Result]:
    """The seconds that a call takes, and what it returns."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def in_a_process(script: str, *options: object) -> dict[str, Any]:
    """The JSON document in the last line of what a script prints; exits with what it says if it fails."""
    command = [sys.executable, str(Path(__file__).with_name(script)), *map(str, options)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(ran.stderr)
    told: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return told
