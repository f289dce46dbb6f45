"""Label schemes tried live: figures of a ridge by exact leave-one-out, within a tenth of a second of each change."""

from classifiers.live.columns import ColumnCache as ColumnCache
from classifiers.live.fit import LiveFit as LiveFit
from classifiers.live.result import LiveResult as LiveResult
from classifiers.live.result import difference as difference

__all__ = ["ColumnCache", "LiveFit", "LiveResult", "difference"]
