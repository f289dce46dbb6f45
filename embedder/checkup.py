"""Whether the engines of this machine give the same vectors: a backbone of random weights, on pictures made by code.

Run as `python -m embedder.checkup` it prints one JSON object a line, so that whoever asks outlives a library that
crashes the process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from embedder.canary import TOLERANCE, cosine
from embedder.engines import open_engine
from embedder.errors import EmbedderError
from embedder.machine import usable_processors
from embedder.recipe import Recipe
from store.errors import first_line

CHECKS = (("keras", "float32"), ("openvino", "float32"), ("openvino", "bfloat16"))
_BACKBONE, _SIZE, _PICTURES = "MobileNetV2", 64, 4
_TIMEOUT_S = 300.0  # it takes ten on an idle machine


@dataclass(frozen=True)
class EngineCheck:
    """One engine in one precision. agreement: the mean cosine similarity with what Keras computes in float32.

    description: the engine and its version, if it could be opened. problem: what is wrong, if anything is.
    """

    engine: str
    precision: str
    description: str | None
    agreement: float | None
    seconds: float
    problem: str | None


def run_checks() -> list[EngineCheck]:
    """`check_engines` in a process of its own, with a cache of its own, so that everything is made anew."""
    with tempfile.TemporaryDirectory(prefix="embank-checkup-") as cache:
        command = [sys.executable, "-m", "embedder.checkup"]
        environment = os.environ | {
            "EMBANK_CACHE": cache,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        try:
            ended = subprocess.run(  # noqa: S603 (our own module)
                command, env=environment, capture_output=True, timeout=_TIMEOUT_S, check=False
            )
            output, end = ended.stdout, _how_it_ended(ended.returncode, ended.stderr)
        except subprocess.TimeoutExpired as late:
            output, end = late.stdout or b"", f"did not end within {_TIMEOUT_S:.0f} s"
    found = []
    for line in output.decode(errors="replace").splitlines():
        with suppress(ValueError, TypeError):  # libraries may print lines of their own
            found.append(EngineCheck(**json.loads(line)))
    missing = CHECKS[len(found) :]
    return found + [EngineCheck(*check, None, None, 0.0, f"the process {end}") for check in missing]


def check_engines() -> Iterator[EngineCheck]:
    """Opens every engine in every precision, and compares its vectors with those of the first that works."""
    pictures = _pictures()
    expected: NDArray[np.float32] | None = None
    for engine, precision in CHECKS:
        recipe = Recipe(_BACKBONE, weights="none", image_size=_SIZE, precision=precision)
        start = time.perf_counter()
        description: str | None = None
        agreement: float | None = None
        problem: str | None = None
        try:
            opened = open_engine(recipe, engine, _PICTURES, usable_processors())
            description = opened.description
            vectors = opened(pictures)
            expected = vectors if expected is None else expected
            agreement = round(float(cosine(vectors, expected).mean()), 9)
            if not agreement >= TOLERANCE[precision]:
                problem = (
                    f"its vectors do not agree with those of Keras: cosine {agreement:.6f}, expected "
                    f"{TOLERANCE[precision]} or more"
                )
        except EmbedderError as error:
            problem = str(error).rstrip(".")
        except Exception as error:  # a broken installation can fail in any way
            problem = f"it failed: {type(error).__name__}: {first_line(error)}".rstrip(".")
        yield EngineCheck(
            engine, precision, description, agreement, round(time.perf_counter() - start, 2), problem
        )


def _pictures() -> NDArray[np.uint8]:
    """(n, size, size, 3) uint8: smooth blobs, as photos have."""
    blobs = np.random.default_rng(0).integers(0, 256, (_PICTURES, 5, 5, 3), dtype=np.uint8)
    square = (_SIZE, _SIZE)
    return np.stack(
        [np.asarray(Image.fromarray(one).resize(square, Image.Resampling.BICUBIC)) for one in blobs]
    )


def _how_it_ended(code: int, errors: bytes) -> str:
    if code < 0:
        with suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
    last = errors.decode(errors="replace").strip().splitlines()[-1:]
    return f"ended with status {code}{': ' + last[0] if last else ''}"


def _main() -> None:
    for check in check_engines():
        line: dict[str, Any] = asdict(check)
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
