"""Label schemes tried live: figures of a ridge by exact leave-one-out, within a tenth of a second of each change."""

from classifiers.live.columns import ColumnCache as ColumnCache
from classifiers.live.fit import LiveFit as LiveFit
from classifiers.live.proposals import proposals as proposals
from classifiers.live.result import LiveResult as LiveResult
from classifiers.live.result import difference as difference
from classifiers.live.scheme import LiveScheme as LiveScheme
from classifiers.live.scheme import heirs as heirs

__all__ = ["ColumnCache", "LiveFit", "LiveResult", "LiveScheme", "difference", "heirs", "proposals"]
