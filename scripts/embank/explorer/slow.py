"""What takes seconds and is asked for after the figures: baselines, warnings, learning curve, a map."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from embank.console import counted
from embank.explorer.labels_needed import LabelsNeeded
from embank.explorer.lists import bank_of
from embank.explorer.security import as_sentence
from embank.explorer.session import Session
from embank.explorer.steps import Shown, Step

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from classifiers.audits.traits import Traits
    from classifiers.live import LiveResult


Pictures = Callable[["pd.DataFrame"], "list[bytes | None] | None"]


class SlowFigures:
    """Of what a session shows, one at a time; what is found is kept until the scheme changes.

    pictures: JPEGs of images for their mean colours, or None where there are too many to make.
    """

    def __init__(self, session: Session, pictures: Pictures) -> None:
        self._session, self._pictures = session, pictures
        self._learning = LabelsNeeded(session)
        self._lock, self._map_lock = Lock(), Lock()
        self._kept: tuple[Step | None, dict[str, Any]] = (None, {})

    def figures(self) -> dict[str, Any]:
        """The document of `GET /api/slow`, of the revision that it says."""
        with self._lock:
            shown = self._session.shown  # the newest: edits may have come while this waited
            if self._kept[0] is not shown.step:
                self._kept = shown.step, self._found(shown)
            found = self._kept[1]
            return found | {"revision": shown.revision, "warnings": [*found["warnings"], *self._now()]}

    def map(self) -> dict[str, Any]:
        """Where each image lies on a map: `ids`, `x` and `y` from 0 to 1, and `note` on how it was made."""
        with self._map_lock:
            return self._map

    def _found(self, shown: Shown) -> dict[str, Any]:
        step, result = shown.step, shown.step.result
        about: dict[str, Any] = {"nuisance": None, "goal": None, "curve": []}
        notes = [*self._session.collection.notes, *self._session.starts.notes]
        if step.start.conflicts:
            differ = counted(step.start.conflicts, "picture")
            notes.append(f"{differ} with names of different labels: the first label counts.")
        if result is None:
            return about | {"warnings": notes, "labels_needed": step.why or ""}
        nuisance, warnings = self._shortcuts(result, step.start.name)
        return about | {"nuisance": nuisance, "warnings": warnings + notes} | self._learning.of(step, result)

    def _now(self) -> list[str]:
        return [self._session.kept.problem] if self._session.kept.problem else []

    @cached_property
    def _traits(self) -> Traits:
        from classifiers.audits.traits import traits

        images = self._session.collection.images
        jpegs = self._pictures(images)
        return traits(
            images,
            np.arange(len(images)),
            None if jpegs is None else lambda some: [jpegs[i] for i in some.index],
        )

    def _shortcuts(self, result: LiveResult, scheme: str) -> tuple[float | None, list[str]]:
        """What traits of files reach, on five folds, and the warning where that is much."""
        from classifiers.audits.audit import shortcut
        from classifiers.audits.ground import Ground
        from classifiers.audits.nuisance import NuisanceModel

        rows = np.flatnonzero(result.judged)
        counts = result.counts
        folds = int(min(5, len(rows)))
        if folds < 2 or not self._traits.names or (counts > 0).sum() < 2:
            return None, []
        fold = np.random.default_rng(0).permutation(len(rows)) % folds
        splits = tuple((np.flatnonzero(fold != one), np.flatnonzero(fold == one)) for one in range(folds))
        model = NuisanceModel(self._traits, Ground(bank_of(self._session), rows, splits, None))
        found = model.nuisance(result.codes[rows], len(counts), result.majority, result.accuracy, result.low)
        if not found.rivals:
            return found.accuracy, []
        return found.accuracy, [
            as_sentence(shortcut(found, scheme, "ridge", result.accuracy, result.majority))
        ]

    @cached_property
    def _map(self) -> dict[str, Any]:
        from classifiers.report.vector_map import banked_places, sample

        collection, vectors = self._session.collection, self._session.fit.vectors
        everything = np.arange(len(collection))
        chosen = sample(collection.images, everything)
        places, made = banked_places(collection.store, collection.space, collection.images.iloc[chosen])
        note = f"{made[0].upper()}{made[1:]}."
        if len(chosen) < len(everything):
            places = _beside(vectors, chosen, places)
            note = f"{note[:-1]}, of {len(chosen):,} images; each other image lies amid its five nearest of them."
        x, y = np.round(places.astype(np.float64), 4).T.tolist()
        return {"ids": everything.tolist(), "x": x, "y": y, "note": note}


def _beside(
    vectors: NDArray[np.float32], chosen: NDArray[np.intp], places: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Places of all images, (n, 2): those that are not chosen amid their nearest that are, the nearer the heavier."""
    from classifiers.nearest import nearest

    found, alike = nearest(vectors[chosen], vectors, min(5, len(chosen)))
    weights = np.maximum(1e-6, alike.astype(np.float64) - alike[:, -1:].astype(np.float64) + 1e-3)
    amid = (places[found] * weights[..., None]).sum(axis=1) / weights.sum(axis=1, keepdims=True)
    amid[chosen] = places
    return np.asarray(amid, np.float32)
