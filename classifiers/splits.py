"""Splits: which images train and which test, seeded by the images' own hashes.

Each image has a position in [0, 1) that depends on the seed and on its bytes alone: the first 8 bytes of
blake2b(seed + hash), over 2^64. It tests where its position is below `test_size`. So the same bytes are always
on one side, an image keeps its side when others are added, and all schemes split alike. Within a class the
share of test images is `test_size` up to chance; only where a class would be missing on one side is its
nearest image moved across.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.errors import SplitError
from classifiers.expressions import find_column
from classifiers.suggestions import counted, listed, suggest
from classifiers.values import as_texts, given

Rows = NDArray[np.intp]
_SIDES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}


@dataclass(frozen=True)
class Split:
    """Rows to train on and rows to test on, both ascending, and sentences on what was left out."""

    name: str
    train: Rows
    test: Rows
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Splitter:
    """Splits the same images for one scheme after another.

    `kind`: 'random', 'folder' (the column `split`, found from folders named train, val, test), the name of
    another column with such values, or 'auto': 'folder' where labelled images have both sides, else 'random'.
    """

    images: pd.DataFrame
    kind: str = "auto"
    test_size: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.test_size < 1:
            raise SplitError(f"test_size is a share between 0 and 1; got {self.test_size!r}.")

    @cached_property
    def hashes(self) -> NDArray[np.intp]:
        """The same number for the same bytes: (n,)."""
        return np.asarray(pd.factorize(self.images["hash"])[0], np.intp)

    @cached_property
    def positions(self) -> NDArray[np.float64]:
        """The position of each image in [0, 1), by its bytes: (n,)."""
        return positions(self.images["hash"], self.seed)

    @cached_property
    def _sides(self) -> dict[str, Any]:
        return {}

    def holdout(self, codes: Rows, classes: tuple[str, ...] = ()) -> Split:
        """Splits the rows with a code of at least 0. `classes` are names for messages. Raises SplitError."""
        codes = np.asarray(codes)
        kind = self.kind
        if kind == "auto":
            kind = "folder" if self._folders_split(codes) else "random"
        split = self._random(codes) if kind == "random" else self._by_column(kind, codes)
        return _checked(split, codes, classes)

    def folds(self, codes: Rows, k: int, classes: tuple[str, ...] = ()) -> list[Split]:
        """k splits that test each labelled row once; fold = floor(k · position), but every class that has k
        different images or more is in every fold. Raises SplitError."""
        codes = np.asarray(codes)
        if not isinstance(k, int | np.integer) or k < 2:
            raise SplitError(f"cross-validation needs 2 folds or more; got {k!r}.")
        _check_fold_sizes(codes, self.hashes, k, classes)
        fold = np.minimum((self.positions * k).astype(np.intp), k - 1)
        for code in np.unique(codes[codes >= 0]):
            self._fill_folds(fold, codes == code, k)
        labelled = codes >= 0
        return [
            Split(
                f"fold {i + 1} of {k}",
                np.flatnonzero(labelled & (fold != i)),
                np.flatnonzero(labelled & (fold == i)),
            )
            for i in range(k)
        ]

    def _fill_folds(self, fold: Rows, members: NDArray[np.bool_], k: int) -> None:
        """Moves images of one class, the last of the fullest fold first, into folds that have none of it."""
        firsts = self._firsts(members)
        for empty in range(k):
            counts = np.bincount(fold[firsts], minlength=k)
            if counts[empty]:
                continue
            moved = firsts[fold[firsts] == counts.argmax()][-1]
            fold[self.hashes == self.hashes[moved]] = empty

    def _firsts(self, members: NDArray[np.bool_]) -> Rows:
        """One row for each of the members' different images, by ascending position."""
        rows = np.flatnonzero(members)
        _, first = np.unique(self.hashes[rows], return_index=True)
        rows = rows[first]
        return rows[np.argsort(self.positions[rows], kind="stable")]

    def _random(self, codes: Rows) -> Split:
        testing = self.positions < self.test_size
        single = []
        for code in np.unique(codes[codes >= 0]):
            firsts = self._firsts(codes == code)
            if len(firsts) == 1:
                testing[self.hashes == self.hashes[firsts[0]]] = False
                single.append(code)
            elif not testing[firsts].any():
                testing[self.hashes == self.hashes[firsts[0]]] = True
            elif testing[firsts].all():
                testing[self.hashes == self.hashes[firsts[-1]]] = False
        labelled = codes >= 0
        name = f"random, {self.test_size:g} for testing, seed {self.seed}"
        return Split(name, np.flatnonzero(labelled & ~testing), np.flatnonzero(labelled & testing))

    def _column_sides(self, column: str) -> NDArray[np.object_]:
        if column not in self._sides:
            self._sides[column] = _read_sides(self.images, column)
        sides: NDArray[np.object_] = self._sides[column]
        return sides

    def _folders_split(self, codes: Rows) -> bool:
        if "split" not in self.images.columns:
            return False
        here = set(self._column_sides("split")[codes >= 0])
        return "train" in here and bool(here & {"val", "test"})

    def _by_column(self, kind: str, codes: Rows) -> Split:
        name = "split" if kind == "folder" else kind
        column = find_column(name, self.images)
        if column is None:
            raise SplitError(
                f"there is no column {name!r} to split by. {suggest(name, map(str, self.images.columns))}"
            )
        sides = self._column_sides(column)
        labelled = codes >= 0
        testing = "test" if (labelled & (sides == "test")).any() else "val"
        train, test = labelled & (sides == "train"), labelled & (sides == testing)
        if not train.any() or not test.any():
            missing = "training" if not train.any() else "val or test"
            among = counted(int(labelled.sum()), "labelled image")
            raise SplitError(
                f"the column {column!r} gives no {missing} images among {among}. "
                "Use the random split, or folders train/ and val/ or test/."
            )
        twice = train & np.isin(self.hashes, self.hashes[test])
        notes = []
        if twice.any():
            notes.append(
                f"{counted(int(twice.sum()), 'training image')} left out: the same bytes are among the test images."
            )
        unused = int((labelled & ~train & ~test).sum())
        if unused:
            notes.append(f"{counted(unused, 'labelled image')} unused: not train or {testing} in {column!r}.")
        return Split(
            f"{column}: train, {testing}", np.flatnonzero(train & ~twice), np.flatnonzero(test), tuple(notes)
        )


