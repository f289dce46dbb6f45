"""The classes of images while they are regrouped: each edit gives a new scheme, so that undoing is keeping the old."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.errors import SchemeError
from classifiers.labels import Labels, class_names
from classifiers.schemes import Scheme
from classifiers.splits import Rows
from classifiers.suggestions import counted
from classifiers.values import Texts, natural_order

_LONGEST = 200  # characters of a name


@dataclass(frozen=True)
class LiveScheme:
    """Classes and codes (n,), -1 for an image without one; `dropped`: classes that are left out, with their rows.

    Every class has images. Edits raise SchemeError for what cannot be done.
    """

    classes: tuple[str, ...]
    codes: Rows
    dropped: tuple[tuple[str, Rows], ...] = ()

    @classmethod
    def of(cls, labels: Labels) -> LiveScheme:
        """Starts from the labels of a scheme. Raises SchemeError with several labels an image."""
        if labels.multilabel:
            raise SchemeError(
                f"scheme {labels.name!r} gives several labels an image: only schemes of one label can be regrouped. "
                "Start from another one."
            )
        return cls(labels.classes, labels.codes.astype(np.intp))._compact()

    @classmethod
    def empty(cls, images: int) -> LiveScheme:
        """No image has a label."""
        return cls((), np.full(images, -1, np.intp))

    @property
    def counts(self) -> Rows:
        """The number of images of each class."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.classes))

    @property
    def names(self) -> Texts:
        """The class of each image, None for none: (n,)."""
        return class_names(self.classes, self.codes, "")

    def rows(self, code: int) -> Rows:
        """The images of a class."""
        self.name(code)
        return np.flatnonzero(self.codes == code)

    def name(self, code: int) -> str:
        """The name of a class."""
        if not 0 <= code < len(self.classes):
            raise SchemeError(f"there is no class number {code}: the scheme has {len(self.classes)}.")
        return self.classes[code]

    def merged(self, codes: Sequence[int], name: str) -> LiveScheme:
        """Several classes as one, in the place of that of its name, or of the first."""
        members = {code: self.name(code) for code in codes}
        if len(members) < 2:
            raise SchemeError("merging needs two different classes.")
        name = self._new_name(name, besides=[*members])
        place = next((code for code, one in members.items() if one == name), min(members))
        together = np.isin(self.codes, [*members])
        return self._with(np.where(together, place, self.codes), _replaced(self.classes, place, [name]))

    def renamed(self, code: int, name: str) -> LiveScheme:
        """A class under another name."""
        self.name(code)
        return replace(self, classes=_replaced(self.classes, code, [self._new_name(name, besides=[code])]))

    def split(self, code: int, parts: Texts) -> LiveScheme:
        """A class as one for each of the `parts` (m,) of its m images; those without a part keep its name."""
        old, rows = self.name(code), self.rows(code)
        found = sorted({part for part in parts if part is not None}, key=natural_order)
        if len(found) + any(part is None for part in parts) < 2:
            what = (
                f"all its images have the value {found[0]!r}" if found else "none of its images has a value"
            )
            raise SchemeError(f"{old!r} cannot be split so: {what}.")
        others = {*self.classes[:code], *self.classes[code + 1 :], *([old] if None in parts else [])}
        names = {part: _checked(f"{old}: {part}" if part in others else part) for part in found}
        for name in names.values():
            self._new_name(name, besides=[code])
        kept = [old] if None in parts else []
        new = [*kept, *names.values()]
        if len(set(new)) < len(new):
            raise SchemeError(f"{old!r} cannot be split so: two of its parts would have the same name.")
        places = {None: 0, **{part: len(kept) + number for number, part in enumerate(found)}}
        codes = np.where(self.codes > code, self.codes + len(new) - 1, self.codes)
        codes[rows] = code + np.array([places[part] for part in parts], np.intp)
        return self._with(codes, _replaced(self.classes, code, new))

    def without(self, code: int) -> LiveScheme:
        """A class left out; `restored` brings it back."""
        name, rows = self.name(code), self.rows(code)
        codes = self.codes.copy()
        codes[rows] = -1
        return replace(self, codes=codes, dropped=(*self.dropped, (name, rows)))._compact()

    def restored(self, name: str) -> LiveScheme:
        """A class that was left out, back as the last one, or in the class that now has its name."""
        found = [rows for dropped, rows in self.dropped if dropped == name]
        if not found:
            raise SchemeError(f"no class {name!r} was dropped.")
        classes = self.classes if name in self.classes else (*self.classes, name)
        codes = self.codes.copy()
        codes[np.concatenate(found)] = classes.index(name)
        left = tuple(one for one in self.dropped if one[0] != name)
        return LiveScheme(classes, codes, left)

    def relabelled(self, rows: Rows, name: str | None) -> LiveScheme:
        """Some images in another class, which may be new, or in none. Classes that lose all images are gone."""
        classes, code = self.classes, -1
        if name is not None:
            name = _checked(name)
            classes = classes if name in classes else (*classes, name)
            code = classes.index(name)
        codes = self.codes.copy()
        codes[rows] = code
        left = [(one, members[~np.isin(members, rows)]) for one, members in self.dropped]
        dropped = tuple((one, members) for one, members in left if len(members))
        return LiveScheme(classes, codes, dropped)._compact()

    def as_groups(self, name: str, start: Scheme, values: Texts) -> Scheme | None:
        """A scheme that gives these classes by grouping those of `start`, whose labels are `values` (n,).

        None if none does: where images of one value are in several classes, or in some and left out.
        """
        if start.multilabel:
            return None
        table = pd.DataFrame({"value": values, "class": self.names}).drop_duplicates()
        known = table["value"].notna()
        if table.loc[~known, "class"].notna().any() or table.loc[known, "value"].duplicated().any():
            return None
        left_out = table.loc[known & table["class"].isna(), "value"].tolist()
        members = {one: table.loc[table["class"] == one, "value"].tolist() for one in self.classes}
        if not members or any(one in left_out for one in members):  # `drop` would mean the group
            return None
        return Scheme(name, start.name, parent=start, groups=members, drop=left_out)

    def _new_name(self, name: str, besides: Sequence[int]) -> str:
        """A name as it is kept, which no class has but `besides`."""
        name = _checked(name)
        if name in self.classes and self.classes.index(name) not in besides:
            raise SchemeError(f"there is a class {name!r} already: merge the two, or choose another name.")
        return name

    def _with(self, codes: Rows, classes: tuple[str, ...]) -> LiveScheme:
        return replace(self, codes=codes, classes=classes)._compact()

    def _compact(self) -> LiveScheme:
        """Without classes that no image has."""
        kept = np.flatnonzero(self.counts)
        if len(kept) == len(self.classes):
            return self
        place = np.full(len(self.classes) + 1, -1, np.intp)
        place[kept] = np.arange(len(kept))
        return replace(self, classes=tuple(self.classes[i] for i in kept), codes=place[self.codes])


def heirs(before: LiveScheme, after: LiveScheme, *, by_name: bool) -> NDArray[np.bool_]:
    """Which classes of `after` go on from which of `before`: (k before, k after).

    By their names; else by their images: what a merged class was, what a class was split into.
    """
    found = np.zeros((len(before.classes), len(after.classes)), bool)
    if by_name:
        places = {name: code for code, name in enumerate(after.classes)}
        for code, name in enumerate(before.classes):
            if name in places:
                found[code, places[name]] = True
        return found
    both = (before.codes >= 0) & (after.codes >= 0)
    found[before.codes[both], after.codes[both]] = True
    return found


def _replaced(classes: tuple[str, ...], code: int, names: Sequence[str]) -> tuple[str, ...]:
    return (*classes[:code], *names, *classes[code + 1 :])


def _checked(name: str) -> str:
    """A name as it is kept."""
    name = name.strip()
    if not name:
        raise SchemeError("a class needs a name.")
    if len(name) > _LONGEST or not name.isprintable():
        raise SchemeError(f"the name of a class is one line of at most {counted(_LONGEST, 'character')}.")
    return name
