"""The work behind a comparison: jobs, batches that share a factorization, and audits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.audits.audit import Audit
from classifiers.audits.auditing import Auditor, Subject, corrected
from classifiers.audits.ground import MOST_IMAGES
from classifiers.audits.traits import Pictures
from classifiers.banked import Bank, StreamedBank, Vectors, banked
from classifiers.banked_rows import fits_in_memory
from classifiers.by_parts import Runner
from classifiers.errors import ClassifierError, HeadError, SchemeError
from classifiers.factor_cache import FactorCache
from classifiers.jobs import Job
from classifiers.labels import Labels
from classifiers.logistic import LogisticHead
from classifiers.paired import paired
from classifiers.predictions import Predictions
from classifiers.presets import HeadSpec, make_head
from classifiers.results import Comparison, Result, best_by_space, board_of
from classifiers.ridge import RidgeHead
from classifiers.schemes import Scheme
from classifiers.splits import Rows, Splitter
from classifiers.suggestions import counted
from classifiers.targets import labelled, occurring, only
from classifiers.train_sizes import smaller
from store import FeatureStore, StoreError
from store.columns import hashes_from_hex

Progress = Callable[[int, int, str], None]
Key = tuple[str, int | None]  # of a job: its scheme, and its number of training images, None for all
_TOGETHER = 256


@dataclass(frozen=True)
class Settings:
    """What a comparison does beside its schemes, heads and spaces; see `run_comparison`."""

    cv: int | None = None
    plain: bool = False
    train_sizes: tuple[int | None, ...] = (None,)
    quick: bool = False
    pictures: Pictures | None = None
    runner: Runner | None = None


@dataclass
class Run:
    """What a comparison has gathered so far."""

    images: pd.DataFrame
    heads: dict[str, HeadSpec]
    splitter: Splitter
    settings: Settings
    progress: Progress | None
    notes: list[str]
    results: list[Result] = field(default_factory=list)
    audits: list[Audit] = field(default_factory=list)
    errors: list[tuple[str, str]] = field(default_factory=list)
    done: int = 0
    total: int = 0
    _what: str = ""

    def labels(self, schemes: Mapping[str, Scheme]) -> dict[str, Labels]:
        """The labels of each scheme that gives some; the others become errors."""
        labels = {}
        for name, scheme in schemes.items():
            try:
                labels[name] = scheme.labels(self.images)
            except SchemeError as error:
                self.errors.append((name, str(error)))
        return labels

    def space(self, store: FeatureStore, space: str, labels: Mapping[str, Labels]) -> None:
        """Runs all schemes and heads on one space, then the audits."""
        jobs = dict(self._jobs(space, labels, banked(store, space, self.images)))
        if not jobs:
            return
        needed = np.flatnonzero(np.any([labelled(job.codes) for job in jobs.values()], axis=0))
        self.report(f"reading {space}")
        try:
            bank = self._bank(store, space, needed)
        except StoreError as error:
            for name in jobs:
                self.fail(name, str(error), len(self.heads) * len(self.settings.train_sizes))
            return
        sized = [one for name, job in jobs.items() for one in self._sizes(name, job)]
        for head, spec in self.heads.items():
            together = _TOGETHER if isinstance(make_head(spec), RidgeHead | LogisticHead) else 1
            for start in range(0, len(sized), together):
                self._batch(dict(sized[start : start + together]), head, bank)
        if not self.settings.quick:
            self._audit(jobs, bank)

    def report(self, what: str) -> None:
        """Tells the progress callback what comes next."""
        self._what = what
        if self.progress is not None:
            self.progress(self.done, self.total, what)

    def _tell_more(self, sentence: str) -> None:
        """Adds how far it is to what was reported last."""
        if self.progress is not None:
            self.progress(self.done, self.total, f"{self._what}: {sentence}")

    def note(self, sentences: Sequence[str]) -> None:
        """Keeps sentences, each once."""
        self.notes.extend(one for one in dict.fromkeys(sentences) if one not in self.notes)

    def fail(self, scheme: str, sentence: str, steps: int) -> None:
        """Records that some steps of a scheme will not be done."""
        self.errors.append((scheme, sentence))
        self.done += steps

    def comparison(self, schemes: Mapping[str, Scheme], spaces: Sequence[str]) -> Comparison:
        """Results in the order of schemes, heads, spaces and training sizes."""
        by_scheme, by_head, by_space = list(schemes), list(self.heads), list(spaces)
        ordered = sorted(
            self.results,
            key=lambda one: (
                by_scheme.index(one.scheme),
                by_head.index(one.head),
                by_space.index(one.space),
                one.n_train,
            ),
        )
        audits = sorted(
            corrected(self.audits, best_by_space(ordered)),
            key=lambda one: (by_scheme.index(one.scheme), by_space.index(one.space)),
        )
        return Comparison(
            board_of(ordered, audits),
            self.images,
            tuple(ordered),
            tuple(self.errors),
            tuple(self.notes),
            paired(ordered, self.splitter.groups),
            tuple(audits),
        )

    def _bank(self, store: FeatureStore, space: str, needed: Rows) -> Vectors:
        """The vectors of some images, by row numbers. Raises StoreError."""
        images = self.images.iloc[needed]
        views = 1 if self.settings.plain else store.space(space).views
        if not fits_in_memory(store, space, images):
            self.note([f"the vectors of {space} do not fit in memory: they are read from the store."])
            settings = self.settings
            return StreamedBank(
                store, space, self.images, needed, settings.cv is not None, settings.runner, self._tell_more
            )
        vectors = [store.vectors(space, images, view=view) for view in range(views)]
        hashes, folds = hashes_from_hex(images["hash"]), self.settings.cv is not None
        return Bank(space, vectors, needed, len(self.images), hashes, FactorCache.of(store), folds)

    def _jobs(
        self, space: str, labels: Mapping[str, Labels], here: NDArray[np.bool_]
    ) -> Iterator[tuple[str, Job]]:
        """The schemes that can be run on a space, with their splits."""
        for name, one in labels.items():
            codes = only(one.codes, here)
            absent = int(labelled(one.codes).sum() - labelled(codes).sum())
            if absent:
                self.note([f"scheme {name!r}: {counted(absent, 'image')} left out, not embedded in {space}."])
            try:
                if len(occurring(codes)) < 2:
                    raise SchemeError(f"fewer than two of its classes have images in {space}.")
                cv, split = self.settings.cv, self.splitter
                splits = split.folds(codes, cv, one.classes) if cv else [split.holdout(codes, one.classes)]
            except ClassifierError as error:
                self.fail(name, f"scheme {name!r}: {error}", len(self.heads) * len(self.settings.train_sizes))
                continue
            self.note([f"scheme {name!r}: {note}" for split in splits for note in split.notes])
            yield name, Job(one, codes, splits)

    def _sizes(self, name: str, job: Job) -> Iterator[tuple[Key, Job]]:
        """The job with each number of training images; as many as there are, or more, is all of them."""
        least = min(len(split.train) for split in job.splits)
        asked = [None if size is None or size >= least else size for size in self.settings.train_sizes]
        sizes = list(dict.fromkeys(asked))
        positions, numbers = self.splitter.positions, [size for size in sizes if size is not None]
        self.done += (len(asked) - len(sizes)) * len(self.heads)
        for size in sizes:
            try:
                splits = job.splits
                if size is not None:
                    splits = [smaller(one, job.codes, positions, size, numbers) for one in splits]
            except ClassifierError as error:
                self.fail(name, f"scheme {name!r}: {error}", len(self.heads))
            else:
                yield (name, size), replace(job, splits=splits)

    def _batch(self, jobs: Mapping[Key, Job], head: str, bank: Vectors) -> None:
        """Fits one kind of head to several schemes, sharing what has the same training rows."""
        names = [name for name, _ in jobs]
        self.report(f"{head} on {names[0] if len(names) == 1 else f'{names[0]} … {names[-1]}'}")
        groups: dict[bytes, list[_Part]] = {}
        predictions = {key: Predictions(job) for key, job in jobs.items()}
        for key, job in jobs.items():
            for fold, split in enumerate(job.splits):
                groups.setdefault(split.train.tobytes(), []).append(_Part(key, job, fold))
        failed: dict[Key, str] = {}
        for group in groups.values():
            parts = [part for part in group if part.key not in failed]
            try:
                self.note(_fit_parts(parts, predictions, self.heads[head], bank))
            except (ClassifierError, ValueError, TypeError, ArithmeticError) as error:
                failed |= {part.key: f"head {head}: {str(error).rstrip('.')}." for part in parts}
        for key in jobs:
            if key not in failed:
                try:
                    result = predictions[key].result(key[0], head, bank.space, self.splitter.groups)
                except HeadError as error:
                    failed[key] = f"head {head}: {error}"
            if key in failed:
                self.fail(key[0], f"scheme {key[0]!r}, {failed[key]}", 1)
            else:
                self.results.append(result)
                self.done += 1

    def _audit(self, jobs: Mapping[str, Job], bank: Vectors) -> None:
        """Audits each scheme that has a result on the space of the bank."""
        best = best_by_space(one for one in self.results if one.space == bank.space)
        subjects = [
            Subject(job, best[name, bank.space]) for name, job in jobs.items() if (name, bank.space) in best
        ]
        needed = np.unique(np.concatenate([job.rows for job in jobs.values()]))
        auditor = Auditor(self.images, bank, needed, self.splitter.groups, self.settings.pictures)
        try:
            for audit in auditor.audits(subjects, lambda scheme: self.report(f"honest figures of {scheme}")):
                self.audits.append(audit)
        except (ClassifierError, StoreError) as error:
            self.note([f"no honest figures of {bank.space} from here on: {error}"])
        if self.audits and len(needed) > max(one.images for one in self.audits):
            self.note(
                [f"honest figures look at {MOST_IMAGES:,} images of a scheme at most, of {len(needed):,}."]
            )


@dataclass(frozen=True)
class _Part:
    """One fold of one job."""

    key: Key
    job: Job
    fold: int


def _fit_parts(
    parts: Sequence[_Part], predictions: Mapping[Key, Predictions], spec: HeadSpec, bank: Vectors
) -> list[str]:
    """Fits a head for each part, all with the same training rows; returns what they warned of."""
    if not parts:
        return []
    start = time.perf_counter()
    train = parts[0].job.splits[parts[0].fold].train
    heads = [make_head(spec) for _ in parts]
    warned = bank.fit(heads, train, [part.job.codes[train] for part in parts])
    share = (time.perf_counter() - start) / len(parts)
    for head, part in zip(heads, parts, strict=True):
        predictions[part.key].add(head, part.fold, bank, share)
    return warned
