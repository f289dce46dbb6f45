"""Fake backbones in the worker processes of a Ray cluster, and a driver in a process of its own.

A picture that is all red kills the process that embeds it, one that is all blue raises. Each process that opens a
backbone leaves a file with its number in the folder that EMBANK_TEST_PIDS names.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedder.recipe import Recipe
from tests.conftest import FakeEngine, FakeEngines

RECIPE = Recipe("MobileNetV2", weights="none", image_size=32)
RED, BLUE = (255, 0, 0), (0, 0, 255)
PIDS = "EMBANK_TEST_PIDS"
_ROOT = Path(__file__).parents[1]
_SECONDS_A_PICTURE = 0.005


class PoisonedEngine(FakeEngine):
    """The fake engine, but for two colours; it takes its time."""

    def __call__(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        if (pictures == RED).all(axis=(1, 2, 3)).any():
            os.kill(os.getpid(), signal.SIGKILL)
        if (pictures == BLUE).all(axis=(1, 2, 3)).any():
            raise RuntimeError("blue is too much")
        time.sleep(_SECONDS_A_PICTURE * len(pictures))
        return super().__call__(pictures)


def use_fake_backbones() -> None:
    """What each process of the cluster calls when it starts."""
    import embedder.engine_set

    def open_engine(recipe: Recipe, engine: str, batch_size: int | None, threads: int) -> FakeEngine:
        Path(os.environ[PIDS], str(os.getpid())).touch()
        return PoisonedEngine(recipe.freeze("random-0"), batch_size or 4, FakeEngines())

    changed: Any = embedder.engine_set
    changed.open_engine = open_engine
    changed.is_known = lambda *_: True


def start_cluster(pids: Path) -> Callable[[], None]:
    """Starts a cluster of two processors with fake backbones; returns what ends it."""
    os.environ |= {
        PIDS: str(pids),
        "PYTHONPATH": os.pathsep.join([str(_ROOT), str(_ROOT / "scripts"), os.environ.get("PYTHONPATH", "")]),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    import ray

    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=100 << 20,
        logging_level="ERROR",
        log_to_driver=False,
        runtime_env={"worker_process_setup_hook": "tests.ray_fakes.use_fake_backbones"},
    )

    def end() -> None:
        ray.shutdown()

    return end


def main() -> None:
    """A driver: FOLDER STORE PIDS."""
    from embedder import JobSettings, embed

    folder, bank, pids = map(Path, sys.argv[1:])
    end = start_cluster(pids)
    embed(folder, bank, RECIPE, settings=JobSettings(runner="ray", ray_workers=2))
    end()


if __name__ == "__main__":
    main()
