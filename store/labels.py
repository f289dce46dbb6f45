"""Label tables: kept beside the vectors, joined to images when they are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.errors import LabelTableError

JOINS = ("key", "name", "hash")
HISTORY_COLUMN = "explorer_history"  # of labels given by hand: who, when, what; JSON, and no labels itself
_USUAL_COLUMNS = {
    "key": ("key", "path", "file", "filename", "image"),
    "name": ("name", "filename", "file", "image", "path", "key"),
    "hash": ("hash",),
}


@dataclass(frozen=True)
class LabelTable:
    """Labels of images.

    on: what the rows are joined by: `key`, `name` (the last part of the key) or `hash`. source: the only
    source whose images are meant, or None for all. table: the first column, `on`, holds the join values,
    each once; the others are labels.
    """

    name: str
    on: str
    source: str | None
    table: pd.DataFrame

    @property
    def columns(self) -> list[str]:
        """The names of the label columns."""
        return [str(column) for column in self.table.columns[1:]]

    def match(self, images: pd.DataFrame) -> pd.Series[int]:
        """The row of this table for each image, missing where there is none."""
        wanted = images["key"].str.rsplit("/", n=1).str[-1] if self.on == "name" else images[self.on]
        rows = wanted.map(pd.Series(range(len(self.table)), index=self.table[self.on]))
        return rows if self.source is None else rows.where(images["source"] == self.source)


@dataclass(frozen=True)
class Conflict:
    """Two rows with the same join value and different labels.

    rows: their numbers, from 1. column: the first that differs. labels: what they have there, '' for nothing.
    """

    value: str
    rows: tuple[int, int]
    column: str
    labels: tuple[str, str]


@dataclass(frozen=True)
class Repeats:
    """Rows whose join value came before in the table.

    equal: how many say the same as an earlier one. conflicts: one for each join value with different labels.
    """

    equal: int
    conflicts: list[Conflict]


@dataclass(frozen=True)
class JoinReport:
    """How a label table fits the images: what did not match, on both sides.

    ambiguous: the names that several images have, in a table that is joined by name: all of them get the labels.
    """

    matched: int
    images_without_row: list[str]
    rows_without_image: list[str]
    ambiguous: list[str]


def make_label_table(
    name: str, table: pd.DataFrame, on: str = "key", source: str | None = None, column: str | None = None
) -> tuple[LabelTable, Repeats]:
    """A label table out of any table, and what it says more than once (of a conflict the first row counts).

    column: the one that holds the join values; by default the first usual name for them, such as `path`. Rows
    without a join value are left out. Raises LabelTableError.
    """
    if on not in JOINS:
        raise LabelTableError(f"cannot join on {on!r}: expected one of {', '.join(JOINS)}.")
    table = _with_join_first(name, table.rename(columns=lambda title: str(title).strip()), on, column)
    for other in table.columns[1:]:
        table[other] = _as_labels(table[other])
    table.index = pd.RangeIndex(1, len(table) + 1)
    table = table.dropna(subset=[on])
    table[on] = table[on].astype("str")
    firsts = table.drop_duplicates(on)
    if len(firsts) == len(table):
        return LabelTable(name, on, source, firsts.reset_index(drop=True)), Repeats(0, [])
    distinct = table.drop_duplicates()
    repeats = Repeats(len(table) - len(distinct), _conflicts(firsts, distinct))
    return LabelTable(name, on, source, firsts.reset_index(drop=True)), repeats


def _with_join_first(name: str, table: pd.DataFrame, on: str, column: str | None) -> pd.DataFrame:
    """A copy with the column of the join values first, called `on`."""
    usual = (column,) if column else _USUAL_COLUMNS[on]
    found = next((candidate for candidate in usual if candidate in table.columns), None)
    if found is None:
        raise LabelTableError(
            f"label table {name!r} has no column {' or '.join(map(repr, usual))} to join on {on}; "
            f"its columns are {', '.join(table.columns)}. Name the right one with --column."
        )
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise LabelTableError(
            f"label table {name!r} has two columns called {twice[0]!r}: rename one of them."
        )
    rest = [other for other in table.columns if other != found]
    if not rest:
        raise LabelTableError(f"label table {name!r} has no label column beside {found!r}.")
    renamed = table[[found, *rest]].rename(columns={on: f"{on}_label"} if found != on else {})
    return renamed.rename(columns={found: on})


def _as_labels(column: pd.Series) -> pd.Series:
    """Dates and lists, which Parquet may hold, as text; numbers, texts and truth values as they are."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if column.dtype.kind in "mM":
        days = column.dtype.kind == "M" and bool((column.dropna() == column.dropna().dt.normalize()).all())
        return column.map(lambda value: str(value.date() if days else value), na_action="ignore").astype(
            "str"
        )
    return column.map(_as_label, na_action="ignore") if column.dtype == "object" else column


def _as_label(value: object) -> object:
    if isinstance(value, list | tuple | np.ndarray):
        return ";".join(map(str, value))
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return value if isinstance(value, Hashable) else str(value)


def _conflicts(firsts: pd.DataFrame, distinct: pd.DataFrame) -> list[Conflict]:
    """The first conflict of each join value, the first column, among rows that all differ."""
    on = distinct.columns[0]
    others = distinct[distinct[on].duplicated()].drop_duplicates(on)
    first_rows = pd.Series(firsts.index, index=firsts[on])[others[on]].to_numpy()
    one, other = _texts(firsts.loc[first_rows]), _texts(others)
    columns = (one != other).argmax(axis=1)
    pairs = zip(others[on], first_rows, others.index, columns, one, other, strict=True)
    return [
        Conflict(str(value), (int(first), int(second)), str(distinct.columns[c]), (str(a[c]), str(b[c])))
        for value, first, second, c, a, b in pairs
    ]


def _texts(table: pd.DataFrame) -> NDArray[np.object_]:
    """Every value as text, '' where it is missing: (rows, columns)."""
    return table.astype(object).where(table.notna(), "").astype("str").to_numpy(object)


def join_report(labels: LabelTable, images: pd.DataFrame) -> JoinReport:
    """What matched and what did not, images by key and rows by their join value."""
    if labels.source is not None:
        images = images[images["source"] == labels.source]
    rows = labels.match(images)
    found = rows.dropna().astype(int)
    used = found.unique()
    several = found[found.duplicated() & (labels.on == "name")].unique()
    return JoinReport(
        matched=int(rows.notna().sum()),
        images_without_row=images.loc[rows.isna(), "key"].tolist(),
        rows_without_image=labels.table.loc[~labels.table.index.isin(used), labels.on].tolist(),
        ambiguous=labels.table.loc[several, labels.on].tolist(),
    )


def join_labels(images: pd.DataFrame, tables: list[LabelTable]) -> pd.DataFrame:
    """`images` with a column `labels.<column>` for each label.

    Where several tables have a column, the first table that has a value for an image counts, and each table's
    own values are in `labels.<table>.<column>` too.
    """
    columns: dict[str, pd.Series] = {}
    holders = Counter(column for labels in tables for column in labels.columns)
    for labels in tables:
        rows = labels.match(images)
        for column in labels.columns:
            values = labels.table[column].reindex(rows).set_axis(images.index)
            name = f"labels.{column}"
            columns[name] = columns[name].combine_first(values) if name in columns else values
            if holders[column] > 1:
                columns[f"labels.{labels.name}.{column}"] = values
    return pd.concat([images, pd.DataFrame(columns, index=images.index)], axis=1) if columns else images
