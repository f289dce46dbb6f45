"""Schemes that were tried one after the other, and what the page shows of one beside the one before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from classifiers.live import LiveResult, LiveScheme
    from embank.explorer.starts import Start


@dataclass(frozen=True)
class Step:
    """A scheme, and what it is worth; `why` says in a sentence why there is no result.

    edit: what led to it, in words. by_name: whether that edit moved images between classes, not classes.
    """

    start: Start
    live: LiveScheme
    edit: str = ""
    by_name: bool = False
    result: LiveResult | None = None
    why: str | None = None


@dataclass(frozen=True)
class Shown:
    """What the page shows: a step, the one that it showed before, and which images are predicted otherwise now.

    by_name: whether images moved between classes from one to the other, not classes. compared: the scheme under the
    names that it had when it was compared, if only names have changed since.
    """

    revision: int
    step: Step
    before: Step | None = None
    by_name: bool = False
    flips: NDArray[np.intp] | None = None
    difference: dict[str, Any] | None = None
    compared: LiveScheme | None = None
    milliseconds: float | None = None

    @property
    def settled(self) -> bool:
        """Whether the figures are final, or there are none."""
        return self.step.result is None or self.step.result.settled


def compared(shown: Shown) -> Shown:
    """With what can be said of the step beside the one before."""
    from classifiers.live import difference

    step, before = shown.step, shown.before
    if before is None or before.result is None or step.result is None:
        return shown
    named = replace(step, live=shown.compared or step.live)
    flips = _flips(before, named, shown.by_name) if before.start is step.start else None
    return replace(shown, flips=flips, difference=difference(before.result, step.result))


def only_renamed(before: Step, after: Step) -> bool:
    """Whether every class has the images that it had: what was said of the scheme holds under its new names."""
    old, new = before.live, after.live
    return (
        before.start is after.start
        and len(old.classes) == len(new.classes)
        and np.array_equal(old.codes, new.codes)
    )


def _flips(before: Step, after: Step, by_name: bool) -> NDArray[np.intp]:
    """The images whose prediction is no heir of what it was: a merged class is the heir of each of its parts."""
    from classifiers.live import heirs

    assert before.result is not None and after.result is not None  # noqa: S101 (for the type checker)
    same = heirs(before.live, after.live, by_name=by_name)
    return np.flatnonzero(~same[before.result.predicted, after.result.predicted])
