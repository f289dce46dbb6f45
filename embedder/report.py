"""What a batch job did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class EmbedReport:
    """What a job did. listed = embedded + skipped + duplicates + failed, unless it ended early.

    space: ids, in the order of the recipes. skipped: images banked before. duplicates: images with the same
    bytes as another one. seconds: the whole run, loading of backbones included; images_per_second: embedded
    images by the time from the first read to the last commit. gave_up: why the job is not a success, although
    what was embedded is banked: too many bad images. stages, limited_by: see `StageTimes`.
    """

    space: list[str] = field(default_factory=list)
    listed: int = 0
    embedded: int = 0
    skipped: int = 0
    duplicates: int = 0
    failed: int = 0
    seconds: float = 0.0
    images_per_second: float = 0.0
    notes: list[str] = field(default_factory=list)
    gave_up: str | None = None
    stages: dict[str, dict[str, float]] = field(default_factory=dict)
    limited_by: str | None = None

    @property
    def done(self) -> int:
        """Images of which the outcome is known."""
        return self.embedded + self.skipped + self.duplicates + self.failed

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `embank embed --json` prints them."""
        return asdict(self)


Progress = Callable[[EmbedReport], None]
