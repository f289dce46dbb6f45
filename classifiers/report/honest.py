"""What else could explain an accuracy: the figures beside it on one scale, and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from classifiers.labels import class_names
from classifiers.report.formats import percent, probability
from classifiers.report.shown import Shown
from classifiers.results import Result
from classifiers.suggestions import counted

if TYPE_CHECKING:
    from classifiers.audits.audit import Audit
    from classifiers.audits.leakage import Leakage, Pairs
    from classifiers.audits.noise import Noise

_NONE = "none"


def audit_of(result: Result, audits: Sequence[Audit]) -> Audit | None:
    """The audit of a result's scheme on its space; on another space if there is none."""
    of_scheme = [one for one in audits if one.scheme == result.scheme]
    return next((one for one in of_scheme if one.space == result.space), of_scheme[0] if of_scheme else None)


def ladder(result: Result, audit: Audit | None) -> list[dict[str, Any]]:
    """Accuracies on one scale: what the vectors give, and what less or nothing would give."""
    figures = result.figures
    rows = [
        _step(f"{result.head} on the vectors", figures.accuracy, figures.accuracy_low, figures.accuracy_high)
    ]
    rows[0]["own"] = True
    if audit and len(audit.leakage.leaked) and audit.leakage.accuracy_without is not None:
        note = f"{counted(len(audit.leakage.leaked), 'test image')} left out"
        rows.append(
            _step("without those that have a twin in training", audit.leakage.accuracy_without, note=note)
        )
    if audit and audit.noise:
        noise = audit.noise
        rows.append(_step("the nearest image’s label", noise.nearest_accuracy, note="of all labelled images"))
        note = "estimated bound on any classifier of these vectors"
        rows.insert(0, _step("ceiling", noise.ceiling, note=note))
    if audit and audit.nuisance:
        one = audit.nuisance
        note = ", ".join(one.features)
        if one.alone:
            note += f"; {one.alone[0][0]} by itself {percent(one.alone[0][1], 0)}"
        rows.append(_step("traits of the files alone", one.accuracy, one.low, one.high, note))
    if audit and audit.permutation:
        null = audit.permutation
        note = f"95 % of {null.shuffles:,} shuffles stay below {percent(null.null_high)}"
        rows.append(_step("shuffled labels", null.null_mean, note=note))
    rows.append(_step("always the most frequent class", figures.majority))
    return rows


def evidence(result: Result, audit: Audit) -> list[str]:
    """Sentences on chance and leaks."""
    told = []
    if audit.permutation:
        null = audit.permutation
        told.append(
            f"Permutation test on {counted(null.shuffles, 'shuffle')} of the labels: {probability(null.p)}; "
            f"with Holm’s correction for the number of schemes {probability(null.p_holm)}."
        )
    leaks = audit.leakage
    told.append(
        f"Across training and test: {counted(leaks.same.total, 'pair')} of the same bytes, "
        f"{counted(leaks.near.total, 'pair')} of near-duplicates. "
        f"Same bytes with different labels: {counted(leaks.conflicts.total, 'pair')}."
    )
    if audit.noise:
        told.append(f"Likely label errors: about {counted(audit.noise.count, 'image')}.")
    return told


def label_errors(result: Result, noise: Noise, shown: Shown, most: int) -> list[dict[str, Any]]:
    """The likeliest label errors: the picture, the label it has, the one it looks like."""
    cells = []
    for row, code in zip(noise.errors[:most].tolist(), noise.suggested[:most].tolist(), strict=True):
        given, looks = _label(result, row), result.labels.classes[code]
        cells.append({**shown.cell(row, given), "given": given, "looks": looks})
    return cells


def duplicates(result: Result, leakage: Leakage, shown: Shown, most: int) -> list[dict[str, Any]]:
    """Pairs side by side: conflicting labels on the same bytes first, then the same bytes, then near-duplicates."""
    found: list[dict[str, Any]] = []
    kinds: tuple[tuple[str, Pairs], ...] = (
        ("same bytes, different labels", leakage.conflicts),
        ("same bytes in training and test", leakage.same),
        ("near-duplicates in training and test", leakage.near),
    )
    for kind, pairs in kinds:
        for rows, alike in zip(pairs.rows.tolist(), pairs.similarity.tolist(), strict=True):
            if len(found) == most:
                return found
            labels = [_label(result, row) for row in rows]
            cells = [
                shown.cell(row, label) | {"label": label} for row, label in zip(rows, labels, strict=True)
            ]
            found.append({"kind": kind, "cells": cells, "alike": alike, "differ": labels[0] != labels[1]})
    return found


def _step(
    name: str, value: float, low: float | None = None, high: float | None = None, note: str = ""
) -> dict[str, Any]:
    return {"name": name, "value": value, "low": low, "high": high, "note": note, "own": False}


def _label(result: Result, row: int) -> str:
    """The label of one image as words."""
    labels = result.labels
    (name,) = class_names(labels.classes, labels.codes[[row]], f"{labels.separator} ")
    return name or _NONE
