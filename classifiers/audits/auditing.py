"""Audits of all schemes on a space, sharing what does not depend on labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.audits.audit import Audit, warnings_of
from classifiers.audits.ground import MOST_IMAGES, Ground
from classifiers.audits.leakage import leakage
from classifiers.audits.neighbours import Neighbours
from classifiers.audits.noise import noises
from classifiers.audits.nuisance import Nuisance, NuisanceModel
from classifiers.audits.permutation import PermutationTest, holm
from classifiers.audits.traits import Pictures, Traits, traits
from classifiers.banked import Vectors
from classifiers.jobs import Job
from classifiers.splits import Rows
from classifiers.targets import Targets
from classifiers.values import Texts

if TYPE_CHECKING:
    from classifiers.results import Result


@dataclass(frozen=True)
class Subject:
    """A scheme on a space, and the result of its best head there."""

    job: Job
    best: Result


@dataclass(frozen=True)
class Auditor:
    """Audits schemes on one space. `needed` (m,) are the rows of images that some scheme trains or tests on.

    Of a scheme's images 20,000 at most are looked at, sampled by their hashes. `pictures` gives JPEGs, for mean
    colours.
    """

    images: pd.DataFrame
    bank: Vectors
    needed: Rows
    groups: Texts | None
    pictures: Pictures | None

    def audits(
        self, subjects: Sequence[Subject], report: Callable[[str], None] = lambda name: None
    ) -> Iterator[Audit]:
        """One audit a scheme, `p_holm` not yet corrected (see `corrected`); `report` is told of each before."""
        alike: dict[bytes, list[Subject]] = {}
        for subject in subjects:
            alike.setdefault(subject.job.signature, []).append(subject)
        for some in alike.values():
            yield from self._alike(some, report)

    @cached_property
    def _hashes(self) -> NDArray[np.intp]:
        return np.asarray(pd.factorize(self.images["hash"])[0], np.intp)

    @cached_property
    def _of_all(self) -> _Surroundings:
        return self._surroundings(self.needed)

    def _surroundings(self, rows: Rows) -> _Surroundings:
        found = traits(self.images, rows, self.pictures)
        return _Surroundings(found, Neighbours.of(rows, self._hashes, self.bank))

    def _alike(self, subjects: Sequence[Subject], report: Callable[[str], None]) -> Iterator[Audit]:
        """The audits of schemes with the same splits."""
        ground = Ground.of(subjects[0].job, self.bank, self.images, self.groups)
        few = len(self.needed) <= MOST_IMAGES
        around = self._of_all if few else self._surroundings(ground.rows)
        single = [one for one in subjects if _has_noise(one, ground)]
        codes = [one.job.codes[ground.rows].astype(np.intp) for one in single]
        reached = [one.best.figures.accuracy for one in single]
        nearest = around.neighbours.nearest_among(ground.rows)
        found = noises(ground, nearest, codes, reached)
        noise = {one.best.scheme: its for one, its in zip(single, found, strict=True)}
        model = NuisanceModel(around.traits, ground) if ground.splits and around.traits.names else None
        test = PermutationTest(ground) if ground.splits else None
        for subject in subjects:
            job, best = subject.job, subject.best
            report(best.scheme)
            own = job.codes[ground.rows]
            yield Audit(
                best.scheme,
                best.space,
                None if model is None else _nuisance(model, subject, own),
                leakage(job, around.neighbours, self._hashes, best.test, best.right),
                None if test is None else test.permutation(own),
                noise.get(best.scheme),
                (),
                len(ground.rows),
            )


@dataclass(frozen=True)
class _Surroundings:
    traits: Traits
    neighbours: Neighbours


def _has_noise(subject: Subject, ground: Ground) -> bool:
    """Whether its images have one label each, of two classes at least."""
    return not subject.job.labels.multilabel and len(np.unique(subject.job.codes[ground.rows])) > 1


def _nuisance(model: NuisanceModel, subject: Subject, codes: Targets) -> Nuisance:
    figures, classes = subject.best.figures, len(subject.job.labels.classes)
    return model.nuisance(codes, classes, figures.majority, figures.accuracy, figures.accuracy_low)


def corrected(audits: Sequence[Audit], best: Mapping[tuple[str, str], Result]) -> tuple[Audit, ...]:
    """The audits of a comparison with p-values corrected for the number of schemes on each space, and warnings.

    best: the result of the best head by scheme and space.
    """
    found = list(audits)
    for space in dict.fromkeys(one.space for one in audits):
        tested = [
            (i, one.permutation) for i, one in enumerate(audits) if one.space == space and one.permutation
        ]
        for (i, _), test in zip(tested, holm([test for _, test in tested]), strict=True):
            found[i] = replace(found[i], permutation=test)
    return tuple(replace(one, warnings=tuple(warnings_of(one, best[one.scheme, one.space]))) for one in found)
