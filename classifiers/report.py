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
from typing import Any, Protocol

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from numpy.typing import NDArray

from store.commit import write_file

Pictures = Callable[[pd.DataFrame], Sequence[bytes | None]]

_GRID = 24  # held-out pictures a scheme
_MISTAKES = 16  # of them at most; the rest is left for right ones
_SAMPLES = 36  # example pictures a scheme, shared out among its classes
_PICTURES = 600  # aimed at in the whole file: about 3 MB of thumbnails
_WIDEST_MATRIX = 20  # classes; beyond that a list of the most frequent confusions says more
_LONGEST_LIST = 60  # classes listed a scheme
_OPEN = 8  # with more schemes than this their sections start closed


class Figures(Protocol):
    """The figures of a result that a report shows."""

    @property
    def accuracy(self) -> float: ...
    @property
    def accuracy_low(self) -> float: ...
    @property
    def accuracy_high(self) -> float: ...
    @property
    def confusion(self) -> NDArray[Any]: ...


class SchemeLabels(Protocol):
    """Labels of one scheme: `codes` over all images, -1 for none."""

    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def codes(self) -> NDArray[Any]: ...


class Result(Protocol):
    """One head on one scheme and space; `train` and `test` are row numbers of the images."""

    @property
    def scheme(self) -> str: ...
    @property
    def head(self) -> str: ...
    @property
    def space(self) -> str: ...
    @property
    def labels(self) -> SchemeLabels: ...
    @property
    def train(self) -> NDArray[Any]: ...
    @property
    def test(self) -> NDArray[Any]: ...
    @property
    def predicted(self) -> NDArray[Any]: ...
    @property
    def probabilities(self) -> NDArray[Any] | None: ...
    @property
    def figures(self) -> Figures: ...


class Comparison(Protocol):
    """What `classifiers.comparing` makes: the board, the images it is about, and every result behind it."""

    @property
    def board(self) -> pd.DataFrame: ...
    @property
    def images(self) -> pd.DataFrame: ...
    @property
    def results(self) -> Sequence[Result]: ...
    @property
    def errors(self) -> Sequence[tuple[str, str]]: ...


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
    shown = _Shown()
    share = max(12, _PICTURES // max(1, len(best)))
    sections = [_section(result, comparison.images, shown, share) for result in best.values()]
    text = _template().render(
        title=title,
        summary=_summary(comparison),
        date=datetime.now().astimezone(),
        version=version("embank"),
        rows=_board_rows(comparison.board, best),
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
    counts = [_counted(board[column].nunique(), column) for column in ("scheme", "head", "space")]
    return f"{counts[0]} × {counts[1]} × {counts[2]} on {_counted(len(comparison.images), 'image')}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _board_rows(board: pd.DataFrame, best: Mapping[str, Result]) -> list[dict[str, Any]]:
    """The rows of the board, the best of each scheme marked, linked to the scheme's section."""
    places = {scheme: number for number, scheme in enumerate(best)}
    rows = []
    for record in board.to_dict("records"):
        row = {str(name): value for name, value in record.items()}
        top = best.get(row["scheme"])
        row["best"] = top is not None and (top.head, top.space) == (row["head"], row["space"])
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
        "matrix": _matrix(result.figures.confusion) if len(names) <= _WIDEST_MATRIX else None,
        "confusions": _confusions(names, result.figures.confusion),
        "grid": _grid(result, images, shown, min(_GRID, share // 2)),
    }


def _class_rows(result: Result, images: pd.DataFrame, shown: _Shown, samples: int) -> list[dict[str, Any]]:
    """The classes with their counts and a few pictures, spread over the images of the class."""
    codes = result.labels.codes
    each = int(np.clip(samples // max(1, len(result.labels.classes)), 1, 6))
    rows = []
    for code, name in enumerate(result.labels.classes[:_LONGEST_LIST]):
        members = np.flatnonzero(codes == code)
        chosen = members[np.linspace(0, len(members) - 1, min(each, len(members))).astype(int)]
        held_out = int(np.sum(codes[result.test] == code))
        right = int(result.figures.confusion[code, code])
        row = {"name": name, "n_train": int(np.sum(codes[result.train] == code)), "n_test": held_out}
        row["recall"] = right / held_out if held_out else None
        row["samples"] = [_picture(int(i), name, images, shown) for i in chosen] if code < samples else []
        rows.append(row)
    return rows


def _picture(row: int, label: str, images: pd.DataFrame, shown: _Shown) -> dict[str, str]:
    key = str(images["key"].iloc[row])
    return {"style": shown.name(row), "alt": f"{key}: {label}", "key": key}


def _matrix(confusion: NDArray[Any]) -> list[list[dict[str, Any]]]:
    """Cells of the confusion matrix with their share of the row, for the shading."""
    totals = confusion.sum(axis=1)
    return [
        [{"count": int(n), "share": round(float(n / total), 3) if total else 0.0} for n in row]
        for row, total in zip(confusion, totals, strict=True)
    ]


def _confusions(names: Sequence[str], confusion: NDArray[Any], most: int = 15) -> list[dict[str, Any]]:
    """The most frequent mistakes: (true class, predicted class, how often), most frequent first."""
    wrong = confusion - np.diag(np.diag(confusion))
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [(int(i), int(j)) for i, j in zip(*np.unravel_index(order, wrong.shape), strict=True)]
    return [
        {"true": names[i], "predicted": names[j], "count": int(wrong[i, j])} for i, j in pairs if wrong[i, j]
    ]


def _grid(result: Result, images: pd.DataFrame, shown: _Shown, size: int) -> list[dict[str, Any]]:
    """Held-out pictures: the most confident mistakes first, then right ones spread over the test rows."""
    truth = result.labels.codes[result.test]
    wrong = truth != result.predicted
    scores = None if result.probabilities is None else result.probabilities.max(axis=1)
    mistakes, right = np.flatnonzero(wrong), np.flatnonzero(~wrong)
    if scores is not None:
        mistakes = mistakes[np.argsort(-scores[mistakes], kind="stable")]
    mistakes = mistakes[: max(size * _MISTAKES // _GRID, size - len(right))]
    spread = np.linspace(0, len(right) - 1, min(size - len(mistakes), len(right))).astype(int)
    cells = []
    for i in [*mistakes, *right[spread]]:
        true, predicted = (result.labels.classes[code] for code in (truth[i], result.predicted[i]))
        cell: dict[str, Any] = _picture(int(result.test[i]), true, images, shown)
        cell |= {"right": not wrong[i], "true": true, "predicted": predicted}
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
