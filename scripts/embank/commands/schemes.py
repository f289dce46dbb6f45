"""`embank schemes`: what label schemes make of a store, before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embank.console import counted, percent, print_json, print_table, say
from embank.options import JSON, STORE, sound_schemes

if TYPE_CHECKING:
    import pandas as pd

    from classifiers import Scheme
    from classifiers.previews import Preview
    from store import FeatureStore
    from store.labels import JoinReport

_MOST_CLASSES = 40  # printed of a scheme
_MOST_LINES = 400  # of a contact sheet: a JPEG has at most 65,535 pixels
_PICTURES = 10


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        "schemes",
        short_help="Show the classes of label schemes before training.",
        epilog="Example: embank schemes pets.embank schemes.yaml --contact-sheet classes.html",
    )(_schemes)


def _print_schema(wanted: bool) -> None:
    if wanted:
        from classifiers.scheme_files import schemes_json_schema

        print(schemes_json_schema(), end="")
        raise typer.Exit


def _schemes(
    store: Annotated[Path, STORE],
    file: Annotated[
        Path | None, typer.Argument(help="A YAML file of schemes; else those that `compare` knows by itself.")
    ] = None,
    scheme: Annotated[list[str] | None, typer.Option(help="Only this one; may repeat.")] = None,
    contact_sheet: Annotated[
        Path | None, typer.Option(help="Write a row of photos for each class, OUT.html, OUT.jpg or OUT.png.")
    ] = None,
    pictures: Annotated[int, typer.Option(min=1, max=50, help="Photos a class on it.")] = _PICTURES,
    json: Annotated[bool, JSON] = False,
    schema: Annotated[
        bool,
        typer.Option(
            "--schema",
            is_eager=True,
            callback=_print_schema,
            help="Print the JSON schema of scheme files, for editors, and end.",
        ),
    ] = False,
) -> None:
    """Show classes in their order, how many images have each, and what matches on neither side."""
    from embank.grids import KINDS
    from store import FeatureStore

    if contact_sheet is not None and contact_sheet.suffix.lower() not in {".html", *KINDS}:
        raise typer.BadParameter(
            "name a file that ends in .html, .jpg or .png.", param_hint="--contact-sheet"
        )

    opened = FeatureStore(store)
    images = opened.images()
    known, errors = sound_schemes(opened, file)
    known, errors = _only(scheme, known, errors, str(file or store))
    previews, wrong = _previews(known, images)
    errors = [*errors, *wrong]
    joins = _joins(opened, images)
    if json:
        print_json(_document(previews, errors, joins))
    else:
        for one in previews:
            _print(one)
        _tell_joins(joins, len(images))
    for _, sentence in errors:
        say(f"embank: {sentence}")
    if contact_sheet is not None and previews:
        _write_sheet(opened, images, previews, pictures, contact_sheet)
    if errors or not previews:
        raise typer.Exit(1 if previews else 2)


def _only(
    wanted: list[str] | None, known: dict[str, Scheme], errors: list[tuple[str, str]], where: str
) -> tuple[dict[str, Scheme], list[tuple[str, str]]]:
    """The schemes that were asked for, all if none was."""
    from embank.options import named_scheme

    if not wanted:
        return known, errors
    wrong = [(name, sentence) for name, sentence in errors if name in wanted]
    sound = [name for name in wanted if name in known or name not in dict(wrong)]
    return {name: named_scheme(known, name, where) for name in sound}, wrong


def _previews(
    schemes: Mapping[str, Scheme], images: pd.DataFrame
) -> tuple[list[Preview], list[tuple[str, str]]]:
    from classifiers import SchemeError
    from classifiers.previews import preview

    previews, errors = [], []
    for name, scheme in schemes.items():
        try:
            previews.append(preview(scheme, images))
        except SchemeError as error:
            errors.append((name, str(error)))
    return previews, errors


def _joins(opened: FeatureStore, images: pd.DataFrame) -> dict[str, JoinReport]:
    """How each attached label table fits."""
    from store.labels import join_report

    return {name: join_report(table, images) for name, table in opened.label_tables.items()}


def _document(
    previews: Sequence[Preview], errors: Sequence[tuple[str, str]], joins: Mapping[str, JoinReport]
) -> dict[str, Any]:
    return {
        "schemes": [one.to_dict() for one in previews],
        "tables": [{"table": name, **asdict(report)} for name, report in joins.items()],
        "errors": [{"scheme": name, "error": sentence} for name, sentence in errors],
    }


def _print(one: Preview) -> None:
    several = ", several labels an image" if one.labels.multilabel else ""
    without = f", {one.unlabelled} without a label" if one.unlabelled else ""
    title = (
        f"{one.scheme.name} (from {one.scheme.source}): {len(one.classes)} classes{several}, "
        f"{counted(one.labelled, 'image')}{without}"
    )
    sides = list(one.classes[0].sides)
    rows = [
        [row.name, row.images, percent(row.images / one.labelled), *row.sides.values()]
        for row in one.classes[:_MOST_CLASSES]
    ]
    print_table(title, ["class", "images", "share", *sides], rows)
    if len(one.classes) > _MOST_CLASSES:
        print(f"and {len(one.classes) - _MOST_CLASSES} more classes, which --json lists")
    for note in one.notes:
        print(f"Note: {note}")
    print()


def _tell_joins(joins: Mapping[str, JoinReport], images: int) -> None:
    for name, report in joins.items():
        print(f"Label table {name}: {report.matched} of {counted(images, 'image')} have a row.")
        sides = {
            "images without a row": report.images_without_row,
            "rows without an image": report.rows_without_image,
            "names that several images have, which all get the labels": report.ambiguous,
        }
        for what, values in sides.items():
            if values:
                print(f"  {what}: {len(values)}, for instance {values[0]}")


def _write_sheet(
    opened: FeatureStore, images: pd.DataFrame, previews: Sequence[Preview], pictures: int, path: Path
) -> None:
    from embank.contact_sheets import SheetRow, contact_page, contact_sheet
    from embank.grids import KINDS
    from embedder.thumbnails import thumbnails
    from store.commit import write_file

    lines = [(one, code) for one in previews for code in range(len(one.classes))][:_MOST_LINES]
    chosen = [_samples(one, code, images, pictures) for one, code in lines]
    needed = images.iloc[sorted({row for rows in chosen for row in rows})]
    found = dict(zip(needed.index, thumbnails(opened, needed), strict=True))
    sections: dict[str, list[SheetRow]] = {}
    for (one, code), rows in zip(lines, chosen, strict=True):
        count = counted(one.classes[code].images, "image")
        row = SheetRow(one.classes[code].name, count, [found[number] for number in images.index[rows]])
        sections.setdefault(one.scheme.name, []).append(row)
    drawn = list(sections.items())
    kind = KINDS.get(path.suffix.lower())
    title = f"Classes of {opened.path.name}"
    write_file(path, contact_sheet(drawn, kind) if kind else contact_page(title, drawn))
    left = sum(len(one.classes) for one in previews) - len(lines)
    say(f"Contact sheet: {path}" + (f"; {left} classes did not fit, see --scheme" if left else ""))


def _samples(one: Preview, code: int, images: pd.DataFrame, most: int) -> list[int]:
    """A few images of a class, as good as drawn at random and always the same: the first by hash."""
    rows = one.rows[code]
    hashes = images["hash"].iloc[rows].reset_index(drop=True).drop_duplicates()
    return [int(rows[number]) for number in hashes.sort_values().index[:most]]
