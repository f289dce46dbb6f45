"""What a scheme makes of a store's images, before anything is trained on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.bins import bin_names
from classifiers.labels import Labels
from classifiers.schemes import Scheme
from classifiers.suggestions import counted, listed
from classifiers.targets import labelled, members

FEW = 10
_SIDES = ("train", "val", "test")


@dataclass(frozen=True)
class ClassCount:
    """How many images have a class, and of them how many train, validate and test where folders or labels say so."""

    name: str
    images: int
    sides: dict[str, int]


@dataclass(frozen=True)
class Preview:
    """The classes of a scheme in their order, how many images have a label and how many have none.

    `notes` are sentences on what will be hard to learn or to measure. `labels` are those of the images, `rows` the
    images of each class, ascending.
    """

    scheme: Scheme
    classes: tuple[ClassCount, ...]
    labelled: int
    unlabelled: int
    notes: tuple[str, ...]
    labels: Labels
    rows: tuple[NDArray[np.intp], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "scheme": self.scheme.name,
            "from": self.scheme.source,
            "multilabel": self.labels.multilabel,
            "classes": [{"name": one.name, "images": one.images} | one.sides for one in self.classes],
            "labelled": self.labelled,
            "unlabelled": self.unlabelled,
            "notes": list(self.notes),
        }


def preview(scheme: Scheme, images: pd.DataFrame) -> Preview:
    """What a scheme makes of `images`, a table with a column `hash`. Raises SchemeError if it is of no use."""
    labels = scheme.labels(images)
    found = dict(members(labels.codes))
    rows = tuple(found.get(code, np.zeros(0, np.intp)) for code in range(len(labels.classes)))
    sides = _sides(images)
    classes = tuple(
        ClassCount(name, len(own), {side: int(here[own].sum()) for side, here in sides.items()})
        for name, own in zip(labels.classes, rows, strict=True)
    )
    known = int(labelled(labels.codes).sum())
    hashes = np.asarray(pd.factorize(images["hash"])[0], np.intp)
    different = {one.name: len(np.unique(hashes[own])) for one, own in zip(classes, rows, strict=True)}
    notes = (
        *_notes_on_size(different),
        *_notes_on_sides(classes, list(sides)),
        *_notes_on_bins(scheme, labels),
    )
    return Preview(scheme, classes, known, len(images) - known, notes, labels, rows)


def _sides(images: pd.DataFrame) -> dict[str, NDArray[np.bool_]]:
    """The images (n,) bool of each side that there is."""
    if "split" not in images.columns:
        return {}
    sides = {side: (images["split"] == side).fillna(False).to_numpy(bool) for side in _SIDES}
    return {side: here for side, here in sides.items() if here.any()}


def _notes_on_size(different: dict[str, int]) -> list[str]:
    """different: the number of different images of each class."""
    single = [name for name, count in different.items() if count == 1]
    few = [name for name, count in different.items() if 1 < count < FEW]
    notes = []
    if single:
        notes.append(
            f"{_classes(single)} a single different image, which cannot both train and test: drop or group."
        )
    if few:
        notes.append(f"{_classes(few)} fewer than {FEW} different images: the figures will be coarse.")
    return notes


def _notes_on_sides(classes: tuple[ClassCount, ...], sides: list[str]) -> list[str]:
    """Where there is a split by folders or labels: classes that are missing on one side."""
    notes = []
    sides = [side for side in sides if any(one.sides[side] for one in classes)]
    if "train" in sides and len(sides) > 1:  # else `compare` splits at random
        testing = "test" if "test" in sides else "val"
        for side, why in (("train", "cannot be learned"), (testing, "cannot be measured")):
            absent = [one.name for one in classes if not one.sides[side]]
            if absent:
                notes.append(f"{_classes(absent)} no {side} images, and {why} by this split.")
    return notes


def _notes_on_bins(scheme: Scheme, labels: Labels) -> list[str]:
    if scheme.quantiles is not None and len(labels.classes) < scheme.quantiles:
        return [
            f"{scheme.quantiles} quantiles were asked for; equal values stay together, which leaves "
            f"{counted(len(labels.classes), 'class')}."
        ]
    inner = () if scheme.bins is None else bin_names(scheme.bins)[1:-1]
    empty = [name for name in inner if name not in labels.classes]
    return [f"no image has a value in {listed(map(repr, empty))}."] if empty else []


def _classes(names: list[str]) -> str:
    what = "class" if len(names) == 1 else f"{len(names):,} classes"
    return f"{what} {listed(map(repr, names))} {'has' if len(names) == 1 else 'have'}"
