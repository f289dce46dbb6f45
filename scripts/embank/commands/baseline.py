"""`embank baseline`."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from embank.console import say
from embank.options import (
    CURVES,
    EARLY_STOPPING,
    GROUP,
    JSON,
    LEARNING_RATE,
    LOSS,
    MOST_EPOCHS,
    OPTIMIZER,
    PATIENCE,
    SCHEMES,
    SPLIT,
    STEP_IMAGES,
    TEST_SIZE,
    VALIDATION_SIZE,
    chosen_scheme,
    patience_of,
)
from embank.trainings import open_bar, tell_training


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        "baseline",
        short_help="Train a small network from scratch, to compare with.",
        epilog="Example: embank baseline photos/ --scheme folder --augment "
        "flip,rotation=40,shift=0.2,shear=0.2,zoom=0.2,nearest --epochs 30 --curves curves.png",
    )(_baseline)


def _baseline(
    source: Annotated[str, typer.Argument(help="A source as for `embank embed`, or a store that lists one.")],
    scheme: Annotated[str, typer.Option(help="The scheme that gives the labels.")] = "folder",
    out: Annotated[Path | None, typer.Option(help="Where to save the network, CNN.keras.")] = None,
    schemes: Annotated[Path | None, SCHEMES] = None,
    epochs: Annotated[int, MOST_EPOCHS] = 15,
    batch_size: Annotated[int, STEP_IMAGES] = 20,
    optimizer: Annotated[str, OPTIMIZER] = "rmsprop",
    learning_rate: Annotated[float, LEARNING_RATE] = 1e-3,
    dropout: Annotated[
        float, typer.Option(help="Share of the last 512 numbers left out at each step.")
    ] = 0.0,
    augment: Annotated[
        str | None, typer.Option(help="Show each photo another way each epoch, such as flip,rotation=40.")
    ] = None,
    early_stopping: Annotated[bool, EARLY_STOPPING] = False,
    patience: Annotated[int | None, PATIENCE] = None,
    loss: Annotated[str, LOSS] = "auto",
    image_size: Annotated[int, typer.Option(min=22, max=2048, help="Pixels.")] = 150,
    fit: Annotated[str, typer.Option(help="squash, crop or pad.")] = "squash",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only N images of a source, drawn by --seed.")
    ] = None,
    split: Annotated[str, SPLIT] = "auto",
    test_size: Annotated[float, TEST_SIZE] = 0.2,
    validation_size: Annotated[float, VALIDATION_SIZE] = 0.1,
    group: Annotated[str | None, GROUP] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the split, the order of images, and first weights.")
    ] = 0,
    head_out: Annotated[
        Path | None, typer.Option(help="Where to save the last layer; beside --out by default, .head.")
    ] = None,
    curves: Annotated[Path | None, CURVES] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Train a small convolutional network from scratch on the photos themselves.

    It is what a frozen backbone has to beat: three convolutions, 512 numbers, one layer; schemes, splits and figures
    are those of `embank train`.
    """
    from embank.baselines import Baseline, listed_store, train_baseline
    from embank.finetuning import Watcher
    from embedder.finetuning import FinetuneSettings
    from store import FeatureStore

    waits = patience_of(early_stopping, patience)
    settings = FinetuneSettings(epochs, batch_size, optimizer, learning_rate, dropout, waits, seed)
    with ExitStack() as bars, tempfile.TemporaryDirectory(prefix="embank-") as scratch:
        show = open_bar(bars, "listing", "images")
        store = listed_store(source, Path(scratch), limit, seed, lambda done, total: show(done, total, ""))
        chosen = chosen_scheme(FeatureStore(store), scheme, schemes)
        task = Baseline(chosen, image_size, fit, augment, loss, split, test_size, validation_size, group)
        watcher = Watcher(say, None, lambda what: open_bar(bars, what))
        tuned = train_baseline(store, task, out, head_out, settings, watcher)
    subsets = {"before": "untrained", "held-out": "trained from scratch"}
    tell_training(tuned, json, "the untrained network", subsets, curves)
    _tell_places(tuned.document)
    if tuned.trained.ended == "interrupted":
        raise KeyboardInterrupt


def _tell_places(document: dict[str, Any]) -> None:
    say(f"Training {document['seconds']['training']:.1f} s.")
    if document["out"]:
        say(
            f"Saved to {document['out']} and {document['head_out']}. Label new photos with: embank predict "
            f"{document['head_out']} PHOTOS…"
        )
