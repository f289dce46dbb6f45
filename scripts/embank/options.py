"""Options that several commands have, and the schemes that they ask for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from embank.console import say

if TYPE_CHECKING:
    from classifiers import Scheme
    from store import FeatureStore

CURVES = typer.Option(help="Draw the learning curves, CURVES.png.")
JSON = typer.Option("--json", help="Print one JSON document.")
SCHEMES = typer.Option(help="A YAML file of label schemes; else `folder` and the columns of label tables.")
SPLIT = typer.Option(help="auto, folder, random, or a column whose values are train, val and test.")
TEST_SIZE = typer.Option(min=0.01, max=0.99, help="Share of held-out images of a random split.")
SEED = typer.Option(min=0, help="Of a random split.")
GROUP = typer.Option(
    help="A column whose equal values (one animal, one scene) belong together: they stay on one side of a split, "
    "and intervals come from whole groups."
)
PLAIN = typer.Option("--plain", help="Do not train on the augmented views of a space that has some.")


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
