"""Splits: which images train and which test, seeded by the images' own hashes.

Each image has a position in [0, 1) that depends on the seed and on its bytes alone: the first 8 bytes of
blake2b(seed + hash), over 2^64. It tests where its position is below `test_size`. So the same bytes are always
on one side, an image keeps its side when others are added, and all schemes split alike. Within a class the
share of test images is `test_size` up to chance; only where a class would be missing on one side is its
nearest image moved across.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.errors import SplitError
from classifiers.expressions import find_column
from classifiers.suggestions import counted, listed, suggest
from classifiers.targets import Targets, labelled, members, occurring
from classifiers.values import Texts, as_texts, given
from store.folders import SPLITS

Rows = NDArray[np.intp]


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
    `group`: a column whose equal values (one animal, one scene) never are on both sides of a random split or of
    folds; images without a value stand for themselves. A photo that is listed in two groups counts to the first.
    """

    images: pd.DataFrame
    kind: str = "auto"
    test_size: float = 0.2
    seed: int = 0
    group: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.test_size < 1:
            raise SplitError(f"test_size is a share between 0 and 1; got {self.test_size!r}.")

    @cached_property
    def hashes(self) -> NDArray[np.intp]:
        """The same number for the same bytes: (n,)."""
        return np.asarray(pd.factorize(self.images["hash"])[0], np.intp)

    @cached_property
    def units(self) -> NDArray[np.intp]:
        """The same number for what stays on one side, the same bytes and the same group: (n,)."""
        return np.asarray(pd.factorize(self._names)[0], np.intp)

    @cached_property
    def positions(self) -> NDArray[np.float64]:
        """The position of each image in [0, 1), by its bytes or its group: (n,)."""
        return positions(self._names, self.seed)

    @cached_property
    def groups(self) -> Texts | None:
        """The group of each image, None for none: (n,); None without a column `group`. Raises SplitError."""
        return None if self.group is None else group_values(self.images, self.group)

    @cached_property
    def _names(self) -> pd.Series[str]:
        """The group, or else the hash, of each image; copies of the same bytes have that of the first one."""
        if self.groups is None:
            return self.images["hash"]
        texts = [None if text is None else text.encode().hex() for text in self.groups]
        names = pd.Series(texts, index=self.images.index, dtype=object)
        return names.groupby(self.images["hash"]).transform("first").fillna(self.images["hash"])

    @cached_property
    def _sides(self) -> dict[str, Any]:
        return {}

    def holdout(self, codes: Targets, classes: tuple[str, ...] = ()) -> Split:
        """Splits the labelled rows (see classifiers.targets). `classes` are names for messages. Raises SplitError."""
        codes = np.asarray(codes)
        kind = self.kind
        if kind == "auto":
            kind = "folder" if self._folders_split(codes) else "random"
        split = self._random(codes) if kind == "random" else self._by_column(kind, codes)
        return _checked(self._once(split, codes), codes, classes)

    def folds(self, codes: Targets, k: int, classes: tuple[str, ...] = ()) -> list[Split]:
        """k splits that test each labelled image once; fold = floor(k · position), but every class that has k
        different images or more is in every fold. Raises SplitError for a class that has fewer; of several labels an
        image some may have fewer."""
        codes = np.asarray(codes)
        if not isinstance(k, int | np.integer) or k < 2:
            raise SplitError(f"cross-validation needs 2 folds or more; got {k!r}.")
        fold = np.minimum((self.positions * k).astype(np.intp), k - 1)
        rare = []
        for code, rows in members(codes):
            firsts = self._firsts(rows)
            if len(firsts) >= k:
                self._fill_folds(fold, firsts, k)
            elif codes.ndim == 1:
                raise self._too_few(len(firsts), k, classes[code] if classes else str(code))
            else:
                rare.append(repr(classes[code] if classes else str(code)))
        parts = []
        for i in range(k):
            train, test = labelled(codes) & (fold != i), labelled(codes) & (fold == i)
            split = Split(f"fold {i + 1} of {k}", np.flatnonzero(train), np.flatnonzero(test))
            if not len(split.train) or not len(split.test):
                raise SplitError(
                    f"there are too few different images for {k} folds: one is empty. Use fewer."
                )
            parts.append(self._once(split, codes))
        if rare:
            note = f"not in every one of the {k} folds, for want of images: {listed(sorted(rare))}."
            parts[0] = replace(parts[0], notes=(*parts[0].notes, note))
        return parts

    def _too_few(self, different: int, k: int, name: str) -> SplitError:
        what = "image" if self.group is None else "group"
        return SplitError(
            f"the class {name!r} has {counted(different, f'different {what}')}, fewer than the {k} folds. "
            f"Use at most {different} folds, or drop or group the class."
            if different > 1
            else f"the class {name!r} has one {what}, too few for {k} folds. Drop or group the class."
        )

    def _fill_folds(self, fold: Rows, firsts: Rows, k: int) -> None:
        """Moves images of one class, the last of the fullest fold first, into folds that have none of it."""
        for empty in range(k):
            counts = np.bincount(fold[firsts], minlength=k)
            if counts[empty]:
                continue
            moved = firsts[fold[firsts] == counts.argmax()][-1]
            fold[self.units == self.units[moved]] = empty

    def _firsts(self, rows: Rows) -> Rows:
        """One row for each of the different units of some rows, by ascending position."""
        _, first = np.unique(self.units[rows], return_index=True)
        rows = rows[first]
        return rows[np.argsort(self.positions[rows], kind="stable")]

    def _random(self, codes: Targets) -> Split:
        testing = self.positions < self.test_size
        for _, rows in members(codes):
            firsts = self._firsts(rows)
            if len(firsts) == 1:
                testing[self.units == self.units[firsts[0]]] = False
            elif not testing[firsts].any():
                testing[self.units == self.units[firsts[0]]] = True
            elif testing[firsts].all():
                testing[self.units == self.units[firsts[-1]]] = False
        here = labelled(codes)
        by = f", by {self.group}" if self.group else ""
        name = f"random{by}, {self.test_size:g} for testing, seed {self.seed}"
        return Split(name, np.flatnonzero(here & ~testing), np.flatnonzero(here & testing))

    def _once(self, split: Split, codes: Targets) -> Split:
        """The split with each image once on its side, the first of its names."""
        train, test = (once(self.hashes, side) for side in (split.train, split.test))
        copies = len(split.train) + len(split.test) - len(train) - len(test)
        if not copies:
            return split
        note = f"{counted(copies, 'other name')} of the same bytes left out: each image counts once"
        both = np.concatenate([split.train, split.test])
        first = pd.Series(both).groupby(self.hashes[both]).transform("min").to_numpy()
        differ = (codes[both] != codes[first]).reshape(len(both), -1).any(axis=1)
        if differ.any():
            note += f", with the label of its first name; {int(differ.sum()):,} had another label"
        return Split(split.name, train, test, (*split.notes, f"{note}."))

    def sides(self, column: str) -> NDArray[np.object_]:
        """'train', 'val', 'test' or None for each image, as a column says: (n,). Raises SplitError."""
        if column not in self._sides:
            self._sides[column] = _read_sides(self.images, column)
        sides: NDArray[np.object_] = self._sides[column]
        return sides

    def _folders_split(self, codes: Targets) -> bool:
        if "split" not in self.images.columns:
            return False
        here = set(self.sides("split")[labelled(codes)])
        return "train" in here and bool(here & {"val", "test"})

    def _by_column(self, kind: str, codes: Targets) -> Split:
        name = "split" if kind == "folder" else kind
        column = find_column(name, self.images)
        if column is None:
            raise SplitError(
                f"there is no column {name!r} to split by. {suggest(name, map(str, self.images.columns))}"
            )
        sides = self.sides(column)
        here = labelled(codes)
        testing = "test" if (here & (sides == "test")).any() else "val"
        train, test = here & (sides == "train"), here & (sides == testing)
        if not train.any() or not test.any():
            missing = "training" if not train.any() else "val or test"
            among = counted(int(here.sum()), "labelled image")
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
        unused = int((here & ~train & ~test).sum())
        if unused:
            notes.append(f"{counted(unused, 'labelled image')} unused: not train or {testing} in {column!r}.")
        return Split(
            f"{column}: train, {testing}", np.flatnonzero(train & ~twice), np.flatnonzero(test), tuple(notes)
        )


