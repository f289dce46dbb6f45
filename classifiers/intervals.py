"""95 % intervals: Wilson's for a share, the bootstrap for everything else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Float = NDArray[np.float64]
Statistics = Mapping[str, Float]

RESAMPLES = 1000
_Z95 = 1.959963984540054  # the 97.5 % point of the normal distribution
_MOST_CLUSTERS = 4096  # a spread from m clusters is itself off by 1 / sqrt(2 m): 1.1 % here
_AT_ONCE = 250
_SEED = 0


def wilson_interval(right: float, n: float) -> tuple[float, float]:
    """The 95 % score interval of a share of `right` in `n` (Wilson 1927, J. Am. Stat. Assoc. 22, 209)."""
    share, z2 = right / n, _Z95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * np.sqrt(share * (1 - share) / n + z2 / (4 * n**2))
    low = 0.0 if right == 0 else float(centre - half)
    high = 1.0 if right == n else float(centre + half)
    return low, high


def group_numbers(groups: NDArray[Any]) -> NDArray[np.intp]:
    """A number for each row, from 0 on, the same for a group; a row whose group is missing has its own: (n,)."""
    codes = np.asarray(pd.factorize(np.asarray(groups, object))[0], np.intp)
    missing = codes < 0
    codes[missing] = codes.max(initial=-1) + 1 + np.arange(missing.sum())
    return codes


@dataclass(frozen=True)
class Clusters:
    """Which rows are drawn together: `of_row` (n,) holds the cluster, 0 to `count` - 1, of each row.

    `grouped`: rows of a cluster belong together (photos of one animal), so that they say less than as many others.
    """

    of_row: NDArray[np.intp]
    count: int
    grouped: bool

    @classmethod
    def of(cls, n: int, groups: NDArray[Any] | None = None) -> Clusters:
        """Each row by itself, or the rows of a group together; a row whose group is missing is by itself.

        Beyond 4,096 clusters some are put together at random (seeded), which leaves the spread as it is.
        """
        of_row = np.arange(n) if groups is None else group_numbers(groups)
        count = int(of_row.max(initial=-1)) + 1
        if count > _MOST_CLUSTERS:
            shuffled = np.random.default_rng(_SEED).permutation(count) % _MOST_CLUSTERS
            of_row, count = shuffled[of_row], _MOST_CLUSTERS
        return cls(of_row.astype(np.intp), count, groups is not None)

    @cached_property
    def sizes(self) -> Float:
        """The number of rows of each cluster: (count,)."""
        return self.sums(np.ones(len(self.of_row)))

    def sums(self, rows: NDArray[Any]) -> Float:
        """Sums by cluster of (n,) or (n, f) values by row: (count,) or (count, f)."""
        if rows.ndim == 1:
            return np.asarray(np.bincount(self.of_row, rows, self.count), np.float64)
        columns = [np.bincount(self.of_row, column, self.count) for column in rows.T]
        return np.stack(columns, axis=1) if columns else np.zeros((self.count, 0))

    def share_interval(self, right: NDArray[np.bool_]) -> tuple[float, float]:
        """The 95 % interval of the share of rows that are `right` (n,).

        With groups, Wilson's interval for the number of rows that, each by itself, would say as much: n over the
        design effect, the variance of the share between groups over that of independent rows (Kish 1965, Survey
        Sampling, 8.2; Dean and Pagano 2015, J. Surv. Stat. Methodol. 3, 484). Where all or no rows are right,
        that is the number of groups.
        """
        n, share = len(right), float(np.mean(right))
        effective = float(n)
        if self.grouped:
            spread = float((self.sums(right - share) ** 2).sum()) / n**2
            alone = share * (1 - share) / n
            effective = n / max(1.0, spread / alone) if alone > 0 else float(self.count)
        return wilson_interval(effective if share == 1 else share * effective, effective)

    def bootstrap(
        self, statistics: Callable[[NDArray[np.float32]], Statistics]
    ) -> dict[str, tuple[float, float]]:
        """95 % percentile intervals (Efron 1979, Ann. Statist. 7, 1) from 1,000 resamples of clusters, seeded.

        `statistics` gets (count, b) how often each of b resamples has each cluster, and returns (b,) values by
        name. Left out are names whose values are NaN in more than half of the resamples, and all where there is
        one cluster.
        """
        if self.count < 2:
            return {}
        blocks = [statistics(weights) for weights in _resamples(self.count)]
        found = {}
        for name in blocks[0]:
            values = np.concatenate([block[name] for block in blocks])
            sound = values[np.isfinite(values)]
            if len(sound) * 2 > len(values):
                low, high = np.quantile(sound, (0.025, 0.975))
                found[name] = (float(low), float(high))
        return found


@lru_cache(maxsize=4)
def _resamples(count: int) -> list[NDArray[np.float32]]:
    """How often each of the resamples has each of `count` clusters: (count, 250), four times."""
    generator = np.random.default_rng(_SEED)
    blocks = []
    for _ in range(RESAMPLES // _AT_ONCE):
        drawn = generator.integers(0, count, (count, _AT_ONCE), np.int32) * np.int32(_AT_ONCE)
        drawn += np.arange(_AT_ONCE, dtype=np.int32)
        counts = np.bincount(drawn.ravel(), minlength=count * _AT_ONCE)
        blocks.append(counts.reshape(count, _AT_ONCE).astype(np.float32))
    return blocks
