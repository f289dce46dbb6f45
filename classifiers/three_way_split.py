"""Splits into three: images to train on, images to stop by, and images that only the last figures come from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.expressions import find_column
from classifiers.splits import Rows, Split, Splitter
from classifiers.suggestions import counted
from classifiers.targets import Targets, labelled


@dataclass(frozen=True)
class ThreeWaySplit:
    """Rows, ascending; no bytes are on two sides. groups: (n,) the group of each image, if they are grouped."""

    name: str
    train: Rows
    validation: Rows
    test: Rows
    notes: tuple[str, ...]
    groups: NDArray[np.object_] | None


def three_way_split(
    images: pd.DataFrame,
    codes: Targets,
    classes: tuple[str, ...],
    *,
    split: str = "auto",
    test_size: float = 0.2,
    validation_size: float = 0.1,
    seed: int = 0,
    group: str | None = None,
) -> ThreeWaySplit:
    """Training and test images as `Splitter.holdout` parts them; validation images are those that the split's column
    calls so, where it has test images as well, else a share of the training images. Raises SplitError.
    """
    splitter = Splitter(images, split, test_size, seed, group)
    parts = splitter.holdout(codes, classes)
    named = _named_validation(splitter, codes, parts)
    if len(named):
        train, validation, notes = parts.train, named, parts.notes
    else:
        train, validation, notes = _held_out(images, codes, classes, parts, validation_size, seed, group)
    return ThreeWaySplit(parts.name, train, validation, parts.test, notes, splitter.groups)


def _named_validation(splitter: Splitter, codes: Targets, parts: Split) -> Rows:
    """Labelled images that a column calls validation, where the split tests on others."""
    column = find_column("split" if splitter.kind in ("auto", "folder") else splitter.kind, splitter.images)
    if column is None or parts.name != f"{column}: train, test":
        return np.zeros(0, np.intp)
    hashes = splitter.images["hash"]
    others = hashes.isin(hashes.iloc[np.concatenate([parts.train, parts.test])])
    fitting = labelled(codes) & (splitter.sides(column) == "val") & ~(others | hashes.duplicated()).to_numpy()
    return np.flatnonzero(fitting)


def _held_out(
    images: pd.DataFrame,
    codes: Targets,
    classes: tuple[str, ...],
    parts: Split,
    share: float,
    seed: int,
    group: str | None,
) -> tuple[Rows, Rows, tuple[str, ...]]:
    """A share of the training images. Their positions must be others than those that kept them from the test."""
    some = images.iloc[parts.train].reset_index(drop=True)
    inner = Splitter(some, "random", share, seed + 1, group).holdout(codes[parts.train], classes)
    note = f"{counted(len(inner.test), 'training image')} held out to validate on."
    return parts.train[inner.train], parts.train[inner.test], (*parts.notes, note)