def positions(hashes: pd.Series[str], seed: int) -> NDArray[np.float64]:
    """The place of each image in [0, 1), by its hash (hex digits) and the seed: (n,)."""
    start = int(seed).to_bytes(8, "little", signed=True)
    codes, uniques = pd.factorize(hashes)
    digests = [hashlib.blake2b(start + bytes.fromhex(one), digest_size=8).digest() for one in uniques]
    numbers = np.frombuffer(b"".join(digests), ">u8")
    # The top 53 bits: a float64 holds them exactly, so that the largest stays below 1.
    places: NDArray[np.float64] = ((numbers >> 11) / 2.0**53)[codes]
    return places


def once(hashes: NDArray[np.intp], rows: Rows) -> Rows:
    """The first of the ascending `rows` for each different one of their `hashes`."""
    return np.sort(rows[np.unique(hashes[rows], return_index=True)[1]])


def group_values(images: pd.DataFrame, column: str) -> Texts:
    """The group of each image, None for none: (n,). Raises SplitError for an unknown column."""
    found = find_column(column, images)
    if found is None:
        raise SplitError(
            f"there is no column {column!r} to group by. {suggest(column, map(str, images.columns))}"
        )
    return as_texts(images[found])


def _read_sides(images: pd.DataFrame, column: str) -> NDArray[np.object_]:
    """'train', 'val', 'test' or None for each image. Raises SplitError for other values."""
    texts = as_texts(images[column])
    known = {text: SPLITS.get(text.strip().lower()) for text in set(given(texts))}
    strange = sorted(text for text, side in known.items() if side is None)
    if strange:
        raise SplitError(
            f"the column {column!r} cannot split the images: it has the values {listed(map(repr, strange))}; "
            f"{', '.join(SPLITS)} are understood."
        )
    return np.array([known.get(text) for text in texts], object)


