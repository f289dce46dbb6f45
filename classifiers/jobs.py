"""One label scheme on the images of one space, with its splits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from classifiers.labels import Labels
from classifiers.splits import Rows, Split
from classifiers.targets import Targets


@dataclass(frozen=True)
class Job:
    """`codes` (all images,) are those of `labels`, -1 for images to leave out; or an indicator (all images, t)."""

    labels: Labels
    codes: Targets
    splits: list[Split]

    @cached_property
    def rows(self) -> Rows:
        """The images that train or test: (n,) ascending."""
        return np.unique(
            np.concatenate([side for split in self.splits for side in (split.train, split.test)])
        )

    @cached_property
    def signature(self) -> bytes:
        """Equal for jobs that train and test on the same images."""
        sides = [side for split in self.splits for side in (split.train, split.test)]
        return b"".join(len(side).to_bytes(8, "little") + side.tobytes() for side in sides)
