"""Evaluating a kept head on a store's images."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from classifiers.targets import Targets, agreeing, labelled
from classifiers.values import Texts
from store import FeatureStore
from store.batches import iterate_batches
from store.recipes import describe_difference

_WIDEST_CONFUSION = 50
_BLOCK = 32_768


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
    return evaluated(store, saved, scheme, group).report(where)


@dataclass(frozen=True)
class Evaluated:
    """What a head says of m images that it was not trained on. `rows` (m,) are their numbers among all of the store.

    `true` and `predicted` are codes of the head's classes (m,), or indicators (m, t); `probabilities` (m, k) if it
    gives any. `groups` (m,): images of the same value belong together. `notes`: what was left out.
    """

    saved: SavedHead
    scheme: Scheme
    images: pd.DataFrame
    rows: NDArray[np.intp]
    true: Targets
    predicted: Targets
    probabilities: NDArray[np.floating[Any]] | None
    groups: Texts | None
    notes: list[str]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which images are named rightly: (m,)."""
        return agreeing(self.true, self.predicted)

    def subsets(self, where: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
        """Which images (m,) are in each subset, by name; the first is `overall`. Raises ExpressionError."""
        names = class_names(self.saved.classes, self.true, self.scheme.separator)
        table = self.images.assign(**{self.scheme.name: names})
        found = {"overall": np.ones(len(self.rows), bool)}
        for text in where:
            name, expression = named_subset(text)
            if name in found:
                raise ExpressionError(f"there are two subsets {name!r}. Give each a name of its own.")
            found[name] = matches(expression, table)
            if not found[name].any():
                raise ExpressionError(
                    f"{expression!r} holds for none of {counted(len(self.rows), 'evaluated image')}."
                )
        return found

    def report(self, where: Sequence[str] = ()) -> dict[str, Any]:
        """What `evaluate_head` gives."""
        rows = [self._row(subset, chosen) for subset, chosen in self.subsets(where).items()]
        return figures_report(self.saved, self.scheme, rows, self.notes)

    def _row(self, subset: str, chosen: NDArray[np.bool_]) -> dict[str, Any]:
        shares = None if self.probabilities is None else self.probabilities[chosen]
        together = None if self.groups is None else self.groups[chosen]
        classes = self.saved.classes
        figures = evaluate_codes(self.true[chosen], self.predicted[chosen], len(classes), shares, together)
        return figures_row(subset, figures, classes)


def evaluated(
    store: FeatureStore, saved: SavedHead, scheme: Scheme | None = None, group: str | None = None
) -> Evaluated:
    """What a head says of all labelled images that it was not trained on; see `evaluate_head`."""
    scheme = scheme or saved.scheme
    if scheme is None:
        raise SchemeError("the head was saved without its scheme: say which scheme gives the true labels.")
    space = _space_of(store, saved)
    images = store.images()
    here = np.flatnonzero(banked(store, space, images))
    images = images.iloc[here]
    codes, notes = _true_codes(saved, scheme, images)
    trained = saved.trained_on(images["hash"]) & labelled(codes)
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
    some = images.iloc[each].reset_index(drop=True)
    predicted, probabilities = banked_predictions(saved, store, some)
    groups = None if group is None else group_values(some, group)
    return Evaluated(saved, scheme, some, here[each], codes[each], predicted, probabilities, groups, notes)


def banked_predictions(
    saved: SavedHead, store: FeatureStore, images: pd.DataFrame
) -> tuple[Targets, NDArray[np.floating[Any]] | None]:
    """What `predictions` gives for the vectors of some images, of which a block at a time is in memory."""
    blocks = [
        predictions(saved, vectors) for _, vectors in iterate_batches(store, saved.space, images, _BLOCK)
    ]
    codes = np.concatenate([one for one, _ in blocks])
    shares = [one for _, one in blocks if one is not None]
    return codes, np.concatenate(shares) if shares else None


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