def _checked(split: Split, codes: Targets, classes: tuple[str, ...]) -> Split:
    """Leaves out test images of classes that have none to train on, and notes classes that have none to test on.

    Of several labels an image those that cannot be learned are only noted: the image may have others.
    """
    names = {int(code): classes[code] if classes else str(code) for code in occurring(codes)}
    trained, tested = (set(occurring(codes[side]).tolist()) for side in (split.train, split.test))
    if len(trained) < min(2, len(names)):
        one = ", ".join(repr(names[code]) for code in trained) or "none"
        raise SplitError(
            f"the split {split.name!r} leaves one class to train on ({one}): two are needed. Use the random split."
        )
    untrained = listed(repr(names[code]) for code in sorted(tested - trained))
    test, notes = split.test, list(split.notes)
    if untrained and codes.ndim == 1:
        test = test[np.isin(codes[test], list(trained))]
        left = counted(len(split.test) - len(test), "test image")
        notes.append(f"{left} left out: there are no training images of {untrained}.")
    elif untrained:
        notes.append(f"no training images of {untrained}.")
    if not len(test):
        raise SplitError(f"the split {split.name!r} leaves no test images: every class has one image only.")
    untested = listed(repr(names[code]) for code in sorted(trained - tested))
    if untested:
        notes.append(f"no test images of {untested}.")
    return Split(split.name, split.train, test, tuple(notes))
