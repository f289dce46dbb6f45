"""`embank predict`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embank.console import print_json, print_table, progress, say
from embank.engines import open_engine_of, warn_of_random_weights
from embank.options import ENGINE, JSON, picture_option

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from classifiers.saved_heads import SavedHead
    from embedder.engines import Engine
    from embedder.files import FileVectors
    from embedder.sources import Entry

_IMAGENET_BACKBONE = "MobileNetV2"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        "predict",
        short_help="Label new images with a saved head, or with ImageNet's own classes.",
        epilog="Example: embank predict pets.head new-photos/ --top 3; or embank predict --imagenet photo.jpg",
    )(_predict)


def _predict(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILES",
            help="A head that `embank train` saved, then image files or folders; with --imagenet only the latter.",
        ),
    ],
    imagenet: Annotated[
        bool, typer.Option("--imagenet", help="ImageNet's 1000 classes in place of a head.")
    ] = False,
    backbone: Annotated[
        str | None,
        typer.Option(help=f"For --imagenet, a name of `embank backbones`; by default {_IMAGENET_BACKBONE}."),
    ] = None,
    top: Annotated[
        int,
        typer.Option(
            min=1,
            help="The K most probable labels of each image. Of a head with several labels an image, all those "
            "above 0.5 are one row unless K is more than 1.",
        ),
    ] = 1,
    csv: Annotated[Path | None, typer.Option(help="Write the rows as CSV.")] = None,
    gallery: Annotated[
        Path | None, picture_option("Draw some of the images with their labels, OUT.png.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Where the backbone's weights are, if not known here; for --imagenet with classifier."
        ),
    ] = None,
    engine: Annotated[str, ENGINE] = "auto",
    batch_size: Annotated[
        int | None, typer.Option(min=1, max=4096, help="Images that the engine takes at once.")
    ] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Label new images: with a head, embedded by its own recipe, or with the classes that a backbone learned."""
    from embedder.sources import files_as_entries

    if backbone and not imagenet:
        raise typer.BadParameter("--backbone goes with --imagenet; a head has its own backbone.")
    head = None if imagenet else _load_head(files)
    entries = files_as_entries(files if imagenet else files[1:])
    opened = _open_engine(head, backbone or _IMAGENET_BACKBONE, weights, engine, batch_size)
    found = _run(opened, entries)
    rows = _rows(head, _scores(head, found), entries, found.problems, top)
    if csv:
        import pandas as pd

        from store.commit import write_file

        write_file(csv, pd.DataFrame(rows).to_csv(index=False).encode())
    if gallery:
        _write_gallery(entries, rows, gallery)
    if json:
        print_json({"rows": rows})
    else:
        print_table("", list(rows[0]), [list(row.values()) for row in rows])
    if all(found.problems):
        raise typer.Exit(1)


def _load_head(files: list[str]) -> SavedHead:
    from classifiers import load_head

    if len(files) < 2:
        raise typer.BadParameter(
            "expected a head file and then images; to label images without a head, add --imagenet."
        )
    return load_head(Path(files[0]))


def _open_engine(
    head: SavedHead | None, backbone: str, weights: str | None, engine: str, batch_size: int | None
) -> Engine:
    if head is not None:
        return open_engine_of(head.recipe, weights, engine, batch_size)
    from embedder import Recipe
    from embedder.engines import open_engine
    from embedder.machine import usable_processors

    settings = Recipe(backbone, weights or "imagenet", scores=True)
    warn_of_random_weights([settings])
    return open_engine(settings, engine, batch_size, usable_processors())


def _run(engine: Engine, entries: list[Entry]) -> FileVectors:
    from embedder.files import embed_files

    with progress("predicting") as show:
        return embed_files(entries, engine, lambda done, total: show(done, total, ""))


def _scores(head: SavedHead | None, found: FileVectors) -> dict[int, NDArray[np.floating[Any]]]:
    """The scores of each image that has a vector, by its row."""
    from store import Vectors

    sound = [row for row, problem in enumerate(found.problems) if not problem]
    vectors = found.vectors[sound]
    if head and sound:
        return dict(zip(sound, head.predict_proba(Vectors.of(vectors, head.space, head.recipe)), strict=True))
    return dict(zip(sound, vectors, strict=True))


def _classes(head: SavedHead | None) -> Sequence[str]:
    from embedder.imagenet_classes import imagenet_classes

    return head.classes if head else imagenet_classes()


def _rows(
    head: SavedHead | None,
    scores: Mapping[int, NDArray[np.floating[Any]]],
    entries: list[Entry],
    problems: list[str | None],
    top: int,
) -> list[dict[str, Any]]:
    """`top` rows an image, most probable first; one row with the reason for an image that has no vector.

    Where an image has several labels, all that are more probable than not are one row, unless more are asked for.
    """
    classes = _classes(head)
    rows: list[dict[str, Any]] = []
    for number, entry in enumerate(entries):
        if number not in scores:
            rows.append({"image": entry.key, "label": None, "score": None, "error": problems[number]})
            continue
        if head and head.multilabel and top == 1:
            answers = [_several(head, scores[number])]
        else:
            best = scores[number].argsort()[::-1][:top]
            answers = [(classes[code], float(scores[number][code])) for code in best]
        rows += [{"image": entry.key, "label": name, "score": one, "error": None} for name, one in answers]
    return rows


def _write_gallery(entries: list[Entry], rows: list[dict[str, Any]], path: Path) -> None:
    """Draws images that have a label, with all their rows."""
    from embank.grids import Cell, drawn_rows, write_grid
    from embedder.images import decode_rgb
    from embedder.sources import read_entry
    from embedder.thumbnails import EDGE, make_thumbnail

    lines: dict[str, list[str]] = {}
    for row in rows:
        if row["error"] is None:
            lines.setdefault(row["image"], []).append(f"{row['label']} {row['score']:.3f}")
    shown = [entry for entry in entries if entry.key in lines]
    cells = []
    for number in drawn_rows(len(shown)):
        picture = make_thumbnail(decode_rgb(read_entry(shown[number]), EDGE)).jpeg
        cells.append(Cell(picture, tuple(lines[shown[number].key])))
    write_grid(cells, path)
    say(f"Gallery: {path}")


def _several(head: SavedHead, scores: NDArray[np.floating[Any]]) -> tuple[str, float]:
    """The labels of a probability above 0.5, joined, and the least of their probabilities.

    Where there is none: an empty label, and the probability that the likeliest one is absent.
    """
    named = scores > 0.5
    if not named.any():
        return "", float(1 - scores.max())
    separator = head.scheme.separator if head.scheme else ";"
    names = [name for name, one in zip(head.classes, named, strict=True) if one]
    return separator.join(names), float(scores[named].min())
