"""`embank export`: the vectors of a store, or a head with its backbone, for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embank.console import counted, print_json, progress, say
from embank.engines import known_settings
from embank.options import JSON

if TYPE_CHECKING:
    from classifiers.saved_heads import SavedHead
    from embedder.recipe import FrozenRecipe


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        "export",
        short_help="Write vectors, or a head with its backbone, for other programs.",
        epilog="Example: embank export pets.embank pets.h5ad --space ResNet50; or embank export pets.head pets.keras",
    )(_export)


def _export(
    what: Annotated[
        Path, typer.Argument(metavar="STORE|HEAD", help="A store, or a head that `embank train` saved.")
    ],
    out: Annotated[
        Path,
        typer.Argument(
            help="Of a store, a file ending in .h5, .npz, .parquet or .h5ad. Of a head, one ending in .keras, one "
            "ending in .xml (OpenVINO IR), or a folder (SavedModel)."
        ),
    ],
    space: Annotated[
        str | None, typer.Option(help="Of a store: a space, or a backbone of which there is one recipe.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Of a store: only the images of this source.")] = None,
    view: Annotated[int, typer.Option(min=0, help="Of a store: which augmented version.")] = 0,
    weights: Annotated[
        str | None, typer.Option(help="Of a head: where the backbone's weights are, if not known here.")
    ] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Write the vectors of a space with keys, folders, splits and labels to one file for other programs.

    Of a head: write it and its backbone as one model, from RGB pictures (n, size, size, 3) uint8, of the recipe's
    size, to class probabilities (n, classes).
    """
    if space is None and not what.exists():
        raise typer.BadParameter(f"there is no store and no head {what}.")
    if what.is_file() and space is None:
        _tell_model(out, export_head(what, out, weights), json)
        return
    if weights:
        raise typer.BadParameter("--weights goes with a head; a store has its vectors already.")
    if space is None:
        raise typer.BadParameter("say which vectors: --space SPACE, as `embank info` lists them.")
    from store import FeatureStore, export

    opened = FeatureStore(what)
    with progress("exporting") as show:
        rows = export(opened, out, space, source, view, lambda done, total: show(done, total, ""))
    chosen = opened.space(space)
    if json:
        print_json({"out": str(out), "space": chosen.id, "rows": rows, "dim": chosen.dim})
    else:
        print(f"{out}: {counted(rows, 'image')}, {chosen.dim} dimensions of {chosen.id}.")


def export_head(head_file: str | Path, out: str | Path, weights: str | None = None) -> dict[str, Any]:
    """Writes a saved head with its backbone as one model; returns what is said about it in the model itself.

    `out` decides the kind, as in `embedder.whole_models`. `weights`: of the backbone, if they are not known on
    this machine. Raises HeadFileError, HeadError, WeightsError or EmbedderError.
    """
    from classifiers import load_head
    from classifiers.networks import head_network
    from embedder.whole_models import HeadLayers, check_place, write_whole_model

    check_place(Path(out))
    saved = load_head(head_file)
    network = head_network(saved)
    frozen, settings = known_settings(saved.recipe, weights)
    about = _about(saved, frozen)
    write_whole_model(Path(out), frozen, settings, HeadLayers(*network), about)
    return about


def _about(saved: SavedHead, frozen: FrozenRecipe) -> dict[str, Any]:
    fitted = {
        "squash": "each picture resized to a square",
        "crop": "the middle square of each picture, resized",
        "pad": "each picture resized to fit into a square, the rest black",
    }[frozen.fit]
    several = "one for each label by itself" if saved.multilabel else "which add up to 1"
    return {
        "input": f"(n, {frozen.image_size}, {frozen.image_size}, 3) uint8 RGB: {fitted} with Pillow's bilinear filter, "
        "after turning it by its EXIF orientation",
        "output": f"(n, {len(saved.classes)}) float32 probabilities in the order of `classes`, {several}",
        "classes": list(saved.classes),
        "multilabel": saved.multilabel,
        "head": saved.head,
        "scheme": None if saved.scheme is None else saved.scheme.to_dict(),
        "space": saved.space,
        "recipe": saved.recipe,
        "figures": saved.figures,
        "versions": saved.versions,
    }


def _tell_model(out: Path, about: dict[str, Any], json: bool) -> None:
    if about["recipe"]["precision"] == "bfloat16":
        say(
            "Note: the model computes in float32, `embank predict` in bfloat16: probabilities differ a little."
        )
    if json:
        print_json(
            {
                "out": str(out),
                **{name: about[name] for name in ("space", "head", "classes", "input", "output")},
            }
        )
    else:
        print(f"{out}: takes {about['input']}; gives {about['output']}.")
