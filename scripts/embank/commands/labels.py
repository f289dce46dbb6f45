"""`embank labels`: label tables to go with a store."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from embank.console import counted, print_json, print_table, say
from embank.options import JSON, STORE

if TYPE_CHECKING:
    import pandas as pd

    from store import FeatureStore
    from store.labels import JoinReport, LabelTable, Repeats


class _Action(StrEnum):
    add = "add"
    list = "list"


class _Join(StrEnum):
    key = "key"
    name = "name"
    hash = "hash"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        "labels",
        short_help="Attach a label table, or list them.",
        epilog="Example: embank labels pets.embank add coats.csv --on name",
    )(_labels)


def _labels(
    store: Annotated[Path, STORE],
    action: Annotated[_Action, typer.Argument(help="add a table, or list those attached.")],
    table: Annotated[Path | None, typer.Argument(help="A .csv, .tsv or .parquet file.")] = None,
    on: Annotated[_Join, typer.Option(help="What rows are joined by.")] = _Join.key,
    column: Annotated[str | None, typer.Option(help="The column that holds the join values.")] = None,
    name: Annotated[str | None, typer.Option(help="What the store calls the table.")] = None,
    encoding: Annotated[str, typer.Option(help="Of a text file, such as cp1252 or latin-1.")] = "utf-8",
    missing: Annotated[
        list[str] | None,
        typer.Option(help="A text that stands for nothing, such as NA, beside an empty field; may repeat."),
    ] = None,
    keep_first: Annotated[
        bool, typer.Option("--keep-first", help="Where rows for one image differ, the first one counts.")
    ] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Attach a label table, or list those attached; says what does not match on both sides."""
    from store import FeatureStore

    opened = FeatureStore(store)
    if action is _Action.list:
        _list(opened, json)
        return
    if table is None:
        raise typer.BadParameter("name the table to add.", param_hint="TABLE")
    from store.labels import make_label_table
    from store.tables import read_table

    frame = read_table(table, encoding, missing or ())
    labels, repeats = make_label_table(name or table.stem, frame, on.value, column=column)
    if repeats.conflicts and not keep_first:
        _refuse(table, labels, repeats)
    _attach(opened, table, labels, repeats, json)


def _list(opened: FeatureStore, json: bool) -> None:
    attached = opened.summary()["labels"]
    if json:
        print_json({"labels": attached})
        return
    rows = [(n, t["rows"], t["on"], ", ".join(t["columns"])) for n, t in attached.items()]
    print_table("Label tables", ["table", "rows", "joined on", "columns"], rows)


def _refuse(table: Path, labels: LabelTable, repeats: Repeats) -> None:
    from store import LabelTableError

    first = repeats.conflicts[0]
    one, other = first.rows
    more = len(repeats.conflicts) - 1
    raise LabelTableError(
        f"{table}: rows {one} and {other} below the header are both for the {labels.on} {first.value!r} and differ in "
        f"{first.column!r}: {first.labels[0]!r} and {first.labels[1]!r}"
        + (f"; so do rows of {more:,} more" if more else "")
        + ". Mend the table, or let the first row count with --keep-first. (Several labels of one image go into one "
        "field, such as 'a;b', for a scheme with multilabel: true.)"
    )


def _attach(opened: FeatureStore, table: Path, labels: LabelTable, repeats: Repeats, json: bool) -> None:
    from store import LabelTableError, StoreWriter
    from store.labels import join_report

    if labels.table.empty:
        raise LabelTableError(f"{table} has no rows.")
    images = opened.images()
    report = join_report(labels, images)
    if not report.matched:
        raise LabelTableError(
            f"no row of {table} matches an image of {opened.path} on {labels.on}; the table has "
            f"{labels.table[labels.on].iloc[0]!r}, the store for instance {_example(images)!r}. "
            "Join on something else (--on key, name or hash), or name another --column."
        )
    StoreWriter(opened.path).attach_labels(labels)
    _tell_overlaps(opened, images, labels)
    _tell_joined(report, repeats)
    if json:
        print_json(_document(labels, report, repeats))
    else:
        columns = ", ".join(f"labels.{column}" for column in labels.columns)
        print(f"{labels.name}: labels for {counted(report.matched, 'image')}, as {columns}")


def _tell_overlaps(opened: FeatureStore, images: pd.DataFrame, labels: LabelTable) -> None:
    """Columns that another table has too, and where the two say different things."""
    from store.labels import join_labels

    plain = images[["key", "source", "hash"]]
    for other in opened.label_tables.values():
        shared = sorted({*other.columns} & {*labels.columns}) if other.name != labels.name else []
        joined = join_labels(plain, [other, labels]) if shared else plain
        for label in shared:
            one, two = joined[f"labels.{other.name}.{label}"], joined[f"labels.{labels.name}.{label}"]
            differ = int((one.notna() & two.notna() & (one.astype(str) != two.astype(str))).sum())
            say(
                f"Note: the table {other.name!r} has {label!r} too, and says otherwise of {counted(differ, 'image')}. "
                f"labels.{label} is of the table that comes first by name and has a value; "
                f"labels.{labels.name}.{label} is this one's."
            )


def _tell_joined(report: JoinReport, repeats: Repeats) -> None:
    sides = {
        "Images without a row": report.images_without_row,
        "Rows without an image": report.rows_without_image,
        "Names that several images have (each gets the labels; join on the key to tell them apart)": report.ambiguous,
        "Join values with different labels (the first counts)": [one.value for one in repeats.conflicts],
    }
    if repeats.equal:
        say(f"{counted(repeats.equal, 'row')} repeated what an earlier one says.")
    for what, values in sides.items():
        if values:
            say(f"{what}: {len(values)}, for instance {values[0]}")


def _document(labels: LabelTable, report: JoinReport, repeats: Repeats) -> dict[str, object]:
    return {
        "table": labels.name,
        "columns": labels.columns,
        **asdict(report),
        "repeated": repeats.equal,
        "conflicting": [one.value for one in repeats.conflicts],
    }


def _example(images: pd.DataFrame) -> str:
    return str(images["key"].iloc[0]) if len(images) else "no image"
