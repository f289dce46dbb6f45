"""Figures of saved heads on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from embank.console import counted, interval, percent, print_json, print_table, say

_OTHERS = {
    "micro_f1": "micro F1",
    "average_precision": "average precision",
    "top_5_accuracy": "top 5",
    "roc_auc": "ROC-AUC",
    "log_loss": "log-loss",
    "calibration_error": "calibration error",
}
COLUMNS = ("n", "accuracy", "95 % interval", "balanced", "macro F1")
_LEAST_NEEDED = ("calibration error", "log-loss", "top 5", "micro F1", "ROC-AUC")


def tell_figures(report: dict[str, Any], json: bool) -> None:
    """Prints what `train_head` or `evaluate_head` found, and says what was left out."""
    _tell_notes(report["notes"])
    if json:
        print_json(_without_notes(report))
    else:
        _print_table(report)


def tell_heads(found: dict[str, Any], json: bool) -> None:
    """Prints what `evaluate_heads` found: the figures of each head, then each two of them compared."""
    for report in found["heads"]:
        _tell_notes(f"{report['name']}: {note}" for note in report["notes"])
    _tell_notes(found["notes"])
    if json:
        heads = [_without_notes(report) for report in found["heads"]]
        print_json({"heads": heads, "pairs": found["pairs"]})
        return
    for report in found["heads"]:
        _print_table(report, f"{report['name']}, ")
    if found["pairs"]:
        _print_pairs(found["pairs"])


def figure_cells(row: dict[str, Any]) -> list[object]:
    """What a table says of a row of figures, below COLUMNS."""
    return [
        row["n"],
        percent(row["accuracy"]),
        interval(row["accuracy_low"], row["accuracy_high"]),
        percent(row["balanced_accuracy"]),
        percent(row["macro_f1"]),
    ]


def describe_curves(curves: dict[str, list[float]]) -> str:
    """`30 epochs: loss 1.812 → 0.214, accuracy …`."""
    changes = (f"{name} {values[0]:.3f} → {values[-1]:.3f}" for name, values in curves.items())
    return f"{counted(len(curves['loss']), 'epoch')}: {', '.join(changes)} (--json has all)."


def _tell_notes(notes: Iterable[str]) -> None:
    for note in notes:
        say(f"Note: {note}")


def _without_notes(report: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in report.items() if key != "notes"}


def _print_table(report: dict[str, Any], name: str = "") -> None:
    classes = len(report["classes"])
    title = f"{name}{report['scheme']}: {report['head']} on {report['space']}, {classes} classes"
    others = [key for key in _OTHERS if any(row.get(key) is not None for row in report["rows"])]
    columns = ["subset", *COLUMNS, *(_OTHERS[key] for key in others)]
    rows = [
        [
            row["subset"],
            *figure_cells(row),
            *(f"{row[key]:.3f}" if row[key] is not None else "" for key in others),
        ]
        for row in report["rows"]
    ]
    print_table(title, columns, rows, _LEAST_NEEDED)


def _print_pairs(pairs: Sequence[dict[str, Any]]) -> None:
    columns = [
        *("subset", "head", "against", "n", "difference", "95 % interval"),
        *("only the one right", "only the other", "McNemar p"),
    ]
    rows = [
        [
            pair["subset"],
            pair["head"],
            pair["other_head"],
            pair["n"],
            f"{100 * pair['difference']:+.1f}",
            "" if pair["low"] is None else f"{100 * pair['low']:+.1f} to {100 * pair['high']:+.1f}",
            pair["only_first"],
            pair["only_second"],
            pair["p_value"],
        ]
        for pair in pairs
    ]
    print_table(
        "Accuracies in points, each two heads on the images that neither was trained on:", columns, rows
    )
