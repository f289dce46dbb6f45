"""What a comparison found: a board, and every result behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.audits.audit import COLUMNS as HONEST
from classifiers.audits.audit import Audit
from classifiers.evaluation import FIGURES, Figures
from classifiers.labels import Labels
from classifiers.paired import Pair
from classifiers.splits import Rows
from classifiers.targets import Targets, agreeing


@dataclass(frozen=True)
class Result:
    """One head on one scheme and space. `train` and `test` are row numbers of the images; with cross-validation
    both are all labelled rows, and the predictions are those made while a row was left out.

    `predicted` (n_test,) are codes of `labels.classes`, or with several labels an image an indicator (n_test, t);
    `probabilities` (n_test, k) in their order, None if the head gives none or they are more than 16 million numbers;
    `confidence` (n_test,) is the probability of what was predicted (of several labels, of the least sure one).
    `seconds` is the time to fit and predict; a factorization that ridge heads share is divided among them.
    `history`: learning curves by epoch, of heads that have some (DenseHead); of several folds those of the first.
    """

    scheme: str
    head: str
    space: str
    labels: Labels
    split: str
    n_train: int
    train: Rows
    test: Rows
    predicted: Targets
    confidence: NDArray[np.float64] | None
    probabilities: NDArray[np.floating[Any]] | None
    figures: Figures
    seconds: float
    history: Mapping[str, Sequence[float]] | None = None

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which of the test rows are predicted rightly: (n_test,)."""
        return agreeing(self.predicted, self.labels.codes[self.test])

    def row(self) -> dict[str, object]:
        """The result as a row of the board."""
        figures = self.figures.to_dict()
        names = {"scheme": self.scheme, "head": self.head, "space": self.space}
        counts = {"classes": len(self.labels.classes), "n_train": self.n_train, "n_test": figures.pop("n")}
        return {**names, **counts, **figures, "seconds": self.seconds}


COLUMNS = (
    *("scheme", "head", "space", "classes", "n_train", "n_test"),
    *FIGURES,
    "seconds",
    *HONEST,
)


@dataclass(frozen=True)
class Comparison:
    """The board, one row a result, the figures of its audit in the last columns; the images it is about; what
    failed, as (scheme, sentence); other notes.

    `pairs`: the most accurate result of each scheme against each of its others. `audits`: honest figures of each
    scheme on each space, empty where none were asked for.
    """

    board: pd.DataFrame
    images: pd.DataFrame
    results: tuple[Result, ...]
    errors: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()
    audits: tuple[Audit, ...] = ()

    def rows(self) -> list[dict[str, object]]:
        """The rows of the board as plain values, None for what is not defined."""
        return board_rows(self.results, self.audits)


def board_rows(results: Sequence[Result], audits: Sequence[Audit]) -> list[dict[str, object]]:
    """One row a result, with the honest figures of its scheme on its space."""
    known = {(one.scheme, one.space): one.columns() for one in audits}
    nothing = dict.fromkeys(HONEST)
    return [one.row() | known.get((one.scheme, one.space), nothing) for one in results]


def board_of(results: Sequence[Result], audits: Sequence[Audit]) -> pd.DataFrame:
    """The rows as a table."""
    return pd.DataFrame(board_rows(results, audits), columns=list(COLUMNS))


def best_by_space(results: Iterable[Result]) -> dict[tuple[str, str], Result]:
    """The most accurate result of each (scheme, space), among those with the most training images."""
    best: dict[tuple[str, str], Result] = {}
    for one in results:
        other = best.setdefault((one.scheme, one.space), one)
        if (one.n_train, one.figures.accuracy) > (other.n_train, other.figures.accuracy):
            best[one.scheme, one.space] = one
    return best


class ComparisonInterrupted(KeyboardInterrupt):  # it is no error
    """The comparison was stopped by Ctrl-C; `partial` is what was finished."""

    def __init__(self, partial: Comparison) -> None:
        super().__init__("the comparison was interrupted")
        self.partial = partial
