"""Lists of images that the page asks for: of a class, of a confusion, mistakes, likely errors, twins, what is alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from embank.explorer.session import Session
from embank.explorer.steps import Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from classifiers.banked import Bank

_ALIKE = 100  # images that a search finds


@dataclass(frozen=True)
class Listed:
    """Rows in the order in which they are shown, and what is said of some of them."""

    rows: NDArray[np.intp]
    notes: Mapping[int, str] = field(default_factory=dict)


class Lists:
    """The lists of a session. Raise SchemeError or another sentence for what cannot be listed."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = Lock()

    def all(self) -> Listed:
        """Every image."""
        return Listed(np.arange(len(self._session.collection)))

    def of_class(self, code: int) -> Listed:
        """The images of a class."""
        return Listed(self._step.live.rows(code))

    def cell(self, truth: int, guess: int) -> Listed:
        """The images of a class that are taken for another, the surest first."""
        live, result = self._step.live, self._step.result
        live.name(truth), live.name(guess)
        if result is None:
            return _nothing()
        return self._surest(
            np.flatnonzero(result.judged & (result.codes == truth) & (result.predicted == guess))
        )

    def mistakes(self) -> Listed:
        """The images that are taken for what they are not labelled as, the surest first."""
        result = self._step.result
        return _nothing() if result is None else self._surest(np.flatnonzero(result.judged & ~result.right))

    def errors(self) -> Listed:
        """The images whose label is likely wrong, the likeliest first (confident learning)."""
        from classifiers.audits.label_errors import label_errors

        step = self._step
        if step.result is None:
            return _nothing()
        rows = np.flatnonzero(step.result.judged)
        found = label_errors(step.result.probabilities[rows], step.result.codes[rows])
        likely = [step.live.classes[code] for code in found.suggested.tolist()]
        chosen = rows[found.rows]
        notes = {int(row): f"likely {name}" for row, name in zip(chosen, likely, strict=True)}
        return Listed(chosen, notes)

    def duplicates(self) -> Listed:
        """Images that are nearly the same as another, each beside its twin, the most alike first."""
        pairs, similarity = self._twins
        rows = [int(row) for row in dict.fromkeys(pairs.ravel().tolist())]
        notes: dict[int, str] = {}
        names = self._step.live.names
        for (first, second), alike in zip(pairs.tolist(), similarity.tolist(), strict=True):
            for one, other in ((first, second), (second, first)):
                differ = names[one] is not None and names[other] is not None and names[one] != names[other]
                tail = f", which is {names[other]}" if differ else ""
                notes.setdefault(one, f"{alike:.3f} like {self._session.keys[other]}{tail}")
        return Listed(np.array(rows, np.intp), notes)

    def flips(self) -> Listed:
        """The images that the last edit made be predicted otherwise."""
        shown = self._session.shown
        if shown.flips is None or shown.before is None or shown.before.result is None:
            return _nothing()
        classes, was = shown.before.live.classes, shown.before.result.predicted
        return Listed(shown.flips, {int(row): f"was taken for {classes[was[row]]}" for row in shown.flips})

    def where(self, expression: str) -> Listed:
        """The images for which an expression holds: of the store's columns, `label`, `predicted`, `confidence`."""
        return Listed(np.flatnonzero(self.holds(expression)))

    def holds(self, expression: str) -> NDArray[np.bool_]:
        """For which images it holds: (n,). Raises ExpressionError."""
        from classifiers.expressions import matches

        step = self._step
        table = self._session.collection.images
        more: dict[str, NDArray[Any]] = {"label": step.live.names}
        if step.result is not None:
            classes = np.array(step.live.classes, object)
            more |= {"predicted": classes[step.result.predicted], "confidence": step.result.confidence}
        return matches(
            expression, table.assign(**{name: one for name, one in more.items() if name not in table})
        )

    def similar(self, row: int) -> Listed:
        """The images most like one of them, which comes first."""
        vectors = self._session.fit.vectors
        return self.near(vectors[row : row + 1], np.array([row]))

    def near(self, vector: NDArray[np.float32], first: NDArray[np.intp] | None = None) -> Listed:
        """The images whose vectors have the largest cosines with one (1, d); `first` ones go before them."""
        from classifiers.nearest import nearest

        vectors = self._session.fit.vectors
        found, alike = nearest(vectors, vector, min(_ALIKE, len(vectors)))
        before = np.zeros(0, np.intp) if first is None else first
        notes = {int(row): f"{one:.3f} alike" for row, one in zip(found[0], alike[0], strict=True)}
        return Listed(np.concatenate([before, found[0][~np.isin(found[0], before)]]), notes)

    @property
    def _step(self) -> Step:
        return self._session.shown.step

    def _surest(self, rows: NDArray[np.intp]) -> Listed:
        result = self._step.result
        return Listed(rows if result is None else rows[np.argsort(-result.confidence[rows], kind="stable")])

    @property
    def _twins(self) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        with self._lock:  # they take seconds, and two that ask at once wait for the same
            return self._found_twins

    @cached_property
    def _found_twins(self) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        from classifiers.audits.ground import MOST_IMAGES
        from classifiers.audits.neighbours import Neighbours
        from classifiers.errors import SearchError

        count = len(self._session.collection)
        if count > MOST_IMAGES:
            raise SearchError(
                f"near-duplicates are looked for among at most {MOST_IMAGES:,} images, and there are {count:,}: start "
                "with --where for a part of them."
            )
        if count < 2:
            return np.zeros((0, 2), np.intp), np.zeros(0)
        rows = np.arange(count)
        return Neighbours.of(rows, rows, bank_of(self._session)).near(rows)


def bank_of(session: Session) -> Bank:
    """The session's vectors as audits take them."""
    from classifiers.banked import Bank
    from classifiers.factor_cache import FactorCache
    from store.columns import hashes_from_hex

    collection = session.collection
    count = len(collection)
    hashes = hashes_from_hex(collection.images["hash"])
    factors = FactorCache.of(collection.store)
    return Bank(
        collection.space, [session.fit.vectors], np.arange(count), count, hashes, factors, folds=False
    )


def _nothing() -> Listed:
    return Listed(np.zeros(0, np.intp))
