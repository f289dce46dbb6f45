"""Training one head for keeps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from classifiers.banked import banked
from classifiers.dense import DenseHead
from classifiers.dense_batches import fit_on_store
from classifiers.errors import HeadError
from classifiers.evaluating import banked_predictions, figures_report, figures_row
from classifiers.evaluation import evaluate_codes
from classifiers.fitting import fit_on_views
from classifiers.presets import Estimator, HeadSpec, head_name, make_head
from classifiers.saved_heads import SavedHead, short_hashes
from classifiers.schemes import Scheme
from classifiers.splits import Split, Splitter
from classifiers.targets import Targets
from store import FeatureStore, Space


def train_head(
    store: FeatureStore,
    scheme: Scheme,
    head: HeadSpec = "ridge",
    space: str | None = None,
    *,
    split: str = "auto",
    test_size: float = 0.2,
    seed: int = 0,
    group: str | None = None,
    plain: bool = False,
) -> tuple[SavedHead, dict[str, Any]]:
    """A head trained on the training images of a scheme, and its figures on them and on the held-out ones.

    In a space with augmented views it is trained on these too, unless `plain`; figures are of plain images.
    `space` may be left out where the store has one. `group`: a column whose equal values stay on one side, and are
    resampled together for intervals. The figures are plain values: scheme, head, space, classes,
    `rows` with the subsets `train` and `held-out`, `notes`, and `curves`, the learning curves of a dense head (else
    None; their val_ ones are of the held-out images, or with early stopping of training images that it held out).
    Raises SchemeError, SplitError, HeadError.
    """
    chosen = only_space(store) if space is None else store.space(space)
    images = store.images()
    images = images[banked(store, chosen.id, images)].reset_index(drop=True)
    scheme = scheme.resolved(images)
    labels = scheme.labels(images)
    splitter = Splitter(images, split, test_size, seed, group)
    parts = splitter.holdout(labels.codes, labels.classes)
    estimator = make_head(head)
    views = 1 if plain else chosen.views
    warned = _fit(estimator, store, chosen.id, images, labels.codes, parts, views)
    unfinished = SavedHead.of(
        estimator, classes=labels.classes, scheme=scheme, space=chosen, head=head_name(head)
    )
    rows = []
    for subset, some in (("train", parts.train), ("held-out", parts.test)):
        predicted, shares = banked_predictions(unfinished, store, images.iloc[some])
        groups = None if splitter.groups is None else splitter.groups[some]
        figures = evaluate_codes(labels.codes[some], predicted, len(labels.classes), shares, groups)
        rows.append(figures_row(subset, figures, labels.classes))
    saved = replace(
        unfinished,
        figures=rows[1],
        train_hashes=short_hashes(images["hash"].iloc[parts.train]),
        split={"name": parts.name, "kind": split, "test_size": test_size, "seed": seed},
    )
    report = figures_report(saved, scheme, rows, [*parts.notes, *warned])
    return saved, report | {"curves": getattr(saved.estimator, "history_", None)}


def _fit(
    estimator: Estimator,
    store: FeatureStore,
    space: str,
    images: pd.DataFrame,
    codes: Targets,
    parts: Split,
    views: int,
) -> list[str]:
    """Fits on the training images of a split; returns what did not converge. Raises HeadError."""
    train, test = images.iloc[parts.train], images.iloc[parts.test]
    if isinstance(estimator, DenseHead):
        labels = codes[parts.train]
        fit_on_store(estimator, store, space, train, labels, views, (test, codes[parts.test]))
        return []
    vectors = [store.vectors(space, train, view=view) for view in range(views)]
    return fit_on_views([estimator], vectors, [codes[parts.train]])


def only_space(store: FeatureStore) -> Space:
    """The one space of a store, of pooled vectors if there are some. Raises HeadError if it has several, or none."""
    spaces = list(store.pooled_spaces.values())
    if len(spaces) != 1:
        known = ", ".join(store.spaces) or "none yet"
        raise HeadError(f"say which space: the store has {known}.")
    return spaces[0]
