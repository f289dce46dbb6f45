"""All honest figures of one scheme on one space."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from classifiers.audits.leakage import Leakage
from classifiers.audits.noise import Noise
from classifiers.audits.nuisance import Nuisance
from classifiers.audits.permutation import Permutation
from classifiers.suggestions import counted

if TYPE_CHECKING:
    from classifiers.results import Result

COLUMNS = ("nuisance", "p_holm", "ceiling", "leaks")
_MANY_ERRORS = 0.1
_CHANCE = 0.05


@dataclass(frozen=True)
class Audit:
    """What else could explain the accuracies of a scheme on a space; on the rows and splits of their results.

    None is what is not defined there. `warnings` are sentences; `images` is how many were looked at.
    """

    scheme: str
    space: str
    nuisance: Nuisance | None
    leakage: Leakage
    permutation: Permutation | None
    noise: Noise | None
    warnings: tuple[str, ...]
    images: int = 0

    def columns(self) -> dict[str, float | int | None]:
        """What stands beside an accuracy on the board, by the names in COLUMNS."""
        nuisance, permutation, noise = self.nuisance, self.permutation, self.noise
        values = (
            None if nuisance is None else nuisance.accuracy,
            None if permutation is None else permutation.p_holm,
            None if noise is None else noise.ceiling,
            self.leakage.same.total + self.leakage.near.total,
        )
        return dict(zip(COLUMNS, values, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain values, for JSON; of pairs and likely errors how many there are."""
        leakage, noise = self.leakage, self.noise
        return {
            "scheme": self.scheme,
            "space": self.space,
            "images": self.images,
            "nuisance": None
            if self.nuisance is None
            else asdict(self.nuisance) | {"alone": dict(self.nuisance.alone)},
            "leakage": {
                "same": leakage.same.total,
                "near": leakage.near.total,
                "conflicts": leakage.conflicts.total,
                "threshold": leakage.threshold,
                "leaked": len(leakage.leaked),
                "accuracy_without": leakage.accuracy_without,
            },
            "permutation": None if self.permutation is None else asdict(self.permutation),
            "noise": None
            if noise is None
            else {
                "nearest_accuracy": noise.nearest_accuracy,
                "ceiling": noise.ceiling,
                "likely_errors": noise.count,
            },
            "warnings": list(self.warnings),
        }


def warnings_of(audit: Audit, best: Result) -> Iterator[str]:
    """Sentences on what an analyst should know before the accuracy of the scheme's best head is believed."""
    figures, leakage, noise = best.figures, audit.leakage, audit.noise
    if audit.nuisance is not None and audit.nuisance.rivals:
        yield shortcut(audit.nuisance, best.scheme, best.head, figures.accuracy, figures.majority)
    if len(leakage.leaked):
        twins = "has a near-duplicate" if len(leakage.leaked) == 1 else "have near-duplicates"
        without = (
            "there are no others"
            if leakage.accuracy_without is None
            else f"on the others the accuracy is {_percent(leakage.accuracy_without)}, not {_percent(figures.accuracy)}"
        )
        yield f"{counted(len(leakage.leaked), 'test image')} {twins} among those trained on; {without}."
    if leakage.conflicts.total:
        yield f"{counted(leakage.conflicts.total, 'pair')} of images of the same bytes have different labels."
    if audit.permutation is not None and audit.permutation.p_holm > _CHANCE:
        yield (
            f"shuffled labels are told nearly as well: {_percent(audit.permutation.null_high)} is reached by one "
            f"shuffle in twenty, {_percent(audit.permutation.accuracy)} by the real labels "
            f"(p = {audit.permutation.p_holm:.2g}, corrected for the number of schemes)."
        )
    if noise is not None and noise.count > _MANY_ERRORS * audit.images:
        yield f"about {noise.count:,} of {audit.images:,} labels look wrong, or their classes cannot be told apart."


def shortcut(nuisance: Nuisance, scheme: str, head: str, accuracy: float, majority: float) -> str:
    """The sentence for a scheme that is told by what is not in the pictures, beside the figures of its head."""
    name, share = nuisance.alone[0]
    if share >= nuisance.accuracy - 0.05:
        what = f"{name} alone tells {scheme!r} with {_percent(share)}"
    else:
        what = (
            f"what is not in the pictures tells {scheme!r} with {_percent(nuisance.accuracy)}, "
            f"{name} alone with {_percent(share)}"
        )
    return (
        f"{what} ({head} {_percent(accuracy)}, always the most frequent label {_percent(majority)}): "
        "the label may be a shortcut."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
