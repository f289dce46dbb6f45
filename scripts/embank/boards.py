"""A comparison on the terminal: its progress, its board, and the files that are made of it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embank.console import interval, percent, print_json, print_table, progress, say

if TYPE_CHECKING:
    import pandas as pd

    from classifiers import Scheme
    from classifiers.results import Comparison
    from store import FeatureStore


def compare_with_progress(
    store: FeatureStore,
    schemes: dict[str, Scheme],
    heads: list[str],
    spaces: list[str] | None,
    settings: dict[str, Any],
) -> Comparison:
    """`run_comparison` with a progress bar."""
    from classifiers import run_comparison

    with progress("comparing", unit="heads") as show:
        return run_comparison(store, schemes, heads, spaces, progress=show, **settings)


def print_board(board: pd.DataFrame) -> None:
    """The board as a table on standard output, spaces by their short names where these are enough."""
    short = board["space"].str.rsplit("-", n=1).str[0]
    spaces = short if short.nunique() == board["space"].nunique() else board["space"]
    shown = {
        "scheme": board["scheme"],
        "head": board["head"],
        "space": spaces,
        "classes": board["classes"],
        "train": board["n_train"],
        "test": board["n_test"],
        "accuracy": board["accuracy"].map(percent),
        "95 % interval": [
            interval(*ends) for ends in zip(board["accuracy_low"], board["accuracy_high"], strict=True)
        ],
        "balanced": board["balanced_accuracy"].map(percent),
        "macro F1": board["macro_f1"].map(percent),
        "majority": board["majority"].map(percent),
        "seconds": board["seconds"].map("{:.2f}".format),
    }
    least_needed = ("seconds", "majority", "macro F1", "train", "classes", "balanced", "space")
    rows = list(zip(*shown.values(), strict=True))
    print_table("", list(shown), rows, least_needed)


def save_report(
    store: FeatureStore, comparison: Comparison, settings: dict[str, Any], path: Path, command: str
) -> None:
    """The report of a comparison, with pictures from the store's sources."""
    from classifiers.report import write_report
    from embedder.thumbnails import thumbnails

    spaces = comparison.board["space"].unique()
    about = {
        "command": command,
        "store": str(store.path),
        **{key: value for key, value in settings.items() if value is not None},
        **{f"recipe of {space}": store.spaces[space].recipe for space in spaces},
    }
    write_report(
        path,
        comparison,
        title=f"Label schemes on {store.path.name}",
        pictures=lambda images: thumbnails(store, images),
        about=about,
    )


def tell_comparison(
    store: FeatureStore,
    comparison: Comparison,
    settings: dict[str, Any],
    csv: Path | None,
    report: Path | None,
    json: bool,
) -> None:
    """Prints the board of a comparison and what was left out, and writes what was asked for."""
    from store.commit import write_file

    for note in comparison.notes:
        say(f"Note: {note}")
    for _, sentence in comparison.errors:
        say(f"embank: {sentence}")
    board = comparison.board
    if json:
        errors = [{"scheme": scheme, "error": sentence} for scheme, sentence in comparison.errors]
        pairs = [pair.to_dict() for pair in comparison.pairs]
        print_json({"rows": [one.row() for one in comparison.results], "pairs": pairs, "errors": errors})
    elif len(board):
        print_board(board)
    _tell_splits(comparison)
    if csv:
        write_file(csv, board.to_csv(index=False).encode())
    if report and len(board):
        save_report(store, comparison, settings, report, shlex.join(["embank", *sys.argv[1:]]))
        say(f"Report: {report}")


def _tell_splits(comparison: Comparison) -> None:
    """Which images were held out, where it is not the same for all schemes by scheme."""
    schemes: dict[str, list[str]] = {}
    for result in comparison.results:
        names = schemes.setdefault(result.split, [])
        names += [result.scheme] if result.scheme not in names else []
    for split, names in schemes.items():
        say(f"Held out by: {split}" + (f" ({', '.join(names)})" if len(schemes) > 1 else ""))
