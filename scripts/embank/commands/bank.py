"""`embank info`, `verify` and `labels`: what is in a store, whether it is sound, and labels to go with it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embank.console import counted, print_json, print_table, progress, say

if TYPE_CHECKING:
    import pandas as pd

    from store import FeatureStore

_JSON = typer.Option("--json", help="Print one JSON document.")


class _Action(StrEnum):
    add = "add"
    list = "list"


class _Join(StrEnum):
    key = "key"
    name = "name"
    hash = "hash"


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(
        "info", short_help="Show what is in a store.", epilog="Example: embank info pets.embank --errors"
    )(_info)
    app.command(
        "verify", short_help="Check that a store is sound.", epilog="Example: embank verify pets.embank"
    )(_verify)
    app.command(
        "labels",
        short_help="Attach a label table, or list them.",
        epilog="Example: embank labels pets.embank add coats.csv --on name",
    )(_labels)


def _info(
    store: Annotated[Path, typer.Argument(help="The store.")],
    errors: Annotated[
        bool, typer.Option("--errors", help="List the images that could not be embedded.")
    ] = False,
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Show sources, spaces, rows, errors, label tables, heads and size on disk."""
    from store import FeatureStore

    opened = FeatureStore(store)
    summary = opened.summary()
    bad = opened.errors()
    if json:
        print_json(summary | ({"error_rows": bad.to_dict("records")} if errors else {}))
        return
    _print_summary(store, summary)
    if errors:
        rows = bad[["source", "key", "status"]].to_numpy().tolist()
        print_table("Images that could not be embedded", ["source", "image", "why"], rows)


def _print_summary(store: Path, summary: dict[str, Any]) -> None:
    megabytes = summary["bytes"] / 1e6
    images, errors = counted(summary["images"], "image"), counted(summary["errors"], "error")
    print(f"{store}: {images}, {errors}, {megabytes:.1f} MB on disk")
    sources = [
        (name, s["images"], s["errors"], s["gone"], s["location"]) for name, s in summary["sources"].items()
    ]
    print_table("Sources", ["source", "images", "errors", "gone", "from"], sources)
    spaces = [
        (id_, s["rows"], s["dim"], s["dtype"], _making(s["recipe"]), s["recipe"].get("weights", ""))
        for id_, s in summary["spaces"].items()
    ]
    print_table("Spaces", ["space", "rows", "dim", "stored as", "made by", "weights"], spaces)
    canaries = [
        (id_, c["made_by"]["engine"], c["made_by"]["processor"], c["images"], *_cosines(c))
        for id_, s in summary["spaces"].items()
        for c in s["canaries"]
    ]
    if canaries:
        columns = ["space", "engine", "processor", "images", "mean cosine", "worst", "with float32"]
        print_table("Canaries: banked images that were embedded again", columns, canaries)
    if summary["labels"]:
        tables = [(n, t["rows"], t["on"], ", ".join(t["columns"])) for n, t in summary["labels"].items()]
        print_table("Label tables", ["table", "rows", "joined on", "columns"], tables)


def _cosines(canary: dict[str, Any]) -> list[str]:
    values = (canary["mean"], canary["worst"], canary["float32"])
    return ["" if value is None else f"{value:.6f}" for value in values]


def _making(recipe: dict[str, Any]) -> str:
    """What tells recipes of one backbone apart, such as `224 px squash, avg, float32`."""
    names = ("fit", "layer", "pooling", "precision")
    parts = [f"{recipe.get('image_size', '?')} px", *(str(recipe[n]) for n in names if recipe.get(n))]
    if recipe.get("augment"):
        parts.append(f"{recipe['views'] - 1} views of {recipe['augment']}")
    return ", ".join([*parts, "class scores"] if recipe.get("scores") else parts)


def _verify(
    store: Annotated[Path, typer.Argument(help="The store.")],
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Check every checksum, shape and value, and that every listed image has its vectors."""
    from store.verify import verify

    with progress("verifying", unit="bytes") as show:
        found = verify(store, lambda done, total: show(done, total, ""))
    if json:
        print_json(found.to_dict())
    else:
        state = "sound" if found.ok else f"damaged in {counted(len(found.damage), 'place')}"
        print(
            f"{store}: {state}; {counted(found.parts, 'part')} with {counted(found.rows, 'row')} read in full."
        )
        for damage in found.damage:
            print(f"  {damage.file}: {damage.what}")
    if not found.ok:
        raise typer.Exit(1)


def _labels(
    store: Annotated[Path, typer.Argument(help="The store.")],
    action: Annotated[_Action, typer.Argument(help="add a table, or list those attached.")],
    table: Annotated[Path | None, typer.Argument(help="A .csv, .tsv or .parquet file.")] = None,
    on: Annotated[_Join, typer.Option(help="What rows are joined by.")] = _Join.key,
    column: Annotated[str | None, typer.Option(help="The column that holds the join values.")] = None,
    name: Annotated[str | None, typer.Option(help="What the store calls the table.")] = None,
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Attach a label table, or list those attached; says what does not match on both sides."""
    from store import FeatureStore

    opened = FeatureStore(store)
    if action is _Action.list:
        attached = opened.summary()["labels"]
        if json:
            print_json({"labels": attached})
        else:
            rows = [(n, t["rows"], t["on"], ", ".join(t["columns"])) for n, t in attached.items()]
            print_table("Label tables", ["table", "rows", "joined on", "columns"], rows)
        return
    if table is None:
        raise typer.BadParameter("name the table to add.", param_hint="TABLE")
    _attach(opened, table, on.value, column, name or table.stem, json)


def _attach(opened: FeatureStore, table: Path, on: str, column: str | None, name: str, json: bool) -> None:
    from store import LabelTableError, StoreWriter
    from store.labels import join_report, make_label_table
    from store.tables import read_table

    labels, conflicting = make_label_table(name, read_table(table), on, column=column)
    if labels.table.empty:
        raise LabelTableError(f"{table} has no rows.")
    report = join_report(labels, opened.images(), conflicting)
    if not report.matched:
        raise LabelTableError(
            f"no row of {table} matches an image of {opened.path} on {on}; the table has "
            f"{labels.table[on].iloc[0]!r}, the store for instance {_example(opened.images())!r}. "
            "Join on something else (--on key, name or hash), or name another --column."
        )
    StoreWriter(opened.path).attach_labels(labels)
    for other in opened.label_tables.values():
        shared = sorted({*other.columns} & {*labels.columns}) if other.name != name else []
        for label in shared:
            say(
                f"Note: the table {other.name!r} has {label!r} too. labels.{label} is of the table that comes first "
                f"by name and has a value; labels.{name}.{label} is this one's."
            )
    sides = {
        "images without a row": report.images_without_row,
        "rows without an image": report.rows_without_image,
        "join values with different labels (the first counts)": report.conflicting,
    }
    for what, values in sides.items():
        if values:
            say(f"{len(values)} {what}, for instance {values[0]}")
    document = {
        "table": name,
        "columns": labels.columns,
        "matched": report.matched,
        "images_without_row": report.images_without_row,
        "rows_without_image": report.rows_without_image,
        "conflicting": report.conflicting,
    }
    if json:
        print_json(document)
    else:
        columns = ", ".join(f"labels.{column}" for column in labels.columns)
        print(f"{name}: labels for {report.matched} images, as {columns}")


def _example(images: pd.DataFrame) -> str:
    return str(images["key"].iloc[0]) if len(images) else "no image"
