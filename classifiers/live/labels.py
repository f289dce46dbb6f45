"""Codes of images as columns of those classes that have images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.errors import HeadError
from classifiers.factorization import Float
from classifiers.live.columns import columns_of
from classifiers.ridge import rows_that_tell
from classifiers.signs import SignColumns


@dataclass(frozen=True)
class LiveLabels:
    """Codes (n,) of images, and `own` ones among the classes that have images: those without are never predicted."""

    codes: NDArray[np.intp]
    classes: int
    present: NDArray[np.intp]
    own: NDArray[np.intp]

    @classmethod
    def of(cls, codes: NDArray[np.intp], classes: int) -> LiveLabels:
        """Raises HeadError unless two classes have images."""
        codes = np.asarray(codes, np.intp)
        counts = np.bincount(codes[codes >= 0], minlength=classes)
        present = np.flatnonzero(counts)
        if counts.sum() < 2:
            raise HeadError("fewer than two images have a label: label some of two classes to see figures.")
        if len(present) < 2:
            raise HeadError(
                "all labelled images are of one class: a scheme needs two classes with images to be judged."
            )
        places = np.full(classes + 1, -1, np.intp)
        places[present] = np.arange(len(present))
        return cls(codes, classes, present, places[codes])

    @cached_property
    def labelled(self) -> NDArray[np.bool_]:
        """(n,) those with a label."""
        return np.asarray(self.codes >= 0)

    @cached_property
    def count(self) -> int:
        """The number of images with a label."""
        return int(self.labelled.sum())

    @cached_property
    def told(self) -> NDArray[np.bool_] | None:
        """Of the images with a label, those that the choice of a strength looks at; None for all."""
        return rows_that_tell(self.own[self.labelled])

    def columns(self, rows: NDArray[Any]) -> list[SignColumns]:
        """Of some images."""
        return columns_of(self.own[rows], len(self.present))

    def spread(self, scores: Float, factor: float) -> NDArray[np.float32]:
        """Scores of the columns (n, t) as scaled ones of all classes (n, k)."""
        found = np.full((len(scores), self.classes), -np.inf, np.float32)
        if scores.shape[1] == 1:
            scores = np.concatenate([-scores / 2, scores / 2], axis=1)
        found[:, self.present] = scores * factor
        return found
