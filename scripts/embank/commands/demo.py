"""`embank demo`: the whole story in one go, with nothing to download."""

from __future__ import annotations

import shutil
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from embank.boards import compare_with_progress, print_board, save_report
from embank.console import progress, say

if TYPE_CHECKING:
    from embedder import EmbedReport, Recipe

_BACKBONE = "MobileNetV2"
_EARLY = "block_3_expand_relu"  # deeper down, random filters wash out what the picture was
_MARK = "DEMO.txt"
_HEADS = ["ridge", "logistic"]
_SCHEMES = """\
# Label schemes on the demo's pictures: the columns of labels.csv, and two that are made of them.
place:
  from: labels.place
colour:
  from: labels.colour
count:
  from: labels.count
texture:
  from: labels.texture
shape:
  from: labels.shape
animal:                       # groups of an earlier scheme
  from: shape
  groups: {animal: [bird, butterfly, fish], thing: rest}
warm_alone:                   # only some of the pictures
  from: colour
  groups: {warm: [red, yellow], cool: rest}
  where: "labels.count == 1"
"""

_NEXT = f"""\
Next, with a folder of your own photos (one folder a class; train/ and val/ on top if you like):
  embank embed photos/ photos.embank --backbone {_BACKBONE}
  embank compare photos.embank --heads ridge,logistic --report photos.html
  embank train photos.embank --scheme folder --head ridge --out photos.head"""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        "demo", short_help="The whole story on pictures drawn by code.", epilog="Example: embank demo my-demo"
    )(_demo)


def _demo(
    folder: Annotated[Path, typer.Argument(help="Where to put pictures, store and report.")] = Path(
        "embank-demo"
    ),
    count: Annotated[int, typer.Option(min=60, max=20000, help="How many pictures to draw.")] = 600,
) -> None:
    """Draw pictures, embed them, compare label schemes and heads, write a report: nothing to download."""
    from embank.pictures import draw_pictures
    from store import FeatureStore, StoreWriter
    from store.commit import write_file
    from store.labels import make_label_table
    from store.tables import read_table

    pictures, store_path = folder / "pictures", folder / "demo.embank"
    _clear(folder, store_path)
    write_file(folder / _MARK, b"This folder is embank's demo; running the demo again makes it anew.\n")
    say(f"1. Drawing {count} pictures with five kinds of labels in {pictures}")
    labels = draw_pictures(pictures, count)
    schemes = folder / "schemes.yaml"
    write_file(schemes, _SCHEMES.encode())

    say(f"2. Embedding them with {_BACKBONE} into {store_path}")
    report = _embed(pictures, store_path)
    say(f"   {report.embedded} embedded; {report.images_per_second:.0f} a second")
    table, _ = make_label_table("labels", read_table(labels))
    StoreWriter(store_path).attach_labels(table)

    say(f"3. Comparing seven label schemes, {' and '.join(_HEADS)} heads, 80 % of the pictures to learn from")
    from classifiers import load_schemes

    store = FeatureStore(store_path)
    comparison = compare_with_progress(store, load_schemes(schemes), _HEADS, report.space, {})
    print_board(comparison)
    say("   An accuracy with a ! may be chance or a shortcut: the report says why.")
    html = folder / "report.html"
    save_report(store, comparison, {"heads": _HEADS}, html, f"embank demo {folder}")
    say(f"4. The report, with pictures: {html.resolve()}")
    print(_NEXT)


def _clear(folder: Path, store: Path) -> None:
    """Removes an earlier demo, and touches nothing else."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / _MARK).is_file():
        raise typer.BadParameter(f"{folder} is not empty, and not of an earlier demo: name a new folder.")
    for path in (store, folder / "pictures"):
        shutil.rmtree(path, ignore_errors=True)


def _embed(pictures: Path, store: Path) -> EmbedReport:
    """ImageNet weights if they are on disk or within quick reach, else random ones, said loudly."""
    from embedder import Recipe, WeightsError, embed
    from embedder.backbones import BACKBONES
    from embedder.weights import imagenet_is_here

    with progress("embedding") as show:

        def run(recipe: Recipe) -> EmbedReport:
            return embed(pictures, store, recipe, progress=lambda now: show(now.done, now.listed, ""))

        if imagenet_is_here(BACKBONES[_BACKBONE]) or _online():
            with suppress(WeightsError):
                return run(Recipe(_BACKBONE))
        say(
            "   The ImageNet weights cannot be reached from here, so the backbone gets random ones, and is cut early,\n"
            "   where random filters still see something: colours and rooms, but hardly textures or shapes, which\n"
            "   stay near chance. With ImageNet weights all of these schemes work."
        )
        return run(Recipe(_BACKBONE, weights="none", layer=_EARLY))


def _online() -> bool:
    """Whether the server that Keras downloads weights from answers within seconds."""
    try:
        with socket.create_connection(("storage.googleapis.com", 443), timeout=3):
            return True
    except OSError:
        return False
