"""Label schemes: rules that give each image a label, or none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from classifiers.bins import as_numbers, bin_names, binned, normalized_count, normalized_edges, quantile_edges
from classifiers.errors import ExpressionError, SchemeError
from classifiers.expressions import find_column, matches
from classifiers.groups import Groups, grouped, normalized
from classifiers.label_values import Values, label_pattern
from classifiers.labels import Labels
from classifiers.suggestions import counted, listed, suggest
from classifiers.values import as_text, as_texts, given, natural_order

OPTIONS = (
    "from",
    "groups",
    "regex",
    "bins",
    "quantiles",
    "where",
    "drop",
    "classes",
    "multilabel",
    "separator",
)


@dataclass(frozen=True)
class Scheme:
    """A label scheme: values from `source`, then `regex`, `drop`, `groups`, `where`, `bins`, in this order.

    `source`: a column of the images (`folder`, `key`, `labels.coat`, or a bare `coat` for `labels.coat`); with a
    `parent`, the labels of that scheme instead. `regex`: its one group is the label, where it is found. `drop`:
    values, or names of groups, that get no label. `groups`: class → its values, one of them 'rest' for all other
    values. `where`: only images for which the expression holds. `classes`: the order of all classes; without it
    the order of `groups`, else natural order.

    `multilabel`: several labels an image, the values being what stands between `separator`s, or with a `regex` all
    places where it is found. An image without values is not labelled, nor is one that loses all of them to `drop`;
    one whose values are in none of the `groups` is labelled and has none of the labels.

    `bins`: ascending edges; numbers become classes such as `10–100`, which hold their lower edge, and `< 0` or
    `≥ 100` where some lie outside. `quantiles`: that many bins of equal size, fewer where values are equal; their
    edges are those of the images that `labels` gets, and `resolved` keeps them. For messages only: `origin`, the
    file and line that the scheme comes from, and `earlier`, the schemes above it there.
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
    bins: Sequence[float] | None = None
    quantiles: int | None = None
    origin: str = field(default="", compare=False, repr=False)
    earlier: Sequence[str] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.separator:
            raise self._error("separator must be a text such as ';', not an empty one")
        if self.parent is not None and self.parent.multilabel and not self.multilabel:
            raise self._error(
                f"it is made from {self.source!r}, which gives several labels an image: add multilabel: true"
            )
        if sum(option is not None for option in (self.groups, self.bins, self.quantiles)) > 1:
            raise self._error(
                "groups, bins and quantiles exclude one another: group the bins in a second scheme"
            )
        if self.groups is not None:
            object.__setattr__(self, "groups", normalized(self.groups, self.name))
        if self.bins is not None:
            object.__setattr__(self, "bins", normalized_edges(self.bins, self.name))
        if self.quantiles is not None:
            object.__setattr__(self, "quantiles", normalized_count(self.quantiles, self.name))
        object.__setattr__(self, "drop", tuple(as_text(value) for value in self.drop))
        if self.classes is not None:
            object.__setattr__(self, "classes", tuple(as_text(value) for value in self.classes))
        if self.regex is not None:
            label_pattern(self.regex, self.name)

    def labels(self, images: pd.DataFrame, strict: bool = True) -> Labels:
        """The labels of `images`, codes in the order of its rows.

        Raises SchemeError for an unknown column, a bad expression, and, unless `strict` is False (for images
        other than those the scheme was written for), for names that do not occur and fewer than two classes.
        """
        with self._told_by_line():
            values = self._kept(images, strict)
            edges: tuple[float, ...] = ()
            if self.bins is not None or self.quantiles is not None:
                edges, values = self._binned(values, strict)
            order = self._order(values.present(), strict, edges)
            if strict and len(order) < 2:
                left = f"leaves one class, {order[0]!r}," if order else "leaves no labels"
                raise SchemeError(
                    f"scheme {self.name!r} {left} on {counted(len(images), 'image')}: two classes are needed. Check "
                    "from, regex, groups, bins, where and drop."
                )
        return Labels(self.name, order, values.targets(order, self.multilabel), self.separator)

    def resolved(self, images: pd.DataFrame, strict: bool = True) -> Scheme:
        """This scheme with bins in place of quantiles, its own and its parents', as `images` give them.

        A head keeps this one: other images then get the same classes. Raises SchemeError as `labels` does.
        """
        parent = None if self.parent is None else self.parent.resolved(images, strict)
        if self.quantiles is None:
            return self if parent is self.parent else replace(self, parent=parent)
        with self._told_by_line():
            edges, _ = self._binned(self._kept(images, strict), strict)
        return replace(self, parent=parent, quantiles=None, bins=edges)

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
        if self.bins is not None:
            options["bins"] = list(self.bins)
        if self.quantiles is not None:
            options["quantiles"] = self.quantiles
        if self.multilabel:
            options |= {"multilabel": True, "separator": self.separator}
        return options

    @classmethod
    def from_dict(cls, options: Mapping[str, Any]) -> Scheme:
        """The scheme that `to_dict` wrote. Raises SchemeError if it is not one."""
        try:
            parent = options.get("parent")
            groups = options.get("groups")
            regex, where = options.get("regex"), options.get("where")
            lists = [options.get("drop", []), options.get("classes") or []]
            multilabel, separator = options.get("multilabel", False), options.get("separator", ";")
            _check_texts([value for value in (regex, where) if value is not None], [separator], *lists)
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
                bins=options.get("bins"),
                quantiles=options.get("quantiles"),
                regex=regex,
                where=where,
            )
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            raise SchemeError(f"this is no scheme: {error}") from error

    def _kept(self, images: pd.DataFrame, strict: bool) -> Values:
        """The labels of the images, after all options but `classes`."""
        values = self._values(images, strict)
        present = values.present()
        self._check_dropped(present, strict)
        values = values.without(present.intersection(self.drop))
        if self.groups is not None:
            values = replace(values, texts=grouped(values.texts, self.groups, self.name, strict))
            values = values.without(self.groups.keys() & set(self.drop))
        if self.where is not None:
            try:
                values = values.among(matches(self.where, images))
            except ExpressionError as error:
                raise SchemeError(f"scheme {self.name!r}: {error}") from error
        return values

    def _binned(self, values: Values, strict: bool) -> tuple[tuple[float, ...], Values]:
        """The edges of bins or quantiles, and the names of the bins in place of numbers."""
        numbers = as_numbers(values.texts, self.name, self.source, strict)
        edges = tuple(self.bins or quantile_edges(numbers, self.quantiles or 0))
        if not edges:
            raise self._error(f"quantiles needs different numbers, and {self.source!r} has not two of them")
        return edges, values.renamed(binned(numbers, edges))

    def _values(self, images: pd.DataFrame, strict: bool) -> Values:
        """Values of the source, after the regular expression."""
        if self.parent is not None:
            labels = self.parent.labels(images, strict)
            values = Values.of_targets(labels.codes, labels.classes)
        else:
            column = find_column(self.source, images)
            if column is None:
                itself = "it is made from itself: " if self.source == self.name else ""
                near = suggest(self.source, [*self.earlier, *map(str, images.columns)])
                raise self._error(f"{itself}there is no column or earlier scheme {self.source!r}. {near}", "")
            values = Values.of_texts(as_texts(images[column]))
        if self.regex is None:
            return values.split(self.separator) if self.multilabel and not self._parent_splits else values
        found = values.found(label_pattern(self.regex, self.name), self.multilabel)
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

    def _order(self, present: set[str], strict: bool, edges: Sequence[float]) -> tuple[str, ...]:
        """The classes in their order."""
        if self.classes is None:
            if edges:
                return tuple(name for name in bin_names(edges) if name in present)
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

    @contextmanager
    def _told_by_line(self) -> Iterator[None]:
        """Errors of this scheme, not those of a parent, begin with the file and line it comes from."""
        try:
            yield
        except SchemeError as error:
            if not self.origin or not str(error).startswith(f"scheme {self.name!r}"):
                raise
            raise SchemeError(f"{self.origin}, {error}") from error

    def _error(self, what: str, end: str = ".") -> SchemeError:
        return SchemeError(f"scheme {self.name!r}: {what}{end}")


def _check_texts(*lists: object) -> None:
    """Raises TypeError unless each argument is a list of texts."""
    for items in lists:
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise TypeError(f"{items!r} is not a list of texts")
