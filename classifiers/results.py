"""What a comparison found: a board, and every result behind it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.evaluation import Figures
from classifiers.schemes import Labels
from classifiers.splits import Rows


@dataclass(frozen=True)
class Result:
    """One head on one scheme and space. `train` and `test` are row numbers of the images; with cross-validation
    both are all labelled rows, and the predictions are those made while a row was left out.

    `predicted` (n_test,) are codes of `labels.classes`; `probabilities` (n_test, k) in their order, or None.
    `seconds` is the time to fit and predict; a factorization that ridge heads share is divided among them.
    """

    scheme: str
    head: str
    space: str
    labels: Labels
    split: str
    n_train: int
    train: Rows
    test: Rows
    predicted: Rows
    probabilities: NDArray[np.float64] | None
    figures: Figures
    seconds: float

    def row(self) -> dict[str, object]:
        """The result as a row of the board."""
        figures = self.figures.to_dict()
        names = {"scheme": self.scheme, "head": self.head, "space": self.space}
        counts = {"classes": len(self.labels.classes), "n_train": self.n_train, "n_test": figures.pop("n")}
        return {**names, **counts, **figures, "seconds": self.seconds}


COLUMNS = (
    *("scheme", "head", "space", "classes", "n_train", "n_test", "accuracy", "accuracy_low", "accuracy_high"),
    *("balanced_accuracy", "macro_f1", "majority", "seconds"),
)


@dataclass(frozen=True)
class Comparison:
    """The board, one row a result; the images it is about; what failed, as (scheme, sentence); other notes."""

    board: pd.DataFrame
    images: pd.DataFrame
    results: tuple[Result, ...]
    errors: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()


class ComparisonInterrupted(KeyboardInterrupt):  # it is no error
    """The comparison was stopped by Ctrl-C; `partial` is what was finished."""

    def __init__(self, partial: Comparison) -> None:
        super().__init__("the comparison was interrupted")
        self.partial = partial
