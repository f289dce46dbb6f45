"""What commands say of a network that they train: bars while it runs, then learning curves and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embank.console import percent, print_json, print_table, progress, say
from embank.figures import COLUMNS, figure_cells

if TYPE_CHECKING:
    from embank.finetuning import Show, Tuned


def open_bar(bars: ExitStack, what: str, unit: str = "batches") -> Show:
    """A progress bar in place of the one before."""
    bars.close()
    return bars.enter_context(progress(what, unit=unit))


def tell_training(
    tuned: Tuned, json: bool, start: str, subsets: Mapping[str, str], picture: Path | None
) -> None:
    """Prints notes, how it ended, learning curves and the figures on the test images.

    start: what epoch 0 is. subsets: what the rows of the figures are called. picture: where to draw the curves.
    """
    for note in tuned.notes:
        say(f"Note: {note}")
    document, trained = tuned.document, tuned.trained
    if trained.ended == "interrupted":
        say(
            f"Interrupted in epoch {trained.epochs + 1}: the weights of epoch {trained.kept} were the best and are "
            "kept."
        )
    elif trained.ended == "stopped early" or trained.kept < trained.epochs:
        say(f"After {trained.epochs} epochs the weights of epoch {trained.kept} are the best and are kept.")
    if json:
        print_json(document)
    else:
        _print_curves(trained.curves, trained.kept, start)
        _print_figures(document, subsets)
    if picture is not None:
        from embank.learning_curves import write_curves

        write_curves(trained.curves, picture, f"{document['scheme']}: {document['head']}")
        say(f"Learning curves: {picture}")


def _print_curves(curves: Mapping[str, Sequence[float]], kept: int, start: str) -> None:
    rows = [
        [
            f"{epoch}{' (kept)' if epoch == kept else ''}",
            *(f"{curves[name][epoch]:.4f}" for name in ("loss", "val_loss")),
            *(percent(curves[name][epoch]) for name in ("accuracy", "val_accuracy")),
        ]
        for epoch in range(len(curves["loss"]))
    ]
    columns = ["epoch", "loss", "validation loss", "accuracy", "validation accuracy"]
    print_table(f"Learning curves; epoch 0 is {start}", columns, rows)


def _print_figures(document: dict[str, Any], subsets: Mapping[str, str]) -> None:
    title = (
        f"{document['scheme']}: {document['head']} on {document['space']}, {len(document['classes'])} classes"
    )
    rows = [[subsets[row["subset"]], *figure_cells(row)] for row in document["rows"]]
    print_table(title, ["on the test images", *COLUMNS], rows)
