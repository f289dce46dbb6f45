"""How a batch job runs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from embedder.engines import check_engine
from embedder.errors import RecipeError


@dataclass(frozen=True)
class JobSettings:
    """How a job runs; none of it changes a vector.

    engine: `auto`, `openvino` or `keras`. batch_size: images that the engine takes at once, None is what suits it.
    workers: threads that read and decode, threads: those of the engine; None is one a processor of either. limit:
    only so many images, drawn by `seed`. max_failures: end the run early after more bad images than this, a count
    or a share such as `5%`. Raises EngineError or RecipeError.
    """

    engine: str = "auto"
    batch_size: int | None = None
    workers: int | None = None
    threads: int | None = None
    limit: int | None = None
    max_failures: str | int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_engine(self.engine)
        self.failure_limit(1)
        for name in ("batch_size", "workers", "threads", "limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise RecipeError(f"{name} is {value}: expected 1 or more.")

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
