"""`embank backbones`."""

from __future__ import annotations

from typing import Annotated

import typer

from embank.console import print_json, print_table
from embank.options import JSON


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        "backbones",
        short_help="List every backbone.",
        epilog="Example: embank backbones ResNet50 --classes 2",
    )(_backbones)


def _backbones(
    backbone: Annotated[
        str | None,
        typer.Argument(
            help="Count the parameters of this one: a name, a .keras file, a SavedModel or a TF-Hub handle."
        ),
    ] = None,
    classes: Annotated[
        int | None, typer.Option(min=2, help="And those of a linear head of so many classes on it.")
    ] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """List every backbone: dimensions, native size, preprocessing, whether its weights are here."""
    from embedder.backbones import BACKBONES
    from embedder.weights import imagenet_is_here

    if backbone is not None:
        _tell_parameters(backbone, classes, json)
        return
    if classes is not None:
        raise typer.BadParameter(
            "--classes goes with a backbone, such as embank backbones ResNet50 --classes 2."
        )
    rows = [
        {
            "name": row.name,
            "dim": row.dim,
            "size": row.size,
            "preprocessing": row.preprocessing.describe(),
            "weights_here": imagenet_is_here(row),
        }
        for row in BACKBONES.values()
    ]
    if json:
        print_json({"backbones": rows})
        return
    cells = [
        (r["name"], r["dim"], r["size"], r["preprocessing"], "yes" if r["weights_here"] else "") for r in rows
    ]
    print_table("", ["backbone", "dim", "pixels", "preprocessing", "weights here"], cells)
    print("--backbone also takes a TF-Hub handle (https://…), a SavedModel folder or a .keras file.")


def _tell_parameters(backbone: str, classes: int | None, json: bool) -> None:
    from embedder.parameters import count_parameters

    found = count_parameters(backbone)
    head = None if classes is None else (found.dim + 1) * classes
    document = {"name": found.name, "dim": found.dim, "parameters": found.parameters, "head_parameters": head}
    if json:
        print_json(document)
        return
    print(f"{found.name}: {found.parameters:,} parameters, all frozen, to vectors of {found.dim}.")
    if head is not None:
        print(f"A linear head for {classes} classes on it trains {head:,} parameters.")
