"""Predictions of one scheme's test rows, fold by fold, and the result that they make."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.banked import Vectors
from classifiers.estimates import class_probabilities
from classifiers.evaluation import evaluate_codes
from classifiers.jobs import Job
from classifiers.presets import Estimator
from classifiers.results import Result
from classifiers.splits import Rows
from classifiers.targets import Targets
from classifiers.values import Texts

_AT_ONCE = 8192
_MOST_PROBABILITIES = 1 << 24  # kept of a result: 64 or 128 MB


class Predictions:
    """What the heads of a job's folds say of the images that they were not trained on."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self.test = np.sort(np.concatenate([split.test for split in job.splits]))
        self._predicted: Targets = np.full((len(self.test), *job.codes.shape[1:]), -1, job.codes.dtype)
        self._probabilities: NDArray[np.floating[Any]] | None = None
        self._seconds = 0.0
        self._history: dict[str, list[float]] | None = None

    def add(self, head: Estimator, fold: int, bank: Vectors, seconds: float) -> None:
        """Predicts the test rows of a fold with a head that was fitted on codes, in so many seconds."""
        start = time.perf_counter()
        if self._history is None:
            self._history = getattr(head, "history_", None)
        rows = self._job.splits[fold].test
        for first in range(0, len(rows), _AT_ONCE):
            self._predict(head, rows[first : first + _AT_ONCE], bank)
        self._seconds += seconds + time.perf_counter() - start

    def result(self, scheme: str, head: str, space: str, groups: Texts | None) -> Result:
        """The pooled result of all folds. Raises HeadError."""
        job, test, probabilities = self._job, self.test, self._probabilities
        one = len(job.splits) == 1
        confidence = None if probabilities is None else _confidence(probabilities, self._predicted)
        kept = probabilities is not None and probabilities.size <= _MOST_PROBABILITIES
        some = None if groups is None else groups[test]
        return Result(
            scheme=scheme,
            head=head,
            space=space,
            labels=job.labels,
            split=job.splits[0].name if one else f"{len(job.splits)}-fold cross-validation",
            n_train=round(float(np.mean([len(split.train) for split in job.splits]))),
            train=job.splits[0].train if one else test,
            test=test,
            predicted=self._predicted,
            confidence=confidence,
            probabilities=probabilities if kept else None,
            figures=evaluate_codes(
                job.codes[test], self._predicted, len(job.labels.classes), probabilities, some
            ),
            seconds=self._seconds,
            history=self._history,
        )

    def _predict(self, head: Estimator, rows: Rows, bank: Vectors) -> None:
        at = np.searchsorted(self.test, rows)
        vectors = bank[rows]
        several = self._job.codes.ndim == 2
        found = class_probabilities(head, vectors, len(self._job.labels.classes), several)
        if found is None:
            self._predicted[at] = head.predict(vectors)
            return
        if self._probabilities is None:
            self._probabilities = np.zeros((len(self.test), found.shape[1]), found.dtype)
        self._probabilities[at] = found
        self._predicted[at] = found > 0.5 if several else found.argmax(axis=1)


def _confidence(probabilities: NDArray[Any], predicted: Targets) -> NDArray[np.float64]:
    """The probability of what was predicted; of several labels that of the least sure one."""
    if predicted.ndim == 1:
        own = probabilities[np.arange(len(predicted)), predicted]
    else:
        own = np.where(predicted == 1, probabilities, 1 - probabilities).min(axis=1)
    return np.asarray(own, np.float64)
