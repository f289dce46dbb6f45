"""Results of heads, made without a store and without a head."""

from __future__ import annotations

from typing import Any

import numpy as np

from classifiers.evaluation import evaluate_codes
from classifiers.labels import Labels
from classifiers.results import Result

SPACE = "Tiny-0123456789ab"
N = 90  # images of a small result


def made_result(
    labels: Labels,
    train: Any,
    test: Any,
    predicted: Any,
    probabilities: Any,
    head: str = "ridge",
    **more: Any,
) -> Result:
    """The result of a head that says this of the test rows; more: other fields."""
    return Result(
        scheme=labels.name,
        head=head,
        space=SPACE,
        labels=labels,
        split="random",
        n_train=len(train),
        train=train,
        test=test,
        predicted=predicted,
        confidence=probabilities.max(axis=1),
        probabilities=probabilities,
        figures=evaluate_codes(labels.codes[test], predicted, len(labels.classes), probabilities),
        seconds=0.25,
        **more,
    )


def small_result(scheme: str = "kind", classes: int = 3, wrong: int = 4) -> Result:
    """N images, the last 30 held out, of which the first `wrong` are named as the next class, with 80 % confidence."""
    codes = np.arange(N) % classes
    test = np.arange(60, N)
    predicted = codes[test].copy()
    predicted[:wrong] = (predicted[:wrong] + 1) % classes
    probabilities = np.full((30, classes), 0.2 / (classes - 1))
    probabilities[np.arange(30), predicted] = 0.8
    labels = Labels(scheme, tuple(f"class {i}" for i in range(classes)), codes)
    return made_result(labels, np.arange(60), test, predicted, probabilities)
