"""`embank similar`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embank.console import counted, print_json, print_table, progress, say
from embank.options import JSON, STORE

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from embank.queries import Query
    from store import FeatureStore, Space


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        "similar",
        short_help="Find the banked images that look most like one.",
        epilog="Example: embank similar pets.embank cats/12.jpg --gallery alike.html",
    )(_similar)


def _similar(
    store: Annotated[Path, STORE],
    image: Annotated[
        str,
        typer.Argument(
            help="A key of the store, or SOURCE:KEY, or a hash, or an image file, which is embedded if its bytes "
            "are not banked."
        ),
    ],
    space: Annotated[
        str | None, typer.Option(help="A space, or a backbone of which there is one recipe.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, max=1000, help="How many images.")] = 12,
    where: Annotated[
        str | None,
        typer.Option(help="Search only images for which this holds, such as \"split == 'train'\"."),
    ] = None,
    gallery: Annotated[
        Path | None, typer.Option(help="Write a page to look at, OUT.html, or a contact sheet, OUT.jpg.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="For a file: where the backbone's weights are, if not known here.")
    ] = None,
    engine: Annotated[str, typer.Option(help="For a file: auto, openvino or keras.")] = "auto",
    json: Annotated[bool, JSON] = False,
) -> None:
    """Find the banked images that look most like one, by the cosine of their vectors: an exact search."""
    from classifiers.expressions import matches
    from classifiers.similarity import similar
    from classifiers.training import only_space
    from embank.queries import find_query
    from store import FeatureStore

    _check_gallery(gallery)
    opened = FeatureStore(store)
    chosen = only_space(opened) if space is None else opened.space(space)
    images = opened.images()
    query = find_query(opened, image, images)
    among = images[matches(where, images)] if where else images
    vectors = _vectors(chosen, query, weights, engine)
    found = similar(opened, chosen.id, vectors, top, images=among)
    if json:
        print_json(_document(chosen, query, found))
    else:
        _tell(chosen, query, found, len(among))
    if gallery:
        _write_gallery(opened, chosen, query, found, gallery)
        say(f"Gallery: {gallery}")


def _check_gallery(path: Path | None) -> None:
    from embank.gallery import SUFFIXES

    if path and path.suffix.lower() not in SUFFIXES:
        raise typer.BadParameter(f"{path} is no gallery: expected a name ending in {', '.join(SUFFIXES)}.")
    if path and not path.absolute().parent.is_dir():
        raise typer.BadParameter(
            f"{path} cannot be written: there is no folder {path.parent}. Make it first."
        )


def _vectors(
    space: Space, query: Query, weights: str | None, engine: str
) -> pd.DataFrame | NDArray[np.float32]:
    """The query as `classifiers.similarity` takes it; a file whose bytes are banked needs no backbone."""
    from embank.queries import embed_query
    from store.columns import hashes_from_hex

    if query.data is not None and space.find(hashes_from_hex([query.hash]))[0] < 0:
        return embed_query(query, space, weights, engine)
    return query.banked.iloc[:1]


def _left_out(query: Query) -> list[str]:
    """Keys of images that have the bytes of the query."""
    found = query.banked
    return [
        key
        for key, source in zip(found["key"], found["source"], strict=True)
        if query.name not in (key, f"{source}:{key}")
    ]


def _document(space: Space, query: Query, found: pd.DataFrame) -> dict[str, Any]:
    return {
        "image": query.name,
        "hash": query.hash,
        "space": space.id,
        "left_out": _left_out(query),
        "rows": _rows(found),
    }


def _rows(found: pd.DataFrame) -> list[dict[str, Any]]:
    """What is said of each image; values that are missing are None."""
    import pandas as pd

    def plain(value: Any) -> Any:  # noqa: ANN401 (of any column)
        if pd.isna(value):
            return None
        return value.item() if hasattr(value, "item") else value

    labels = [name for name in found.columns if name.startswith("labels.")]
    columns = ["key", "source", "hash", "folder", "split", "similarity", "copies"]
    return [
        {name: plain(row[name]) for name in columns}
        | {"labels": {name.removeprefix("labels."): plain(row[name]) for name in labels}}
        for row in found.to_dict("records")
    ]


def _tell(space: Space, query: Query, found: pd.DataFrame, searched: int) -> None:
    rows = [row | row["labels"] for row in _rows(found)]
    labels = [name.removeprefix("labels.") for name in found.columns if name.startswith("labels.")]
    told = {name: [row[name] for row in rows] for name in ("source", "folder", "split", *labels, "copies")}
    telling = [name for name, values in told.items() if len(set(values)) > 1 or name in ("folder", *labels)]
    columns = ["similarity", "key", *telling]
    print_table(
        f"Nearest to {query.name} among {counted(searched, 'image')} in {space.id}",
        columns,
        [[row[name] for name in columns] for row in rows],
        ("copies", "split", "source"),
    )
    if others := _left_out(query):
        more = ", …" if len(others) > 3 else ""
        say(f"Left out, as it has the same bytes: {', '.join(others[:3])}{more}.")


def _write_gallery(store: FeatureStore, space: Space, query: Query, found: pd.DataFrame, path: Path) -> None:
    from embank.gallery import Shown, write_gallery
    from embedder.images import decode_rgb
    from embedder.thumbnails import EDGE, make_thumbnail, thumbnails

    with progress("pictures") as show:
        pictures = thumbnails(store, found, progress=lambda done, total: show(done, total, ""))
    own = thumbnails(store, query.banked)[0] if len(query.banked) else None
    if own is None and query.data is not None:
        own = make_thumbnail(decode_rgb(query.data, at_least=EDGE)).jpeg
    shown = [
        Shown(row["key"], picture, row["similarity"], _facts(row))
        for row, picture in zip(_rows(found), pictures, strict=True)
    ]
    about = [
        f"{counted(len(shown), 'image')} of {store.path.name}, nearest by the cosine of their vectors in {space.id}"
    ]
    if others := _left_out(query):
        about.append(f"Left out, as it has the same bytes: {', '.join(others)}")
    write_gallery(path, Shown(query.name, own, None), shown, about)


def _facts(row: dict[str, Any]) -> list[str]:
    labels = [f"{name}: {value}" for name, value in row["labels"].items() if value is not None]
    return [row["folder"], *labels] if row["folder"] else labels
