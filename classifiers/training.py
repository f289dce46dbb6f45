"""Training one head for keeps, and evaluating a kept head on a store's images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from classifiers.errors import ExpressionError, HeadError, SchemeError, SpaceMismatchError
from classifiers.evaluation import Figures, evaluate_codes
from classifiers.expressions import matches
from classifiers.fitting import fit_on_views
from classifiers.presets import HeadSpec, head_name, make_head
from classifiers.runs import banked
from classifiers.saved_heads import SavedHead
from classifiers.schemes import Scheme
from classifiers.splits import Rows, Splitter
from classifiers.suggestions import counted
from store import FeatureStore, Space
from store.recipes import describe_difference


def train_head(
    store: FeatureStore,
    scheme: Scheme,
    head: HeadSpec = "ridge",
    space: str | None = None,
    *,
    split: str = "auto",
    test_size: float = 0.2,
    seed: int = 0,
    plain: bool = False,
) -> tuple[SavedHead, dict[str, Any]]:
    """A head trained on the training images of a scheme, and its figures on them and on the held-out ones.

    In a space with augmented views it is trained on these too, unless `plain`; figures are of plain images.
    `space` may be left out where the store has one. The figures are plain values: scheme, head, space, classes,
    `rows` with the subsets `train` and `held-out`, and `notes`. Raises SchemeError, SplitError, HeadError.
    """
    chosen = _only_space(store) if space is None else store.space(space)
    images = store.images()
    images = images[banked(store, chosen.id, images)].reset_index(drop=True)
    labels = scheme.labels(images)
    parts = Splitter(images, split, test_size, seed).holdout(labels.codes, labels.classes)
    estimator = make_head(head)
    train = images.iloc[parts.train]
    views = [store.vectors(chosen.id, train, view=view) for view in range(1 if plain else chosen.views)]
    warned = fit_on_views([estimator], views, [labels.codes[parts.train]])
    unfinished = SavedHead.of(estimator, classes=labels.classes, space=chosen, head=head_name(head))
    rows = []
    for subset, some, vectors in (
        ("train", parts.train, views[0]),
        ("held-out", parts.test, store.vectors(chosen.id, images.iloc[parts.test])),
    ):
        figures = evaluate_codes(labels.codes[some], unfinished.predict_codes(vectors), len(labels.classes))
        rows.append(_row(subset, figures))
    saved = SavedHead.of(
        estimator,
        classes=labels.classes,
        scheme=scheme,
        space=chosen,
        figures=rows[1],
        train_hashes=images["hash"].iloc[parts.train],
        split={"name": parts.name, "kind": split, "test_size": test_size, "seed": seed},
        head=head_name(head),
    )
    return saved, _report(saved, scheme, rows, [*parts.notes, *warned])


def evaluate_head(
    store: FeatureStore, saved: SavedHead, scheme: Scheme | None = None, where: Sequence[str] = ()
) -> dict[str, Any]:
    """Figures of a head on all labelled images of a store that it was not trained on, and on subsets of them.

    `scheme` is by default the head's own. Each expression of `where` is a subset; it may use the columns of the
    images and the scheme's name. The result has the same keys as that of `train_head`; the first row is the
    subset `overall`. Raises HeadError, SchemeError, SpaceMismatchError.
    """
    scheme = scheme or saved.scheme
    if scheme is None:
        raise SchemeError("the head was saved without its scheme: say which scheme gives the true labels.")
    space = _space_of(store, saved)
    images = store.images()
    images = images[banked(store, space, images)].reset_index(drop=True)
    codes, notes = _true_codes(saved, scheme, images)
    labelled = codes >= 0
    trained = np.isin(_short(images), saved.train_hashes) & labelled
    rows = np.flatnonzero(labelled & ~trained)
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
    predicted = saved.predict_codes(store.vectors(space, images.iloc[rows]))
    k = len(saved.classes)
    found = [_row("overall", evaluate_codes(codes[rows], predicted, k))]
    table = images.iloc[rows].assign(**{scheme.name: np.array(saved.classes, object)[codes[rows]]})
    for expression in where:
        chosen = matches(expression, table)
        if not chosen.any():
            raise ExpressionError(
                f"{expression!r} holds for none of {counted(len(rows), 'evaluated image')}."
            )
        found.append(_row(expression, evaluate_codes(codes[rows][chosen], predicted[chosen], k)))
    return _report(saved, scheme, found, notes)


def _true_codes(saved: SavedHead, scheme: Scheme, images: pd.DataFrame) -> tuple[Rows, list[str]]:
    """The true class of each image as an index into the head's classes, -1 for none; and what was left out."""
    labels = scheme.labels(images, strict=False)
    position = {name: code for code, name in enumerate(saved.classes)}
    known = np.array([*(position.get(name, -1) for name in labels.classes), -1], np.intp)
    codes = known[labels.codes]
    foreign = int(((codes < 0) & (labels.codes >= 0)).sum())
    note = f"{counted(foreign, 'image')} left out: their classes are not among the head's."
    return codes, [note] if foreign else []


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


def _only_space(store: FeatureStore) -> Space:
    spaces = list(store.spaces.values())
    if len(spaces) != 1:
        known = ", ".join(store.spaces) or "none yet"
        raise HeadError(f"say which space to train on: the store has {known}.")
    return spaces[0]


def _short(images: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.uint64]]:
    return np.array([int(one[:16], 16) for one in images["hash"]], np.uint64)


def _row(subset: str, figures: Figures) -> dict[str, Any]:
    return {"subset": subset, **figures.to_dict()}


def _report(saved: SavedHead, scheme: Scheme, rows: list[dict[str, Any]], notes: list[str]) -> dict[str, Any]:
    return {
        "scheme": scheme.name,
        "head": saved.head,
        "space": saved.space,
        "classes": list(saved.classes),
        "rows": rows,
        "notes": notes,
    }
