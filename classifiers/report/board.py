"""The board of a report: its rows, and what they can be filtered by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from classifiers.report.honest import audit_of
from classifiers.results import Comparison, Result
from classifiers.suggestions import counted

_FILTERS = ("scheme", "head", "space")


def summary(comparison: Comparison) -> str:
    """One sentence: what was compared."""
    board = comparison.board
    counts = [counted(board[column].nunique(), column) for column in _FILTERS]
    return f"{counts[0]} × {counts[1]} × {counts[2]} on {counted(len(comparison.images), 'image')}"


def board_rows(comparison: Comparison, best: Mapping[str, Result]) -> list[dict[str, Any]]:
    """The rows of the board, linked to the scheme's section.

    `best` are those of each scheme's highest accuracy, `level` the others that may be as good.
    """
    level = {(one.scheme, one.other_head, one.other_space) for one in comparison.pairs if one.level}
    places = {scheme: number for number, scheme in enumerate(best)}
    rivals = {scheme: _rival(result, comparison) for scheme, result in best.items()}
    warned = {(one.scheme, one.space) for one in comparison.audits if one.warnings}
    rows = []
    for record in comparison.board.to_dict("records"):
        row = {str(name): value for name, value in record.items()}
        top = best.get(row["scheme"])
        row["best"] = top is not None and row["accuracy"] == top.figures.accuracy
        row["level"] = not row["best"] and (row["scheme"], row["head"], row["space"]) in level
        row["section"] = places.get(row["scheme"])
        row["warned"] = (row["scheme"], row["space"]) in warned
        row["rival"] = rivals.get(row["scheme"])
        rows.append(row)
    return rows


def choices(board: pd.DataFrame) -> dict[str, list[str]]:
    """The values of each column that the board can be filtered by, where there are several."""
    found = {name: list(dict.fromkeys(board[name].astype(str))) for name in _FILTERS}
    return {name: values for name, values in found.items() if len(values) > 1}


def _rival(result: Result, comparison: Comparison) -> float | None:
    """What size and colour alone reach on the scheme."""
    audit = audit_of(result, comparison.audits)
    return audit.nuisance.accuracy if audit and audit.nuisance else None
