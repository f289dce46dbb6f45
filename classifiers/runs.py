"""The work behind a comparison: jobs, batches that share a factorization, pooled predictions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.banked import Bank, banked
from classifiers.errors import ClassifierError, HeadError, SchemeError
from classifiers.estimates import class_probabilities
from classifiers.evaluation import evaluate_codes
from classifiers.factor_cache import FactorCache
from classifiers.fitting import fit_on_views
from classifiers.labels import Labels
from classifiers.logistic import LogisticHead
from classifiers.paired import paired
from classifiers.presets import Estimator, HeadSpec, make_head
from classifiers.results import COLUMNS, Comparison, Result
from classifiers.ridge import RidgeHead
from classifiers.schemes import Scheme
from classifiers.splits import Split, Splitter
from classifiers.suggestions import counted
from classifiers.targets import Targets, labelled, occurring, only
from classifiers.values import Texts
from store import FeatureStore, StoreError
from store.columns import hashes_from_hex

Progress = Callable[[int, int, str], None]
_TOGETHER = 256
_MOST_PROBABILITIES = 1 << 24  # kept of a result: 64 or 128 MB


@dataclass
class Run:
    """What a comparison has gathered so far."""

    images: pd.DataFrame
    heads: dict[str, HeadSpec]
    progress: Progress | None
    notes: list[str]
    plain: bool = False
    groups: Texts | None = None
    results: list[Result] = field(default_factory=list)
    errors: list[tuple[str, str]] = field(default_factory=list)
    done: int = 0
    total: int = 0

    def labels(self, schemes: Mapping[str, Scheme]) -> dict[str, Labels]:
        """The labels of each scheme that gives some; the others become errors."""
        labels = {}
        for name, scheme in schemes.items():
            try:
                labels[name] = scheme.labels(self.images)
            except SchemeError as error:
                self.errors.append((name, str(error)))
        return labels

    def space(
        self,
        store: FeatureStore,
        space: str,
        labels: Mapping[str, Labels],
        splitter: Splitter,
        cv: int | None,
    ) -> None:
        """Runs all schemes and heads on one space."""
        here = banked(store, space, self.images)
        jobs = dict(self._jobs(space, labels, splitter, cv, here))
        if not jobs:
            return
        needed = np.flatnonzero(np.any([labelled(job.codes) for job in jobs.values()], axis=0))
        self.report(f"reading {space}")
        try:
            images = self.images.iloc[needed]
            views = range(1 if self.plain else store.space(space).views)
            vectors = [store.vectors(space, images, view=view) for view in views]
            hashes = hashes_from_hex(images["hash"])
            bank = Bank(
                space, vectors, needed, len(self.images), hashes, FactorCache.of(store), cv is not None
            )
        except StoreError as error:
            for name in jobs:
                self.fail(name, str(error), len(self.heads))
            return
        for head, spec in self.heads.items():
            together = _TOGETHER if isinstance(make_head(spec), RidgeHead | LogisticHead) else 1
            waiting = list(jobs.items())
            for start in range(0, len(waiting), together):
                self._batch(dict(waiting[start : start + together]), head, bank)

    def report(self, what: str) -> None:
        """Tells the progress callback what comes next."""
        if self.progress is not None:
            self.progress(self.done, self.total, what)

    def note(self, sentences: Sequence[str]) -> None:
        """Keeps sentences, each once."""
        self.notes.extend(one for one in dict.fromkeys(sentences) if one not in self.notes)

    def fail(self, scheme: str, sentence: str, steps: int) -> None:
        """Records that some steps of a scheme will not be done."""
        self.errors.append((scheme, sentence))
        self.done += steps

    def comparison(self, schemes: Mapping[str, Scheme], spaces: Sequence[str]) -> Comparison:
        """Results in the order of schemes, heads and spaces."""
        by_scheme, by_head, by_space = list(schemes), list(self.heads), list(spaces)
        ordered = sorted(
            self.results,
            key=lambda one: (by_scheme.index(one.scheme), by_head.index(one.head), by_space.index(one.space)),
        )
        board = pd.DataFrame([result.row() for result in ordered], columns=list(COLUMNS))
        pairs = paired(ordered, self.groups)
        return Comparison(board, self.images, tuple(ordered), tuple(self.errors), tuple(self.notes), pairs)

    def _jobs(
        self,
        space: str,
        labels: Mapping[str, Labels],
        splitter: Splitter,
        cv: int | None,
        here: NDArray[np.bool_],
    ) -> Iterator[tuple[str, _Job]]:
        """The schemes that can be run on a space, with their splits."""
        for name, one in labels.items():
            codes = only(one.codes, here)
            absent = int(labelled(one.codes).sum() - labelled(codes).sum())
            if absent:
                self.note([f"scheme {name!r}: {counted(absent, 'image')} left out, not embedded in {space}."])
            try:
                if len(occurring(codes)) < 2:
                    raise SchemeError(f"fewer than two of its classes have images in {space}.")
                splits = (
                    splitter.folds(codes, cv, one.classes) if cv else [splitter.holdout(codes, one.classes)]
                )
            except ClassifierError as error:
                self.fail(name, f"scheme {name!r}: {error}", len(self.heads))
                continue
            self.note([f"scheme {name!r}: {note}" for split in splits for note in split.notes])
            yield name, _Job(one, codes, splits)

    def _batch(self, jobs: Mapping[str, _Job], head: str, bank: Bank) -> None:
        """Fits one kind of head to several schemes, sharing what has the same training rows."""
        names = list(jobs)
        self.report(f"{head} on {names[0] if len(names) == 1 else f'{names[0]} … {names[-1]}'}")
        groups: dict[bytes, list[_Part]] = {}
        predictions = {name: _Predictions(job) for name, job in jobs.items()}
        for name, job in jobs.items():
            for fold, split in enumerate(job.splits):
                part = _Part(name, job.codes, fold, split)
                groups.setdefault(split.train.tobytes(), []).append(part)
        failed: dict[str, str] = {}
        for group in groups.values():
            parts = [part for part in group if part.scheme not in failed]
            try:
                self.note(_fit_parts(parts, predictions, self.heads[head], bank))
            except (ClassifierError, ValueError, TypeError, ArithmeticError) as error:
                failed |= {part.scheme: f"head {head}: {str(error).rstrip('.')}." for part in parts}
        for name in names:
            if name not in failed:
                try:
                    result = predictions[name].result(name, head, bank.space, self.groups)
                except HeadError as error:
                    failed[name] = f"head {head}: {error}"
            if name in failed:
                self.fail(name, f"scheme {name!r}, {failed[name]}", 1)
            else:
                self.results.append(result)
                self.done += 1


@dataclass(frozen=True)
class _Job:
    """One scheme on the images of one space: codes (n,), -1 for those to leave out, and splits."""

    labels: Labels
    codes: Targets
    splits: list[Split]


@dataclass(frozen=True)
class _Part:
    """One fold of one scheme."""

    scheme: str
    codes: Targets
    fold: int
    split: Split


def _fit_parts(
    parts: Sequence[_Part], predictions: Mapping[str, _Predictions], spec: HeadSpec, bank: Bank
) -> list[str]:
    """Fits a head for each part, all with the same training rows; returns what did not converge."""
    if not parts:
        return []
    start = time.perf_counter()
    train = parts[0].split.train
    heads = [make_head(spec) for _ in parts]
    codes = [part.codes[train] for part in parts]
    warned = fit_on_views(heads, bank.views(train), codes, bank.kept(train))
    share = (time.perf_counter() - start) / len(parts)
    for head, part in zip(heads, parts, strict=True):
        predictions[part.scheme].add(head, part.fold, bank, share)
    return warned


class _Predictions:
    """Predictions of one scheme's test rows, fold by fold."""

    def __init__(self, job: _Job) -> None:
        self._job = job
        self.test = np.sort(np.concatenate([split.test for split in job.splits]))
        self._predicted: Targets = np.full((len(self.test), *job.codes.shape[1:]), -1, job.codes.dtype)
        self._probabilities: NDArray[np.floating[Any]] | None = None
        self._seconds = 0.0

    def add(self, head: Estimator, fold: int, bank: Bank, seconds: float) -> None:
        """Predicts the test rows of a fold with a head that was fitted on codes."""
        start = time.perf_counter()
        rows = self._job.splits[fold].test
        at = np.searchsorted(self.test, rows)
        vectors = bank[rows]
        several = self._job.codes.ndim == 2
        found = class_probabilities(head, vectors, len(self._job.labels.classes), several)
        if found is not None:
            if self._probabilities is None:
                self._probabilities = np.zeros((len(self.test), found.shape[1]), found.dtype)
            self._probabilities[at] = found
        if found is None:
            self._predicted[at] = head.predict(vectors)
        else:
            self._predicted[at] = found > 0.5 if several else found.argmax(axis=1)
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
        )


def _confidence(probabilities: NDArray[Any], predicted: Targets) -> NDArray[np.float64]:
    """The probability of what was predicted; of several labels that of the least sure one."""
    if predicted.ndim == 1:
        own = probabilities[np.arange(len(predicted)), predicted]
    else:
        own = np.where(predicted == 1, probabilities, 1 - probabilities).min(axis=1)
    return np.asarray(own, np.float64)
