"""Label schemes: rules that give each image a label, or none."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from classifiers.errors import ExpressionError, SchemeError
from classifiers.expressions import find_column, matches
from classifiers.groups import Groups, grouped, normalized
from classifiers.label_values import Values
from classifiers.labels import Labels
from classifiers.suggestions import counted, listed, suggest
from classifiers.values import as_text, as_texts, given, natural_order

OPTIONS = ("from", "groups", "regex", "where", "drop", "classes", "multilabel", "separator")
SIDES = frozenset(("train", "training", "val", "valid", "validation", "test"))


@dataclass(frozen=True)
class Scheme:
    """A label scheme: values from `source`, then `regex`, `drop`, `groups`, `where`, in this order.

    `source`: a column of the images (`folder`, `key`, `labels.coat`, or a bare `coat` for `labels.coat`); with a
    `parent`, the labels of that scheme instead. `regex`: its one group is the label, where it is found. `drop`:
    values, or names of groups, that get no label. `groups`: class → its values, one of them 'rest' for all other
    values. `where`: only images for which the expression holds. `classes`: the order of all classes; without it
    the order of `groups`, else natural order.

    `multilabel`: several labels an image, the values being what stands between `separator`s, or with a `regex` all
    places where it is found. An image without values is not labelled, nor is one that loses all of them to `drop`;
    one whose values are in none of the `groups` is labelled and has none of the labels.
    """

    name: str
    source: str
    parent: Scheme | None = None
    groups: Groups | None = None
    regex: str | None = None
    where: str | None = None
    drop: Sequence[str] = ()
    classes: Sequence[str] | None = None
    multilabel: bool = False
    separator: str = ";"

    def __post_init__(self) -> None:
        if not self.separator:
            raise self._error("separator must be a text such as ';', not an empty one")
        if self.parent is not None and self.parent.multilabel and not self.multilabel:
            raise self._error(
                f"it is made from {self.source!r}, which gives several labels an image: add multilabel: true"
            )
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
        values = self._kept(images, strict)
        order = self._order(values.present(), strict)
        if strict and len(order) < 2:
            left = f"leaves one class, {order[0]!r}," if order else "leaves no labels"
            raise self._error(
                f"{left} on {counted(len(images), 'image')}: two classes are needed. Check "
                "from, regex, groups, where and drop"
            )
        return Labels(self.name, order, values.targets(order, self.multilabel), self.separator)

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
        if self.multilabel:
            options |= {"multilabel": True, "separator": self.separator}
        return options

    @classmethod
    def from_dict(cls, options: Mapping[str, Any]) -> Scheme:
        """The scheme that `to_dict` wrote. Raises SchemeError if it is not one."""
        try:
            parent = options.get("parent")
            groups = options.get("groups")
            texts = {key: options.get(key) for key in ("regex", "where")}
            lists = [options.get("drop", []), options.get("classes") or []]
            multilabel, separator = options.get("multilabel", False), options.get("separator", ";")
            _check_texts([value for value in texts.values() if value is not None], [separator], *lists)
            if not isinstance(multilabel, bool):
                raise TypeError(f"multilabel is {multilabel!r}, not true or false")
            return cls(
                name=str(options["name"]),
                source=str(options["from"]),
                parent=None if parent is None else cls.from_dict(parent),
                groups=None if groups is None else dict(groups),
                drop=tuple(options.get("drop", ())),
                classes=options.get("classes"),
                multilabel=multilabel,
                separator=separator,
                **texts,
            )
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            raise SchemeError(f"this is no scheme: {error}") from error

    def _kept(self, images: pd.DataFrame, strict: bool) -> Values:
        """The labels of the images, after all options but `classes`."""
        values = self._values(images, strict)
        present = values.present()
        self._check_dropped(present, strict)
        values = values.without(np.isin(values.texts, [value for value in self.drop if value in present]))
        if self.groups is not None:
            values = replace(values, texts=grouped(values.texts, self.groups, self.name, strict))
            values = values.without(
                np.isin(values.texts, [value for value in self.drop if value in self.groups])
            )
        if self.where is not None:
            try:
                values = values.among(matches(self.where, images))
            except ExpressionError as error:
                raise SchemeError(f"scheme {self.name!r}: {error}") from error
        return values

    def _values(self, images: pd.DataFrame, strict: bool) -> Values:
        """Values of the source, after the regular expression."""
        if self.parent is not None:
            labels = self.parent.labels(images, strict)
            values = Values.of_targets(labels.codes, labels.classes)
        else:
            column = find_column(self.source, images)
            if column is None:
                raise self._error(
                    f"there is no column or earlier scheme {self.source!r}. {suggest(self.source, _sources(images))}",
                    "",
                )
            values = Values.of_texts(as_texts(images[column]))
        if self.regex is None:
            return values.split(self.separator) if self.multilabel and not self._parent_splits else values
        found = values.found(_compiled(self.regex, self.name), self.multilabel)
        if strict and not found.present():
            example = next(iter(given(values.texts)), None)
            raise self._error(
                f"its regex {self.regex!r} is found in none of {counted(len(values.texts), 'value')} of "
                f"{self.source!r}, such as {example!r}"
            )
        return found

    @property
    def _parent_splits(self) -> bool:
        return self.parent is not None and self.parent.multilabel

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


def _sources(images: pd.DataFrame) -> list[str]:
    return [str(column) for column in images.columns]
