"""A comparison on the terminal: its progress, its board, and the files that are made of it."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embank.console import interval, percent, print_json, print_table, progress, say

if TYPE_CHECKING:
    import pandas as pd

    from classifiers import Scheme
    from classifiers.curves import FewShot
    from classifiers.results import Comparison
    from store import FeatureStore


def compare_with_progress(
    store: FeatureStore,
    schemes: dict[str, Scheme],
    heads: list[str],
    spaces: list[str] | None,
    settings: dict[str, Any],
) -> Comparison:
    """`run_comparison` with a progress bar, and with the pictures of the store's sources."""
    from classifiers import run_comparison
    from embedder.thumbnails import thumbnails

    with progress("comparing", unit="heads") as show:
        return run_comparison(
            store,
            schemes,
            heads,
            spaces,
            pictures=lambda images: thumbnails(store, images),
            progress=show,
            **settings,
        )


def print_board(comparison: Comparison) -> None:
    """The board as a table on standard output, spaces by their short names where these are enough.

    Accuracies that an audit warns of get a `!`.
    """
    board = comparison.board
    doubtful = {(audit.scheme, audit.space) for audit in comparison.audits if audit.warnings}
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
        **({"!": _marks(board, doubtful)} if doubtful else {}),
        "95 % interval": [
            interval(*ends) for ends in zip(board["accuracy_low"], board["accuracy_high"], strict=True)
        ],
        "balanced": board["balanced_accuracy"].map(percent),
        "macro F1": board["macro_f1"].map(percent),
        "majority": board["majority"].map(percent),
        **_honest(board),
        "seconds": board["seconds"].map("{:.2f}".format),
    }
    least_needed = (
        *("seconds", "leaks", "macro F1", "majority", "train", "p", "ceiling", "classes", "balanced"),
        *("nuisance", "space"),
    )
    rows = list(zip(*shown.values(), strict=True))
    print_table("", list(shown), rows, least_needed)


def _marks(board: pd.DataFrame, doubtful: Collection[tuple[str, str]]) -> list[str]:
    return ["!" if where in doubtful else "" for where in zip(board["scheme"], board["space"], strict=True)]


def _honest(board: pd.DataFrame) -> dict[str, list[str]]:
    """The columns of audits that some row has."""
    columns = {
        "nuisance": board["nuisance"].astype(float).map(percent),
        "ceiling": board["ceiling"].astype(float).map(percent),
        "p": board["p_holm"].astype(float).map(_probability),
        "leaks": board["leaks"].astype(float).map(lambda count: "–" if math.isnan(count) else f"{count:.0f}"),
    }
    known = board[["nuisance", "ceiling", "p_holm", "leaks"]].notna().any().tolist()
    return {name: list(cells) for (name, cells), some in zip(columns.items(), known, strict=True) if some}


def _probability(p: float) -> str:
    return "–" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def save_report(
    store: FeatureStore, comparison: Comparison, settings: dict[str, Any], path: Path, command: str
) -> None:
    """The report of a comparison, with pictures from the store's sources, learning curves and maps."""
    from classifiers.report import best_results, vector_maps, write_report
    from embedder.thumbnails import thumbnails

    best = list(best_results(comparison.results).values())
    curves = _learning_curves(store, comparison, dict.fromkeys(one.space for one in best), settings)
    spaces = comparison.board["space"].unique()
    about = {
        "command": command,
        "store": str(store.path),
        **{
            key: value
            for key, value in settings.items()
            if not (value is None or value is False or value == (None,))
        },
        **{f"recipe of {space}": store.spaces[space].recipe for space in spaces},
    }
    write_report(
        path,
        comparison,
        title=f"Label schemes on {store.path.name}",
        pictures=lambda images: thumbnails(store, images),
        about=about,
        curves=curves,
        maps=vector_maps(store, comparison, best),
    )


def _learning_curves(
    store: FeatureStore, comparison: Comparison, spaces: Iterable[str], settings: dict[str, Any]
) -> list[FewShot]:
    """Accuracy by the number of labelled images, by ridge heads on these spaces; what fails is said, and left out."""
    from classifiers import ClassifierError
    from classifiers.curves import few_shots

    curves: list[FewShot] = []
    options = {"seed": settings.get("seed", 0), "group": settings.get("group")}
    with progress("learning curves", unit="heads") as show:
        for space in spaces:
            try:
                curves += few_shots(store, comparison, space, progress=show, **options)
            except ClassifierError as error:
                say(f"Note: no learning curves on {space}: {error}")
    return curves


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
        audits = [audit.to_dict() for audit in comparison.audits]
        print_json({"rows": comparison.rows(), "pairs": pairs, "audits": audits, "errors": errors})
    elif len(board):
        print_board(comparison)
    _tell_warnings(comparison)
    _tell_splits(comparison)
    if csv:
        write_file(csv, board.to_csv(index=False).encode())
    if report and len(board):
        save_report(store, comparison, settings, report, shlex.join(["embank", *sys.argv[1:]]))
        say(f"Report: {report}")


def _tell_warnings(comparison: Comparison) -> None:
    """What the marks of the board mean."""
    several = len({audit.space for audit in comparison.audits}) > 1
    for audit in comparison.audits:
        for warning in audit.warnings:
            where = f"{audit.scheme} on {audit.space}" if several else audit.scheme
            say(f"! {where}: {warning}")


def _tell_splits(comparison: Comparison) -> None:
    """Which images were held out, where it is not the same for all schemes by scheme."""
    schemes: dict[str, list[str]] = {}
    for result in comparison.results:
        names = schemes.setdefault(result.split, [])
        names += [result.scheme] if result.scheme not in names else []
    for split, names in schemes.items():
        say(f"Held out by: {split}" + (f" ({', '.join(names)})" if len(schemes) > 1 else ""))
