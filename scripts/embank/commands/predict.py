"""`embank predict`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embank.commands.embed import warn_of_random_weights
from embank.console import print_json, print_table, progress

if TYPE_CHECKING:
    from classifiers.saved_heads import SavedHead
    from embedder.files import FileVectors
    from embedder.sources import Entry


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        "predict",
        short_help="Label new images with a saved head.",
        epilog="Example: embank predict pets.head new-photos/ --top 3",
    )(_predict)


def _predict(
    head_file: Annotated[Path, typer.Argument(help="A file that `embank train` saved.")],
    images: Annotated[list[str], typer.Argument(help="Image files, or folders of them.")],
    top: Annotated[int, typer.Option(min=1, help="The K most probable labels of each image.")] = 1,
    csv: Annotated[Path | None, typer.Option(help="Write the rows as CSV.")] = None,
    weights: Annotated[
        str | None, typer.Option(help="Where the backbone's weights are, if not known here.")
    ] = None,
    engine: Annotated[str, typer.Option(help="auto, openvino or keras.")] = "auto",
    batch_size: Annotated[
        int, typer.Option(min=1, max=4096, help="Images that the engine takes at once.")
    ] = 16,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Label new images, embedded by the head's own recipe."""
    from classifiers import load_head
    from embedder.sources import files_as_entries

    head = load_head(head_file)
    entries = files_as_entries(images)
    found = _embed(head, entries, weights, engine, min(batch_size, len(entries)))
    rows = _rows(head, entries, found, top)
    if csv:
        import pandas as pd

        from store.commit import write_file

        write_file(csv, pd.DataFrame(rows).to_csv(index=False).encode())
    if json:
        print_json({"rows": rows})
    else:
        print_table("", list(rows[0]), [list(row.values()) for row in rows])
    if all(found.problems):
        raise typer.Exit(1)


def _embed(
    head: SavedHead, entries: list[Entry], weights: str | None, engine: str, batch_size: int
) -> FileVectors:
    from embedder.engines import open_engine_for
    from embedder.files import embed_files
    from embedder.machine import usable_processors
    from embedder.recipe import FrozenRecipe
    from embedder.weights import recipe_settings

    frozen = FrozenRecipe.from_dict(head.recipe)
    settings = recipe_settings(frozen, weights)
    warn_of_random_weights([settings])
    opened = open_engine_for(frozen, settings, engine, batch_size, usable_processors())
    with progress("predicting") as show:
        return embed_files(entries, opened, lambda done, total: show(done, total, ""))


def _rows(head: SavedHead, entries: list[Entry], found: FileVectors, top: int) -> list[dict[str, Any]]:
    """`top` rows an image, most probable first; one row with the reason for an image that has no vector."""
    from store import Vectors

    sound = [row for row, problem in enumerate(found.problems) if not problem]
    vectors = Vectors.of(found.vectors[sound], head.space, head.recipe)
    scores = dict(zip(sound, head.predict_proba(vectors) if sound else [], strict=True))
    rows: list[dict[str, Any]] = []
    for number, entry in enumerate(entries):
        if number not in scores:
            rows.append({"image": entry.key, "label": None, "score": None, "error": found.problems[number]})
            continue
        for code in scores[number].argsort()[::-1][:top]:
            score = float(scores[number][code])
            rows.append({"image": entry.key, "label": head.classes[code], "score": score, "error": None})
    return rows
