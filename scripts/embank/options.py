"""Options that several commands have, and the schemes that they ask for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from embank.console import say

if TYPE_CHECKING:
    from classifiers import Scheme
    from store import FeatureStore

PATIENCE_EPOCHS = 3


def picture_option(text: str) -> Any:  # noqa: ANN401 (as typer.Option)
    """An option for a PNG or JPEG to be drawn; another kind of file is refused before anything runs."""

    def check(path: Path | None) -> Path | None:
        if path is not None:
            from embank.grids import picture_kind

            picture_kind(path)
        return path

    return typer.Option(help=text, callback=check)


def store_argument(text: str) -> Any:  # noqa: ANN401 (as typer.Argument)
    """An argument for a store: a directory, or a URL on an object store."""
    return typer.Argument(help=text, parser=_store_path, metavar="STORE")


def _store_path(text: str) -> Path:
    from store.object_path import store_path

    return store_path(text)


STORE = store_argument("The store, NAME.embank, or its URL, s3://BUCKET/NAME.embank.")
SPACE = typer.Option(help="A backbone or a space id; needed if there are several.")
CURVES = picture_option("Draw the learning curves, CURVES.png.")
JSON = typer.Option("--json", help="Print one JSON document.")
SCHEMES = typer.Option(help="A YAML file of label schemes; else `folder` and the columns of label tables.")
SPLIT = typer.Option(help="auto, folder, random, or a column whose values are train, val and test.")
TEST_SIZE = typer.Option(min=0.01, max=0.99, help="Share of held-out images of a random split.")
SEED = typer.Option(min=0, help="Of a random split.")
GROUP = typer.Option(
    help="A column whose equal values (one animal, one scene) belong together: they stay on one side of a split, "
    "and intervals come from whole groups."
)
ENGINE = typer.Option(help="auto, openvino or keras.")
WORKERS = typer.Option(min=1, max=1024, help="Threads that read and decode; one a processor.")
PART_WORKERS = typer.Option(
    min=1,
    max=1024,
    help="Processes, or Ray tasks, for vectors that do not fit in memory; by default threads, one a processor.",
)
RUNNER = typer.Option(help="Of what does not fit in memory: local, or ray, a Ray cluster (embank[ray]).")
ADDRESS = typer.Option(
    help="Of the Ray cluster, such as auto; by default RAY_ADDRESS, or one that is started here."
)
STEP_IMAGES = typer.Option(min=1, max=4096, help="Images of a training step.")
MOST_EPOCHS = typer.Option(min=1, help="At most.")
OPTIMIZER = typer.Option(help="rmsprop, adam or sgd.")
LEARNING_RATE = typer.Option(help="Of the optimizer.")
EARLY_STOPPING = typer.Option(
    "--early-stopping", help="End when the validation loss no longer falls; keep the best weights."
)
PATIENCE = typer.Option(min=1, help=f"Epochs that --early-stopping waits; {PATIENCE_EPOCHS} by default.")
LOSS = typer.Option(help="Cross-entropy: auto, binary (one node) or categorical.")
VALIDATION_SIZE = typer.Option(
    min=0.01, max=0.99, help="Share of the training images to validate on, if no column says which."
)
PLAIN = typer.Option("--plain", help="Do not train on the augmented views of a space that has some.")


def patience_of(early_stopping: bool, patience: int | None) -> int | None:
    """Epochs to wait; None trains them all. Raises BadParameter for a patience that nothing has."""
    if patience and not early_stopping:
        raise typer.BadParameter("--patience goes with --early-stopping.")
    return (patience or PATIENCE_EPOCHS) if early_stopping else None


def sound_schemes(store: FeatureStore, path: Path | None) -> tuple[dict[str, Scheme], list[tuple[str, str]]]:
    """The schemes of a file, or those that a store has by itself, and (name, sentence) of each that is wrong.

    Raises SchemeError if the file as a whole cannot be read.
    """
    from classifiers import default_schemes, read_schemes

    if path is not None:
        return read_schemes(path)
    schemes, notes = default_schemes(store.images())
    for note in notes:
        say(f"Note: {note}")
    return schemes, []


def chosen_schemes(store: FeatureStore, path: Path | None) -> dict[str, Scheme]:
    """Those that are sound; says what is wrong with the others. Raises SchemeError if none is sound."""
    from classifiers import SchemeError

    schemes, errors = sound_schemes(store, path)
    if errors and not schemes:
        raise SchemeError(errors[0][1])
    for _, sentence in errors:
        say(f"Note: {sentence}")
    return schemes


def chosen_scheme(store: FeatureStore, name: str, path: Path | None) -> Scheme:
    """One of them. Raises SchemeError, naming the nearest, or saying what is wrong with it."""
    from classifiers import SchemeError

    schemes, errors = sound_schemes(store, path)
    if name in dict(errors) and name not in schemes:
        raise SchemeError(dict(errors)[name])
    return named_scheme(schemes, name, str(path or store.path))


def named_scheme(schemes: dict[str, Scheme], name: str, where: str) -> Scheme:
    """The scheme of this name. Raises SchemeError, naming the nearest."""
    from classifiers import SchemeError
    from classifiers.suggestions import suggest

    if name not in schemes:
        raise SchemeError(f"{where} has no scheme {name!r}. {suggest(name, schemes)}")
    return schemes[name]
