"""What the page shows of a session, as one JSON document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from embank.explorer.session import Session

if TYPE_CHECKING:
    from classifiers.live import LiveResult
    from embank.explorer.steps import Shown, Step

MATRIX = 60  # classes of a confusion matrix that is shown whole
_PAIRS = 20  # that are named of larger ones


def state(session: Session) -> dict[str, Any]:
    """The document of `GET /api/state`, and the answer to each edit; static/api.js says what is in it."""
    shown, collection = session.shown, session.collection
    step = shown.step
    return {
        "revision": shown.revision,
        "store": collection.store.path.resolve().name,
        "space": collection.space,
        "scheme": step.start.name + (" (edited)" if session.edited else ""),
        "saveAs": session.save_as,
        "images": len(collection),
        "classes": _classes(step),
        "dropped": [{"name": name, "count": len(rows)} for name, rows in step.live.dropped],
        "undo": session.undoable,
        "redo": session.redoable,
        "figures": None if step.result is None else _figures(step.result, step.live.classes),
        "why": step.why,
        "previous": _previous(shown),
        "milliseconds": shown.milliseconds,
        "settling": session.settling,
        "columns": session.columns(),
        "flips": None if shown.flips is None else len(shown.flips),
        "starts": session.starts.listed(),
    }


def picture(session: Session, row: int, note: str | None = None) -> dict[str, Any]:
    """An image as all lists show it."""
    step = session.shown.step
    classes, result = step.live.classes, step.result
    code = int(step.live.codes[row])
    return {
        "id": int(row),
        "key": session.keys[row],
        "label": classes[code] if code >= 0 else None,
        "predicted": None if result is None else classes[int(result.predicted[row])],
        "confidence": None if result is None else float(result.confidence[row]),
        "note": note,
    }


def pictures(session: Session, rows: Iterable[int], notes: Mapping[int, str]) -> list[dict[str, Any]]:
    """Several, with what is to be said of some."""
    return [picture(session, int(row), notes.get(int(row))) for row in rows]


def _classes(step: Step) -> list[dict[str, Any]]:
    counts = step.live.counts.tolist()
    recall = (
        [None] * len(counts) if step.result is None else [_plain(one) for one in step.result.recall.tolist()]
    )
    return [
        {"code": code, "name": name, "count": counts[code], "recall": recall[code]}
        for code, name in enumerate(step.live.classes)
    ]


def _figures(result: LiveResult, classes: tuple[str, ...]) -> dict[str, Any]:
    return {
        "n": result.n,
        "accuracy": result.accuracy,
        "low": result.low,
        "high": result.high,
        "balanced_accuracy": result.balanced_accuracy,
        "macro_f1": result.macro_f1,
        "majority": result.majority,
        "majority_class": classes[int(result.counts.argmax())],
        "confusion": _confusion(result, classes),
    }


def _confusion(result: LiveResult, classes: tuple[str, ...]) -> dict[str, Any]:
    if len(classes) <= MATRIX:
        return {"names": list(classes), "counts": result.confusion.tolist()}
    wrong = result.judged & ~result.right
    pairs, counts = np.unique(
        result.codes[wrong] * len(classes) + result.predicted[wrong], return_counts=True
    )
    order = np.argsort(-counts, kind="stable")[:_PAIRS]
    found = [
        {"truth": int(pair) // len(classes), "predicted": int(pair) % len(classes), "count": int(count)}
        for pair, count in zip(pairs[order], counts[order], strict=True)
    ]
    return {"names": list(classes), "pairs": found}


def _previous(shown: Shown) -> dict[str, Any] | None:
    if shown.difference is None or shown.before is None or shown.before.result is None:
        return None
    if shown.difference["low"] is None:
        return None
    told = {name: shown.difference[name] for name in ("difference", "low", "high")}
    return {"accuracy": shown.before.result.accuracy, **told}


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else value
