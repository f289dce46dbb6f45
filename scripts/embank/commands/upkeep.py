"""`embank compact`, `import`, `rm` and `merge`: looking after a store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from embank.console import counted, print_json, progress, say
from embank.options import JSON, STORE, store_argument


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(
        "compact",
        short_help="Make fewer, larger files of a store.",
        epilog="Example: embank compact pets.embank",
    )(_compact)
    app.command(
        "import",
        short_help="Put vectors that you already have into a store.",
        epilog="Example: embank import pets.embank features.npy --keys names.txt --name clip",
    )(_import)
    app.command(
        "rm",
        short_help="Remove a source or a space.",
        epilog="Example: embank rm pets.embank --space ResNet50-0123456789ab",
    )(_rm)
    app.command(
        "merge",
        short_help="Copy everything of another store into this one.",
        epilog="Example: embank merge pets.embank colleague.embank --rename photos=her-photos",
    )(_merge)


def _compact(
    store: Annotated[Path, STORE],
    part_size: Annotated[
        int, typer.Option(min=1, help="MB of vectors in a part. Three times as much memory is taken.")
    ] = 128,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Make fewer, larger files. Nothing is lost if it is stopped, and others may read and write meanwhile."""
    from store import compact

    with progress("compacting", unit="rows") as show:
        report = compact(store, part_size << 20, lambda done, total: show(done, total, ""))
    if json:
        print_json(report.to_dict())
        return
    twice = (
        f"; {counted(report.duplicates, 'row')} that stood there twice dropped" if report.duplicates else ""
    )
    print(
        f"{store}: {counted(report.parts_before, 'part')} → {report.parts_after}, "
        f"{counted(report.listings_before, 'listing file')} → {report.listings_after}{twice}."
    )


def _import(
    store: Annotated[Path, store_argument("The store; it is made if it is absent.")],
    vectors: Annotated[Path, typer.Argument(help="A .npy, .npz or .h5 file with a row for each image.")],
    keys: Annotated[
        str | None,
        typer.Option(
            help="The images' names in the order of the rows: a text file with one a line, a table with a column "
            "key or path, a .npy, .npz or .h5 file, or an array in VECTORS. By default its array `keys`."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the source; by default that of the file.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Which array in the file holds the vectors.")] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Put vectors that you already have into a store, as a space called `imported-…`."""
    from store import import_vectors

    with progress("importing") as show:
        report = import_vectors(
            store, vectors, keys, name, dataset, lambda done, total: show(done, total, "")
        )
    if json:
        print_json(asdict(report))
    else:
        print(f"{store}: {report.space}, {counted(report.rows, 'image')}, {report.new} of them new.")


def _rm(
    store: Annotated[Path, STORE],
    source: Annotated[str | None, typer.Option(help="Remove this source.")] = None,
    space: Annotated[str | None, typer.Option(help="Remove this space, all its vectors.")] = None,
) -> None:
    """Remove a source or a space. No job should be writing to it."""
    if (source is None) == (space is None):
        raise typer.BadParameter("name what to remove, either --source NAME or --space ID.")
    from store import remove_source, remove_space

    if source is not None:
        remove_source(store, source)
        print(f"{store}: the source {source} is removed.")
        say("Its vectors stay, so embedding it again is quick; `embank rm STORE --space ID` removes vectors.")
    else:
        print(f"{store}: the space {remove_space(store, str(space))} is removed.")


def _merge(
    store: Annotated[Path, store_argument("The store that gets everything.")],
    other: Annotated[Path, store_argument("The store that is copied; it stays as it is.")],
    rename: Annotated[
        list[str] | None, typer.Option(help="OLD=NEW: bring a source of OTHER in under another name.")
    ] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Copy vectors, listings and label tables of another store into this one. Saved heads are not copied."""
    from store import merge

    pairs = [pair.partition("=") for pair in rename or []]
    for old, _, new in pairs:
        if not old or not new:
            raise typer.BadParameter(f"{old}: expected OLD=NEW, two names of sources.", param_hint="--rename")
    with progress("merging", unit="parts") as show:
        report = merge(
            store, other, {old: new for old, _, new in pairs}, lambda done, total: show(done, total, "")
        )
    for old, new in report.renamed.items():
        say(f"The label table {old} came in as {new}: {store} has another one of that name.")
    if json:
        print_json(asdict(report))
        return
    print(
        f"{store}: {counted(report.parts, 'part')} with {counted(report.rows, 'row')} copied, "
        f"{counted(len(report.sources), 'source')} and {counted(len(report.labels), 'label table')} added or changed."
    )
