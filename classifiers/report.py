"""A comparison as one HTML file: the board, then for each scheme its classes, confusions and pictures.

The file is whole in itself: it opens offline, in light or dark, on a phone or by a screen reader.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from classifiers.evaluation import Figures
from classifiers.labels import class_names
from classifiers.results import Comparison, Result
from classifiers.suggestions import counted
from store.commit import write_file

Pictures = Callable[[pd.DataFrame], Sequence[bytes | None]]

_GRID = 24  # held-out pictures a scheme
_MISTAKES = 16  # of them at most; the rest is left for right ones
_SAMPLES = 36  # example pictures a scheme, shared out among its classes
_PICTURES = 600  # aimed at in the whole file: about 3 MB of thumbnails
_WIDEST_MATRIX = 20  # classes; beyond that a list of the most frequent confusions says more
_LONGEST_LIST = 60  # classes listed a scheme
_LONGEST_MISTAKES = 15
_NONE = "none"
_FIGURES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "micro_f1": "Micro F1",
    "top_5_accuracy": "Top-5 accuracy",
    "roc_auc": "ROC-AUC",
    "average_precision": "Average precision, macro",
    "micro_average_precision": "Average precision, micro",
    "log_loss": "Log-loss",
    "calibration_error": "Calibration error",
}
_OPEN = 8  # with more schemes than this their sections start closed


def write_report(
    path: Path, comparison: Comparison, *, title: str, pictures: Pictures, about: Mapping[str, Any]
) -> None:
    """Writes the report of a comparison to `path`, replacing what was there.

    pictures: gets rows of `comparison.images` and returns a JPEG thumbnail for each, or None where the file is
    gone. It is called at most once, each image is in it once; 160 pixels and 4 kB a picture keep the file small.
    about: how this was made (recipe, versions, split, seed, command, …), shown as it is; values that are not
    strings are shown as JSON. Raises store.StoreWriteError.
    """
    best = best_results(comparison.results)
    level = {(one.scheme, one.other_head, one.other_space) for one in comparison.pairs if one.level}
    shown = _Shown()
    share = max(12, _PICTURES // max(1, len(best)))
    sections = [_section(result, comparison.images, shown, share) for result in best.values()]
    text = _template().render(
        title=title,
        summary=_summary(comparison),
        date=datetime.now().astimezone(),
        version=version("embank"),
        rows=_board_rows(comparison.board, best, level),
        errors=comparison.errors,
        sections=sections,
        sections_open=len(sections) <= _OPEN,
        styles=shown.styles(comparison.images, pictures),
        about={name: _written(value) for name, value in about.items()},
    )
    write_file(path, text.encode())


def best_results(results: Sequence[Result]) -> dict[str, Result]:
    """The most accurate result of each scheme; the first of equals."""
    best: dict[str, Result] = {}
    for result in results:
        if result.scheme not in best or result.figures.accuracy > best[result.scheme].figures.accuracy:
            best[result.scheme] = result
    return best


class _Shown:
    """The pictures of the report. Each is embedded once, as a CSS class that any number of places name."""

    def __init__(self) -> None:
        self._rows: dict[int, None] = {}

    def name(self, row: int) -> str:
        """The CSS class of the image in this row of the images."""
        self._rows[row] = None
        return f"p{row}"

    def styles(self, images: pd.DataFrame, pictures: Pictures) -> dict[str, str]:
        """CSS class to base64 of the JPEG, for every image named so far that still has a picture."""
        rows = list(self._rows)
        thumbnails = pictures(images.iloc[rows]) if rows else []
        pairs = zip(rows, thumbnails, strict=True)
        return {f"p{row}": base64.b64encode(data).decode() for row, data in pairs if data}


def _summary(comparison: Comparison) -> str:
    """One sentence: what was compared."""
    board = comparison.board
    counts = [counted(board[column].nunique(), column) for column in ("scheme", "head", "space")]
    return f"{counts[0]} × {counts[1]} × {counts[2]} on {counted(len(comparison.images), 'image')}"


def _board_rows(
    board: pd.DataFrame, best: Mapping[str, Result], level: set[tuple[str, str, str]]
) -> list[dict[str, Any]]:
    """The rows of the board, linked to the scheme's section.

    `best` are those of each scheme's highest accuracy, `level` the others that may be as good.
    """
    places = {scheme: number for number, scheme in enumerate(best)}
    rows = []
    for record in board.to_dict("records"):
        row = {str(name): value for name, value in record.items()}
        top = best.get(row["scheme"])
        row["best"] = top is not None and row["accuracy"] == top.figures.accuracy
        row["level"] = not row["best"] and (row["scheme"], row["head"], row["space"]) in level
        row["section"] = places.get(row["scheme"])
        rows.append(row)
    return rows


def _section(result: Result, images: pd.DataFrame, shown: _Shown, share: int) -> dict[str, Any]:
    """What the template needs of one scheme: at most about `share` pictures."""
    labels = result.labels
    names = labels.classes
    return {
        "result": result,
        "n_train": len(result.train),
        "n_test": len(result.test),
        "classes": _class_rows(result, images, shown, min(_SAMPLES, share // 2)),
        "more_classes": max(0, len(names) - _LONGEST_LIST),
        "names": names,
        "figures": _figures(result.figures),
        "matrix": _matrix(result) if len(names) <= _WIDEST_MATRIX and not labels.multilabel else None,
        "confusions": [
            {"true": names[i], "predicted": names[j], "count": count}
            for i, j, count in result.figures.mistakes[:_LONGEST_MISTAKES].tolist()
        ],
        "grid": _grid(result, images, shown, min(_GRID, share // 2)),
    }


def _figures(figures: Figures) -> list[dict[str, Any]]:
    """The figures that are defined, each with its interval."""
    flat = figures.to_dict()
    return [
        {"name": title, "value": flat[name], "low": flat[f"{name}_low"], "high": flat[f"{name}_high"]}
        | {"share": name != "log_loss"}
        for name, title in _FIGURES.items()
        if flat[name] is not None
    ]


def _class_rows(result: Result, images: pd.DataFrame, shown: _Shown, samples: int) -> list[dict[str, Any]]:
    """The classes with their counts and a few pictures, spread over the images of the class."""
    codes, counts = result.labels.codes, result.figures.counts
    each = int(np.clip(samples // max(1, len(result.labels.classes)), 1, 6))
    precision, recall = counts.precision, counts.recall
    rows = []
    for code, name in enumerate(result.labels.classes[:_LONGEST_LIST]):
        of_class = codes[:, code] == 1 if result.labels.multilabel else codes == code
        members = np.flatnonzero(of_class)
        chosen = members[np.linspace(0, len(members) - 1, min(each, len(members))).astype(int)]
        row = {"name": name, "n_train": int(of_class[result.train].sum()), "n_test": int(counts.actual[code])}
        row |= {"precision": float(precision[code]), "recall": float(recall[code])}
        row["samples"] = [_picture(int(i), name, images, shown) for i in chosen] if code < samples else []
        rows.append(row)
    return rows


def _picture(row: int, label: str, images: pd.DataFrame, shown: _Shown) -> dict[str, str]:
    key = str(images["key"].iloc[row])
    return {"style": shown.name(row), "alt": f"{key}: {label}", "key": key}


def _matrix(result: Result) -> list[list[dict[str, Any]]]:
    """Cells of the confusion matrix with their share of the row, for the shading."""
    confusion = result.figures.confusion
    totals = confusion.sum(axis=1)
    return [
        [{"count": int(n), "share": round(float(n / total), 3) if total else 0.0} for n in row]
        for row, total in zip(confusion, totals, strict=True)
    ]


def _grid(result: Result, images: pd.DataFrame, shown: _Shown, size: int) -> list[dict[str, Any]]:
    """Held-out pictures: the most confident mistakes first, then right ones spread over the test rows."""
    labels, scores = result.labels, result.confidence
    mistakes, right = np.flatnonzero(~result.right), np.flatnonzero(result.right)
    if scores is not None:
        mistakes = mistakes[np.argsort(-scores[mistakes], kind="stable")]
    mistakes = mistakes[: max(size * _MISTAKES // _GRID, size - len(right))]
    spread = np.linspace(0, len(right) - 1, min(size - len(mistakes), len(right))).astype(int)
    chosen = np.concatenate([mistakes, right[spread]])
    truth, said = (
        class_names(labels.classes, codes[chosen], f"{labels.separator} ")
        for codes in (labels.codes[result.test], result.predicted)
    )
    cells = []
    for i, true, predicted in zip(chosen, truth, said, strict=True):
        cell: dict[str, Any] = _picture(int(result.test[i]), true or _NONE, images, shown)
        cell |= {"right": bool(result.right[i]), "true": true or _NONE, "predicted": predicted or _NONE}
        cell["score"] = None if scores is None else float(scores[i])
        cells.append(cell)
    return cells


def _written(value: object) -> dict[str, str]:
    """A value of `about` as text, and whether it is a line or a block."""
    if isinstance(value, str):
        return {"kind": "line", "text": value}
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return {"kind": "block" if "\n" in text else "line", "text": text}


def _percent(share: float | None, digits: int = 1) -> str:
    return "–" if share is None or pd.isna(share) else f"{share * 100:.{digits}f}\u202f%"


def _duration(seconds: float) -> str:
    if pd.isna(seconds):
        return "–"
    return f"{seconds * 1000:.0f}\u202fms" if seconds < 1 else f"{seconds:.1f}\u202fs"


@cache
def _template() -> Template:
    folder = Path(__file__).parent / "templates"
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,  # keys, class names and titles are other people's text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "duration": _duration}
    return environment.get_template("report.html.j2")
