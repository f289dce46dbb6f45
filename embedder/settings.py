"""How a batch job runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from embedder.engines import check_engine
from embedder.entries import Entry, sample_entries
from embedder.errors import RecipeError
from embedder.shards import Shard

RUNNERS = ("local", "ray")


@dataclass(frozen=True)
class JobSettings:
    """How a job runs; none of it changes a vector.

    engine: `auto`, `openvino` or `keras`. batch_size: images that the engine takes at once, None is what suits it.
    workers: threads that read and decode, threads: those of the engine; None is one a processor of either. limit:
    only so many images, drawn by `seed`. max_failures: end the run early after more bad images than this, a count
    or a share such as `5%`. shard: `I/N`, embed only the I-th of N shares. runner: `local`, this process, or `ray`, a
    Ray cluster at `address` (None: the one that RAY_ADDRESS names, else this machine) with `ray_workers` processes
    (None: as many as it has room for). Raises EngineError or RecipeError.
    """

    engine: str = "auto"
    batch_size: int | None = None
    workers: int | None = None
    threads: int | None = None
    limit: int | None = None
    max_failures: str | int | None = None
    seed: int = 0
    shard: str | None = None
    runner: str = "local"
    address: str | None = None
    ray_workers: int | None = None

    def __post_init__(self) -> None:
        check_engine(self.engine)
        self.failure_limit(1)
        if self.shard is not None:
            Shard.parse(self.shard)
        if self.runner not in RUNNERS:
            raise RecipeError(f"runner {self.runner!r} does not exist: expected {' or '.join(RUNNERS)}.")
        for name in ("address", "ray_workers"):
            if getattr(self, name) is not None and self.runner != "ray":
                raise RecipeError(f"--{name.replace('_', '-')} goes with --runner ray.")
        for name in ("batch_size", "workers", "threads", "limit", "ray_workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise RecipeError(f"{name} is {value}: expected 1 or more.")

    def chosen(self, entries: Sequence[Entry]) -> list[Entry]:
        """Those of a source's entries that the job is for: its share of the sample."""
        sample = sample_entries(entries, self.limit, self.seed)
        return Shard.parse(self.shard).share_of(sample) if self.shard else sample

    def failure_limit(self, listed: int) -> float:
        """The number of bad images that is still accepted, of so many listed."""
        text = str(self.max_failures).strip() if self.max_failures is not None else "100%"
        try:
            share = float(text.removesuffix("%")) / 100 if text.endswith("%") else None
            limit = float(int(text)) if share is None else share * listed if share <= 1 else -1.0
        except ValueError:
            limit = -1.0
        if not 0 <= limit < math.inf:
            raise RecipeError(f"--max-failures {text!r}: expected a count such as 20 or a share such as 5%.")
        return limit
