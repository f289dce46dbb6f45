"""Label schemes: rules that give each image a label, or none."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.errors import ExpressionError, SchemeError
from classifiers.expressions import find_column, matches
from classifiers.groups import Groups, grouped, normalized
from classifiers.suggestions import counted, listed, suggest
from classifiers.values import Texts, as_text, as_texts, given, natural_order

OPTIONS = ("from", "groups", "regex", "where", "drop", "classes", "multilabel", "separator")
SIDES = frozenset(("train", "training", "val", "valid", "validation", "test"))


@dataclass(frozen=True)
class Labels:
    """The labels that a scheme gives to n images: codes[i] is an index into `classes`, or -1 for no label."""

    name: str
    classes: tuple[str, ...]
    codes: NDArray[np.intp]

    def names(self) -> Texts:
        """The class name of each image, None for no label: (n,) object."""
        names: Texts = np.array([*self.classes, None], object)[self.codes]
        return names


@dataclass(frozen=True)
class Scheme:
    """A label scheme: values from `source`, then `regex`, `drop`, `groups`, `where`, in this order.

    `source`: a column of the images (`folder`, `key`, `labels.coat`, or a bare `coat` for `labels.coat`); with a
    `parent`, the labels of that scheme instead. `regex`: its one group is the label, where it is found. `drop`:
    values, or names of groups, that get no label. `groups`: class → its values, one of them 'rest' for all other
    values. `where`: only images for which the expression holds. `classes`: the order of all classes; without it
    the order of `groups`, else natural order.
    """

    name: str
    source: str
    parent: Scheme | None = None
    groups: Groups | None = None
    regex: str | None = None
    where: str | None = None
    drop: Sequence[str] = ()
    classes: Sequence[str] | None = None

    def __post_init__(self) -> None:
        if self.groups is not None:
            object.__setattr__(self, "groups", normalized(self.groups, self.name))
        object.__setattr__(self, "drop", tuple(as_text(value) for value in self.drop))
        if self.classes is not None:
            object.__setattr__(self, "classes", tuple(as_text(value) for value in self.classes))
        if self.regex is not None:
            _compiled(self.regex, self.name)

    def labels(self, images: pd.DataFrame, strict: bool = True) -> Labels:
        """The labels of `images`, codes in the order of its rows.

        Raises SchemeError for an unknown column, a bad expression, and, unless `strict` is False (for images
        other than those the scheme was written for), for names that do not occur and fewer than two classes.
        """
        texts = self._texts(images, strict)
        present = set(given(texts))
        order = self._order(present, strict)
        position = {name: code for code, name in enumerate(order)}
        codes = np.array([position.get(text, -1) for text in texts], np.intp)
        if strict and len(order) < 2:
            left = f"leaves one class, {order[0]!r}," if order else "leaves no labels"
            raise self._error(
                f"{left} on {counted(len(images), 'image')}: two classes are needed. Check "
                "from, regex, groups, where and drop"
            )
        return Labels(self.name, order, codes)

    @staticmethod
    def from_groups(values: pd.Series[Any], groups: Groups) -> pd.Series[Any]:
        """The group of each value, a Series with the index of `values`; missing where no group has the value.

        `groups` is class → list of values, or 'rest' for everything not named. Missing values stay missing.
        Raises SchemeError, naming the nearest, if a group names a value that does not occur.
        """
        values = pd.Series(values)
        names = grouped(as_texts(values), normalized(groups, "groups"), "groups", strict=True)
        return pd.Series(names, index=values.index, name=values.name, dtype=object)

    def to_dict(self) -> dict[str, Any]:
        """The scheme as plain JSON values; `from_dict` reads it."""
        options: dict[str, Any] = {"name": self.name, "from": self.source}
        if self.parent is not None:
            options["parent"] = self.parent.to_dict()
        for option in ("regex", "where"):
            if getattr(self, option) is not None:
                options[option] = getattr(self, option)
        if self.groups is not None:
            options["groups"] = [[k, v if isinstance(v, str) else list(v)] for k, v in self.groups.items()]
        if self.drop:
            options["drop"] = list(self.drop)
        if self.classes is not None:
            options["classes"] = list(self.classes)
        return options

    @classmethod
    def from_dict(cls, options: Mapping[str, Any]) -> Scheme:
        """The scheme that `to_dict` wrote. Raises SchemeError if it is not one."""
        try:
            parent = options.get("parent")
            groups = options.get("groups")
            texts = {key: options.get(key) for key in ("regex", "where")}
            lists = [options.get("drop", []), options.get("classes") or []]
            _check_texts([value for value in texts.values() if value is not None], *lists)
            return cls(
                name=str(options["name"]),
                source=str(options["from"]),
                parent=None if parent is None else cls.from_dict(parent),
                groups=None if groups is None else dict(groups),
                drop=tuple(options.get("drop", ())),
                classes=options.get("classes"),
                **texts,
            )
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            raise SchemeError(f"this is no scheme: {error}") from error

    def _texts(self, images: pd.DataFrame, strict: bool) -> Texts:
        """The label of each image, None for none."""
        texts = self._values(images, strict)
        present = set(given(texts))
        dropped = [value for value in self.drop if value in present]
        self._check_dropped(present, strict)
        texts = _without(texts, np.isin(texts, dropped))
        if self.groups is not None:
            texts = grouped(texts, self.groups, self.name, strict)
            groups_dropped = [value for value in self.drop if value in self.groups]
            texts = _without(texts, np.isin(texts, groups_dropped))
        if self.where is not None:
            try:
                texts = _without(texts, ~matches(self.where, images))
            except ExpressionError as error:
                raise SchemeError(f"scheme {self.name!r}: {error}") from error
        return texts

    def _values(self, images: pd.DataFrame, strict: bool) -> Texts:
        """Values of the source, after the regular expression."""
        if self.parent is not None:
            texts = self.parent.labels(images, strict).names()
        else:
            column = find_column(self.source, images)
            if column is None:
                raise self._error(
                    f"there is no column or earlier scheme {self.source!r}. {suggest(self.source, _sources(images))}",
                    "",
                )
            texts = as_texts(images[column])
        if self.regex is None:
            return texts
        pattern = _compiled(self.regex, self.name)
        found = np.array([_first_group(pattern, text) for text in texts], object)
        if strict and not any(value is not None for value in found):
            example = next((text for text in texts if text is not None), None)
            raise self._error(
                f"its regex {self.regex!r} is found in none of {counted(len(texts), 'value')} of {self.source!r}, "
                f"such as {example!r}"
            )
        return found

    def _check_dropped(self, present: set[str], strict: bool) -> None:
        for value in self.drop:
            if strict and value not in present and value not in (self.groups or ()):
                raise self._error(
                    f"drop names {value!r}, which is no value of {self.source!r}. {suggest(value, present)}",
                    "",
                )

    def _order(self, present: set[str], strict: bool) -> tuple[str, ...]:
        """The classes in their order."""
        if self.classes is None:
            if self.groups is None:
                return tuple(sorted(present, key=natural_order))
            empty = [group for group in self.groups if group not in present and group not in self.drop]
            if strict and empty and present:
                raise self._error(f"group {empty[0]!r} is empty: no image that remains has one of its values")
            return tuple(
                group for group in self.groups if group in present or (not strict and group not in self.drop)
            )
        unlisted = sorted(present - set(self.classes), key=natural_order)
        absent = [name for name in self.classes if name not in present]
        if strict and unlisted:
            raise self._error(
                f"classes does not list {listed(map(repr, unlisted))}; list all classes, or drop some"
            )
        if strict and absent:
            raise self._error(
                f"classes lists {absent[0]!r}, which no image has. {suggest(absent[0], present)}", ""
            )
        return (*self.classes, *unlisted)

    def _error(self, what: str, end: str = ".") -> SchemeError:
        return SchemeError(
            f"scheme {self.name!r}: {what}{end}"
            if not what.startswith("leaves")
            else f"scheme {self.name!r} {what}{end}"
        )


def default_schemes(images: pd.DataFrame) -> tuple[dict[str, Scheme], list[str]]:
    """Schemes for `folder` and every column of attached label tables, and a sentence for each one left out.

    Left out are columns with fewer than two values, and those where more than half of the values are distinct:
    ids and measurements.
    """
    schemes, notes = {}, []
    for column in ["folder", *(str(name) for name in images.columns if str(name).startswith("labels."))]:
        if column not in images.columns:
            continue
        texts = given(as_texts(images[column]))
        distinct = len(set(texts))
        name = column.removeprefix("labels.")
        name = column if name in schemes else name
        if column == "labels.split" and SIDES.issuperset(text.lower() for text in texts):
            notes.append(f"column {column!r} is no scheme: it splits the images.")
        elif distinct < 2:
            found = f"only the value {texts[0]!r}" if distinct else "no values"
            notes.append(f"column {column!r} is no scheme: it has {found}.")
        elif distinct > len(texts) / 2:
            notes.append(
                f"column {column!r} is no scheme: {distinct:,} of its {len(texts):,} values are distinct."
            )
        else:
            schemes[name] = Scheme(name, column)
    return schemes, notes


def _check_texts(*lists: object) -> None:
    """Raises TypeError unless each argument is a list of texts."""
    for items in lists:
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise TypeError(f"{items!r} is not a list of texts")


def _without(texts: Texts, rows: NDArray[np.bool_]) -> Texts:
    """A copy of `texts` with no label in `rows`."""
    left = texts.copy()
    left[rows] = None
    return left


def _compiled(regex: str, name: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(regex)
    except (re.error, RecursionError, OverflowError) as error:
        raise SchemeError(f"scheme {name!r}: cannot read the regex {regex!r}: {error}.") from error
    if pattern.groups != 1:
        raise SchemeError(
            f"scheme {name!r}: the regex {regex!r} has {counted(pattern.groups, 'group')}; "
            "put brackets around the one part that is the label."
        )
    return pattern


def _first_group(pattern: re.Pattern[str], text: str | None) -> str | None:
    match = pattern.search(text) if text is not None else None
    return (match[1] or None) if match else None


def _sources(images: pd.DataFrame) -> list[str]:
    return [str(column) for column in images.columns]
