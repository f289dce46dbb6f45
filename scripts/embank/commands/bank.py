"""`embank info` and `verify`: what is in a store, and whether it is sound."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embank.console import counted, print_json, print_table, progress, say
from embank.options import JSON, STORE, picture_option

if TYPE_CHECKING:
    from store import FeatureStore


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(
        "info", short_help="Show what is in a store.", epilog="Example: embank info pets.embank --errors"
    )(_info)
    app.command(
        "verify", short_help="Check that a store is sound.", epilog="Example: embank verify pets.embank"
    )(_verify)


def _info(
    store: Annotated[Path, STORE],
    errors: Annotated[
        bool, typer.Option("--errors", help="List the images that could not be embedded.")
    ] = False,
    samples: Annotated[
        Path | None, picture_option("Draw some of the images with their names and sizes, OUT.png.")
    ] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Show sources, spaces, rows, errors, label tables, heads and size on disk."""
    from store import FeatureStore

    opened = FeatureStore(store)
    if samples:
        _write_samples(opened, samples)
    summary = opened.summary()
    if json:
        print_json(summary | ({"error_rows": opened.errors().to_dict("records")} if errors else {}))
        return
    _print_summary(store, summary)
    if errors:
        rows = opened.errors().to_numpy().tolist()
        print_table("Images that could not be embedded", ["source", "image", "why"], rows)


def _write_samples(store: FeatureStore, path: Path) -> None:
    from embank.grids import drawn_rows, sample_cells, write_grid

    images = store.images()
    write_grid(sample_cells(store, images.iloc[drawn_rows(len(images))]), path)
    say(f"Samples: {path}")


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
    store: Annotated[Path, STORE],
    json: Annotated[bool, JSON] = False,
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
