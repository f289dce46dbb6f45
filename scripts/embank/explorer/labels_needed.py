"""How many labels the next goal needs, from the learning curve of the scheme."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from embank.explorer.session import Session
from embank.explorer.steps import Step

if TYPE_CHECKING:
    from classifiers.curves import FewShot
    from classifiers.live import LiveResult
    from classifiers.splits import Split

_IMAGES = 4000  # that a learning curve is made of: of more, those whose hashes come first
_DRAWS = 3
_STEP = 0.05  # of the goal: the next twentieth above the accuracy
_LARGEST = 512 << 20  # bytes of factorizations that are remembered


class LabelsNeeded:
    """Of the schemes of a session.

    Which images are drawn depends on the labels that a scheme began with, not on those that it has come to: so the
    curve after a merge is of the same images as before, and of the same factorizations, which are remembered.
    """

    def __init__(self, session: Session) -> None:
        from classifiers.factor_cache import RememberedFactors
        from store.columns import hashes_from_hex

        self._session = session
        self._factors = RememberedFactors(largest=_LARGEST)
        self._hashes = hashes_from_hex(session.collection.images["hash"])

    def of(self, step: Step, result: LiveResult) -> dict[str, Any]:
        """`labels_needed` in a sentence; `goal` and `curve` where there is one."""
        from classifiers.errors import ClassifierError

        goal = min(0.99, (np.floor(result.accuracy / _STEP + 1e-9) + 1) * _STEP)
        try:
            found = self._curve(step, result)
        except ClassifierError as error:
            return {"labels_needed": f"There is no learning curve: {error}"}
        if found is None or found.law is None:
            return {"labels_needed": "There are too few labels for a learning curve yet."}
        curve = [
            {
                "labels": row["n_train"],
                "accuracy": row["accuracy"],
                "low": row["lowest"],
                "high": row["highest"],
            }
            for row in found.rows()
        ]
        return {"labels_needed": found.law.describe(float(goal)), "goal": float(goal), "curve": curve}

    def _curve(self, step: Step, result: LiveResult) -> FewShot | None:
        from classifiers.curves import Labelled, few_shot_together
        from classifiers.splits import Splitter

        images, fit = self._session.collection.images, self._session.fit
        rows = np.flatnonzero(result.judged)
        rows = np.sort(rows[np.argsort(images["hash"].to_numpy(str)[rows], kind="stable")[:_IMAGES]])
        codes = result.codes[rows]
        if len(rows) < 20 or (np.bincount(codes) > 1).sum() < 2:
            return None
        first = step.start.live.codes[rows]
        split: Split = Splitter(images.iloc[rows].reset_index(drop=True), "random").holdout(codes)
        return few_shot_together(
            fit.vectors[rows],
            [Labelled("", codes, split.train, split.test)],
            "ridge",
            draws=_DRAWS,
            spread=None if (first < 0).any() else first,
            kept=lambda some, _: self._factors.rows(fit.space, self._hashes[rows[some]]),
        )[0]
