"""`embank embed`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from embank.console import print_json, print_table, progress, say

if TYPE_CHECKING:
    from embedder import EmbedReport, Recipe


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        "embed",
        short_help="Embed a folder of images into a store.",
        epilog="Example: embank embed photos/ pets.embank --backbone ResNet50",
    )(_embed)


def _embed(
    source: Annotated[
        str, typer.Argument(help="A folder of images, or a .csv/.parquet table with a column path.")
    ],
    store: Annotated[Path, typer.Argument(help="The store, NAME.embank; made if it is absent.")],
    backbone: Annotated[list[str], typer.Option(help="A name of `embank backbones`; may repeat.")],
    weights: Annotated[
        list[str] | None,
        typer.Option(help="imagenet (the default), a file, or none (random); once, or once a backbone."),
    ] = None,
    pooling: Annotated[str, typer.Option(help="avg or max over the feature map.")] = "avg",
    layer: Annotated[str | None, typer.Option(help="Cut the backbone at this layer.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Pixels; the backbone's own by default.")] = None,
    fit: Annotated[str, typer.Option(help="How pictures become square: squash, crop or pad.")] = "squash",
    precision: Annotated[str, typer.Option(help="Of the arithmetic: float32 or bfloat16.")] = "float32",
    dtype: Annotated[str, typer.Option(help="Of the stored vectors: float32 or float16.")] = "float32",
    engine: Annotated[str, typer.Option(help="auto, openvino or keras.")] = "auto",
    batch_size: Annotated[
        int, typer.Option(min=1, max=4096, help="Images that the engine takes at once.")
    ] = 16,
    workers: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Threads that read and decode.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What the store calls this source.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N images.")] = None,
    max_failures: Annotated[
        str | None, typer.Option(help="End with exit 1 after more bad images than N or P%.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of random weights.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Embed a source into a store, committing as it goes; what is banked already is skipped."""
    from embedder import JobSettings, Recipe, RecipeError, embed

    chosen = weights or ["imagenet"]
    if len(chosen) == 1 and (len(backbone) == 1 or chosen[0] in ("imagenet", "none")):
        chosen *= len(backbone)
    if len(chosen) != len(backbone):
        raise RecipeError(
            f"{len(backbone)} backbones and {len(chosen)} --weights: a file fits one backbone, so give --weights "
            "once for each, in the same order."
        )
    recipes = [
        Recipe(each, file, layer, pooling, image_size, fit, precision, dtype, seed)
        for each, file in zip(backbone, chosen, strict=True)
    ]
    warn_of_random_weights(recipes)
    settings = JobSettings(engine, batch_size, workers, limit, max_failures)
    done = 0
    with progress("embedding") as show:

        def tell(so_far: EmbedReport) -> None:
            nonlocal done
            done = so_far.done
            show(so_far.done, so_far.listed, _failures(so_far))

        try:
            report = embed(source, store, recipes, name=name, settings=settings, progress=tell)
        except KeyboardInterrupt:
            say(f"{done} images are done and committed; the same command goes on from there.")
            raise
    _tell(report, store, json)
    if report.gave_up:
        say(f"Gave up: {report.gave_up}. `embank info {store} --errors` lists them.")
    if report.gave_up or not (report.embedded or report.skipped or report.duplicates):
        raise typer.Exit(1)


def warn_of_random_weights(recipes: list[Recipe]) -> None:
    """Says loudly that vectors of random weights have learned nothing."""
    names = ", ".join(recipe.backbone for recipe in recipes if recipe.weights == "none")
    if names:
        say(
            f"WARNING: {names} runs with random weights. Its vectors are good for trying things out, "
            "not for results: nothing in them was learned from images."
        )


def _failures(report: EmbedReport) -> str:
    return f"{report.failed} failed" if report.failed else ""


def _tell(report: EmbedReport, store: Path, json: bool) -> None:
    for note in report.notes:
        say(f"Note: {note}")
    if report.failed:
        say(f"{report.failed} images could not be embedded; `embank info {store} --errors` says why.")
    if json:
        print_json(report.to_dict())
        return
    columns = ["listed", "embedded", "skipped", "duplicates", "failed", "seconds", "images/s"]
    counts = [report.listed, report.embedded, report.skipped, report.duplicates, report.failed]
    row = [*counts, f"{report.seconds:.1f}", f"{report.images_per_second:.0f}"]
    print_table(f"{store}: {', '.join(report.space)}", columns, [row])
