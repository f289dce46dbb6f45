"""The labels of images, as a scheme gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from classifiers.targets import Targets
from classifiers.values import Texts


@dataclass(frozen=True)
class Labels:
    """The labels that a scheme gives to n images: codes[i] is an index into `classes`, or -1 for no label.

    With several labels an image `codes` is an indicator (n, t) int8: 1 for each class of an image, 0 for the
    others, and a row of -1 for an image that is not labelled; `separator` then joins their names.
    """

    name: str
    classes: tuple[str, ...]
    codes: Targets
    separator: str = ";"

    @property
    def multilabel(self) -> bool:
        """Whether an image has several labels."""
        return self.codes.ndim == 2

    def names(self) -> Texts:
        """The class name of each image, several joined; None for no label, '' for none of several: (n,) object."""
        return class_names(self.classes, self.codes, self.separator)


def class_names(classes: Sequence[str], codes: Targets, separator: str) -> Texts:
    """The names of codes (n,) or of an indicator (n, t): (n,) object, as in `Labels.names`."""
    names: Texts = np.array([*classes, None], object)
    if codes.ndim == 1:
        return names[codes]
    joined = [separator.join(names[:-1][row == 1]) if row[0] >= 0 else None for row in codes]
    return np.array(joined, object)
