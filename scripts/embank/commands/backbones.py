"""`embank backbones`."""

from __future__ import annotations

from typing import Annotated

import typer

from embank.console import print_json, print_table


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("backbones", short_help="List every backbone.", epilog="Example: embank backbones --json")(
        _backbones
    )


def _backbones(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List every backbone: dimensions, native size, preprocessing, whether its weights are here."""
    from embedder.backbones import BACKBONES
    from embedder.weights import imagenet_is_here

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
