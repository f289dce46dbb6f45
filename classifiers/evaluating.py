"""Evaluating a kept head on a store's images."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.banked import banked
from classifiers.errors import ExpressionError, HeadError, SchemeError, SpaceMismatchError
from classifiers.evaluation import Figures, evaluate_codes
from classifiers.expressions import matches
from classifiers.labels import Labels, class_names
from classifiers.saved_heads import SavedHead
from classifiers.schemes import Scheme
from classifiers.splits import group_values, once
from classifiers.suggestions import counted, listed
from classifiers.targets import Targets, labelled
from store import FeatureStore
from store.recipes import describe_difference

_WIDEST_CONFUSION = 50


def evaluate_head(
    store: FeatureStore,
    saved: SavedHead,
    scheme: Scheme | None = None,
    where: Sequence[str] = (),
    group: str | None = None,
) -> dict[str, Any]:
    """Figures of a head on all labelled images of a store that it was not trained on, and on subsets of them.

    `scheme` is by default the head's own. Each entry of `where` is a subset: an expression, which may use the
    columns of the images and the scheme's name, or `name: expression`. `group`: a column whose equal values are
    resampled together for intervals. Each image counts once, whatever its names. The result has the same keys as
    that of `train_head`; the first row is the subset `overall`. Raises HeadError, SchemeError, SpaceMismatchError.
    """
    scheme = scheme or saved.scheme
    if scheme is None:
        raise SchemeError("the head was saved without its scheme: say which scheme gives the true labels.")
    space = _space_of(store, saved)
    images = store.images()
    images = images[banked(store, space, images)].reset_index(drop=True)
    codes, notes = _true_codes(saved, scheme, images)
    trained = np.isin(_short(images), saved.train_hashes) & labelled(codes)
    rows = np.flatnonzero(labelled(codes) & ~trained)
    if trained.any():
        notes.append(f"{counted(int(trained.sum()), 'image')} left out: the head was trained on them.")
    if not len(rows):
        why = (
            "the head was trained on all of them"
            if trained.any()
            else f"scheme {scheme.name!r} labels none of them"
        )
        raise HeadError(
            f"there is nothing to evaluate on among {counted(len(images), 'image')} of {space}: {why}. "
            "Embed other images, or attach labels."
        )
    each = once(np.asarray(pd.factorize(images["hash"])[0], np.intp), rows)
    if len(each) < len(rows):
        copies = counted(len(rows) - len(each), "other name")
        notes.append(f"{copies} of the same bytes left out: each image counts once.")
    some = images.iloc[each]
    true = codes[each]
    predicted, probabilities = predictions(saved, store.vectors(space, some))
    groups = None if group is None else group_values(some, group)

    def row(subset: str, chosen: NDArray[np.bool_]) -> dict[str, Any]:
        shares = None if probabilities is None else probabilities[chosen]
        together = None if groups is None else groups[chosen]
        figures = evaluate_codes(true[chosen], predicted[chosen], len(saved.classes), shares, together)
        return figures_row(subset, figures, saved.classes)

    found = [row("overall", np.ones(len(each), bool))]
    table = some.assign(**{scheme.name: class_names(saved.classes, true, scheme.separator)})
    for subset in where:
        name, expression = named_subset(subset)
        chosen = matches(expression, table)
        if not chosen.any():
            raise ExpressionError(
                f"{expression!r} holds for none of {counted(len(each), 'evaluated image')}."
            )
        found.append(row(name, chosen))
    return figures_report(saved, scheme, found, notes)


def predictions(
    saved: SavedHead, vectors: NDArray[np.float32]
) -> tuple[Targets, NDArray[np.floating[Any]] | None]:
    """What a head says of vectors (n, d): codes (n,) or an indicator (n, t), and probabilities if it gives any."""
    known = hasattr(saved.estimator, "predict_proba")
    return saved.predict_codes(vectors), saved.predict_proba(vectors) if known else None


def named_subset(where: str) -> tuple[str, str]:
    """The name and the expression of `name: expression`; an expression alone is its own name."""
    match = re.match(r"\s*([^\W\d][\w -]*?)\s*:\s*(\S.*)", where, re.DOTALL)
    return (match[1], match[2]) if match else (where, where)


def figures_row(subset: str, figures: Figures, classes: Sequence[str]) -> dict[str, Any]:
    """Figures as a plain row: with `per_class`, and the `confusion` matrix of at most 50 classes (else None)."""
    confusion = figures.confusion.tolist() if len(classes) <= _WIDEST_CONFUSION else None
    return {
        "subset": subset,
        **figures.to_dict(),
        "per_class": figures.counts.rows(classes),
        "confusion": confusion,
    }


def figures_report(
    saved: SavedHead, scheme: Scheme, rows: list[dict[str, Any]], notes: list[str]
) -> dict[str, Any]:
    """What training and evaluating a head give back."""
    return {
        "scheme": scheme.name,
        "head": saved.head,
        "space": saved.space,
        "classes": list(saved.classes),
        "rows": rows,
        "notes": notes,
    }


def _true_codes(saved: SavedHead, scheme: Scheme, images: pd.DataFrame) -> tuple[Targets, list[str]]:
    """The true class of each image as an index into the head's classes, -1 for none; and what was left out.

    Several labels an image: an indicator of the head's labels.
    """
    labels = scheme.labels(images, strict=False)
    if labels.multilabel != saved.multilabel:
        one, several = ("the head", f"scheme {scheme.name!r}")[:: -1 if saved.multilabel else 1]
        raise HeadError(f"{several} gives several labels an image, {one} only one: they cannot be compared.")
    position = {name: code for code, name in enumerate(saved.classes)}
    if labels.multilabel:
        return _among(labels, position)
    known = np.array([*(position.get(name, -1) for name in labels.classes), -1], np.intp)
    codes = known[labels.codes]
    foreign = int(((codes < 0) & (labels.codes >= 0)).sum())
    note = f"{counted(foreign, 'image')} left out: their classes are not among the head's."
    return codes, [note] if foreign else []


def _among(labels: Labels, position: Mapping[str, int]) -> tuple[Targets, list[str]]:
    """The indicator with the columns of `position`, and what labels were ignored."""
    indicator = np.zeros((len(labels.codes), len(position)), np.int8)
    shared = [(position[name], column) for column, name in enumerate(labels.classes) if name in position]
    for here, there in shared:
        indicator[:, here] = labels.codes[:, there]
    indicator[~labelled(labels.codes)] = -1
    foreign = [name for name in labels.classes if name not in position]
    note = f"labels that the head does not know are ignored: {listed(map(repr, foreign))}."
    return indicator, [note] if foreign else []


def _space_of(store: FeatureStore, saved: SavedHead) -> str:
    if saved.space in store.spaces:
        return saved.space
    if not store.spaces:
        raise SpaceMismatchError(
            f"the store has no vectors; embed its images with the recipe of {saved.space} first."
        )
    differences = {
        space.id: describe_difference(saved.recipe, space.recipe) for space in store.spaces.values()
    }
    nearest = min(differences, key=lambda name: differences[name].count("→"))
    raise SpaceMismatchError(
        f"the store has no vectors of {saved.space}, the head's space. The nearest is {nearest}; what differs: "
        f"{differences[nearest]}. Embed the images with the head's recipe, or train a head on {nearest}."
    )


def _short(images: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.uint64]]:
    return np.array([int(one[:16], 16) for one in images["hash"]], np.uint64)
