"""`embank finetune`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embank.console import say
from embank.engines import warn_of_random_weights
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
    WORKERS,
    chosen_scheme,
    patience_of,
    store_argument,
)
from embank.trainings import open_bar, tell_training

if TYPE_CHECKING:
    from embank.finetuning import Show
    from embedder import EmbedReport


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        "finetune",
        short_help="Tune the upper layers of a backbone, from banked activations.",
        epilog="Example: embank finetune pets.embank --scheme species --backbone ResNet101V2 --from-layer 100 "
        "--epochs 10 --early-stopping --out tuned.keras",
    )(_finetune)


def _finetune(
    store: Annotated[Path, store_argument("The store; its sources must still be where they were.")],
    scheme: Annotated[str, typer.Option(help="The scheme that gives the labels.")],
    from_layer: Annotated[
        str,
        typer.Option(
            help="The first layer that is trained: its number, as in `for layer in model.layers[:N]: layer.trainable "
            "= False`, or its name."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Where to save the tuned backbone, TUNED.keras.")],
    backbone: Annotated[
        str | None, typer.Option(help="A name of `embank backbones`, or a .keras file.")
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(
            help="In place of --backbone: as a space of the store was made; its only one by default."
        ),
    ] = None,
    schemes: Annotated[Path | None, SCHEMES] = None,
    epochs: Annotated[int, MOST_EPOCHS] = 10,
    batch_size: Annotated[int, STEP_IMAGES] = 32,
    optimizer: Annotated[str, OPTIMIZER] = "rmsprop",
    learning_rate: Annotated[float, LEARNING_RATE] = 1e-4,
    dropout: Annotated[float, typer.Option(help="Share of the pooled vector left out at each step.")] = 0.0,
    early_stopping: Annotated[bool, EARLY_STOPPING] = False,
    patience: Annotated[int | None, PATIENCE] = None,
    loss: Annotated[str, LOSS] = "auto",
    head: Annotated[str, typer.Option(help="The linear head to start from: ridge or logistic.")] = "ridge",
    plain: Annotated[
        bool,
        typer.Option("--plain", help="Train end to end: decode every photo and run every layer each epoch."),
    ] = False,
    augment: Annotated[
        str | None, typer.Option(help="Train on augmented views, such as flip,rotation=40,zoom=0.2.")
    ] = None,
    views: Annotated[
        int | None, typer.Option(min=1, max=100, help="Augmented views of each image to bank; 4 by default.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="imagenet (the default), a file, or none (random).")
    ] = None,
    image_size: Annotated[int | None, typer.Option(help="Pixels; the backbone's own by default.")] = None,
    fit: Annotated[str | None, typer.Option(help="squash (the default), crop or pad.")] = None,
    preprocessing: Annotated[
        str | None, typer.Option(help="What a model of your own expects: raw, unit, symmetric, caffe, torch.")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="Of the banked activations: float32 (the default) or float16.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="Of the frozen part: float32 (the default) or bfloat16.")
    ] = None,
    engine: Annotated[str, typer.Option(help="Of the frozen part: auto, openvino or keras.")] = "auto",
    workers: Annotated[int | None, WORKERS] = None,
    split: Annotated[str, SPLIT] = "auto",
    test_size: Annotated[float, TEST_SIZE] = 0.2,
    validation_size: Annotated[float, VALIDATION_SIZE] = 0.1,
    group: Annotated[str | None, GROUP] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the split, the order of images, and random weights.")
    ] = 0,
    head_out: Annotated[
        Path | None, typer.Option(help="Where to save the head; beside --out by default, .head.")
    ] = None,
    curves: Annotated[Path | None, CURVES] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Tune the upper layers of a backbone for a scheme.

    The frozen lower part runs once and is banked; the upper part trains from the bank, starting from the linear head.
    """
    from embank.finetuning import Task, Watcher, finetune
    from embank.tuning_recipes import tuning_recipe
    from embedder import JobSettings
    from embedder.finetuning import FinetuneSettings
    from store import FeatureStore

    waits = patience_of(early_stopping, patience)
    settings = FinetuneSettings(epochs, batch_size, optimizer, learning_rate, dropout, waits, seed)
    opened = FeatureStore(store)
    options = {
        "image_size": image_size,
        "fit": fit,
        "preprocessing": preprocessing,
        "dtype": dtype,
        "precision": precision,
        "augment": augment,
        "views": views,
        "seed": seed,
    }
    recipe = tuning_recipe(opened, backbone, space, options, weights)
    warn_of_random_weights([recipe])
    first = int(from_layer) if from_layer.isdigit() else from_layer
    chosen = chosen_scheme(opened, scheme, schemes)
    task = Task(recipe, first, chosen, loss, head, plain, split, test_size, validation_size, group)
    job = JobSettings(engine, workers=workers, seed=seed)
    with ExitStack() as bars:
        watcher = Watcher(say, _embedding(bars), lambda what: open_bar(bars, what))
        tuned = finetune(store, task, out, head_out, settings, job, watcher)
    tell_training(tuned, json, "the linear head", {"before": "linear head", "held-out": "fine-tuned"}, curves)
    _tell_places(tuned.document)
    if tuned.trained.ended == "interrupted":
        raise KeyboardInterrupt


def _embedding(bars: ExitStack) -> Callable[[EmbedReport], None]:
    """Shows a run of `embed`; each bar takes the place of the one before."""
    bar: list[Show] = []

    def tell(report: EmbedReport) -> None:
        if not bar:
            bar.append(open_bar(bars, "banking", "images"))
        bar[0](report.done, report.listed, f"{report.failed} failed" if report.failed else "")

    return tell


def _tell_places(document: dict[str, Any]) -> None:
    seconds = document["seconds"]
    say(
        f"Banking {seconds['banking']:.1f} s, first look and linear head {seconds['start']:.1f} s, training "
        f"{seconds['training']:.1f} s."
    )
    say(
        f"Saved to {document['out']} and {document['head_out']}. Label new photos with: embank predict "
        f"{document['head_out']} PHOTOS…; embed with it: embank embed PHOTOS STORE --backbone {document['out']}"
    )