def holdout(
    images: pd.DataFrame, codes: Rows, kind: str = "auto", test_size: float = 0.2, seed: int = 0
) -> Split:
    """One split into training and test rows of `images`; rows with code -1 are on neither side. Raises SplitError."""
    return Splitter(images, kind, test_size, seed).holdout(codes)


def folds(images: pd.DataFrame, codes: Rows, k: int, seed: int = 0) -> list[Split]:
    """k splits that test each labelled row of `images` once. Raises SplitError."""
    return Splitter(images, seed=seed).folds(codes, k)


def positions(hashes: pd.Series[str], seed: int) -> NDArray[np.float64]:
    """The place of each image in [0, 1), by its hash (hex digits) and the seed: (n,)."""
    start = int(seed).to_bytes(8, "little", signed=True)
    codes, uniques = pd.factorize(hashes)
    digests = [hashlib.blake2b(start + bytes.fromhex(one), digest_size=8).digest() for one in uniques]
    numbers = np.frombuffer(b"".join(digests), ">u8")
    # The top 53 bits: a float64 holds them exactly, so that the largest stays below 1.
    places: NDArray[np.float64] = ((numbers >> 11) / 2.0**53)[codes]
    return places


def _read_sides(images: pd.DataFrame, column: str) -> NDArray[np.object_]:
    """'train', 'val', 'test' or None for each image. Raises SplitError for other values."""
    texts = as_texts(images[column])
    known = {text: _SIDES.get(text.strip().lower()) for text in set(given(texts))}
    strange = sorted(text for text, side in known.items() if side is None)
    if strange:
        raise SplitError(
            f"the column {column!r} cannot split the images: it has the values {listed(map(repr, strange))}; "
            "train, val, valid, validation and test are understood."
        )
    return np.array([known.get(text) for text in texts], object)


def _checked(split: Split, codes: Rows, classes: tuple[str, ...]) -> Split:
    """Leaves out test images of classes that have none to train on, and notes classes that have none to test on."""
    names = {int(code): classes[code] if classes else str(code) for code in np.unique(codes[codes >= 0])}
    trained, tested = set(codes[split.train].tolist()), set(codes[split.test].tolist())
    if len(trained) < min(2, len(names)):
        one = ", ".join(repr(names[code]) for code in trained) or "none"
        raise SplitError(
            f"the split {split.name!r} leaves one class to train on ({one}): two are needed. Use the random split."
        )
    untrained = [names[code] for code in sorted(tested - trained)]
    if untrained:
        known = np.isin(codes[split.test], list(trained))
        note = (
            f"{counted(int((~known).sum()), 'test image')} left out: there are no training images of "
            f"{listed(map(repr, untrained))}."
        )
        split = Split(split.name, split.train, split.test[known], (*split.notes, note))
    if not len(split.test):
        raise SplitError(f"the split {split.name!r} leaves no test images: every class has one image only.")
    untested = [names[code] for code in sorted(trained - tested)]
    if untested:
        note = f"no test images of {listed(map(repr, untested))}."
        return Split(split.name, split.train, split.test, (*split.notes, note))
    return split


def _check_fold_sizes(codes: Rows, hashes: Rows, k: int, classes: tuple[str, ...]) -> None:
    for code in np.unique(codes[codes >= 0]):
        different = len(np.unique(hashes[codes == code]))
        if different < k:
            name = classes[code] if classes else str(code)
            raise SplitError(
                f"the class {name!r} has {counted(different, 'different image')}, fewer than the {k} folds. "
                f"Use at most {different} folds, or drop or group the class."
                if different > 1
                else f"the class {name!r} has one image, too few for {k} folds. Drop or group the class."
            )
