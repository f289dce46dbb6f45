"""The work behind a comparison: jobs, batches that share a factorization, pooled predictions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.errors import ClassifierError, SchemeError
from classifiers.evaluation import evaluate_codes
from classifiers.fitting import fit_on_views
from classifiers.presets import Estimator, HeadSpec, make_head
from classifiers.results import COLUMNS, Comparison, Result
from classifiers.ridge import RidgeHead
from classifiers.schemes import Labels, Scheme
from classifiers.splits import Rows, Split, Splitter
from classifiers.suggestions import counted
from store import FeatureStore, StoreError
from store.columns import hashes_from_hex

Progress = Callable[[int, int, str], None]
_RIDGES_TOGETHER = 256


@dataclass
class Run:
    """What a comparison has gathered so far."""

    images: pd.DataFrame
    heads: dict[str, HeadSpec]
    progress: Progress | None
    notes: list[str]
    plain: bool = False
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
        needed = np.flatnonzero(np.any([job.codes >= 0 for job in jobs.values()], axis=0))
        self.report(f"reading {space}")
        try:
            images = self.images.iloc[needed]
            views = range(1 if self.plain else store.space(space).views)
            vectors = [store.vectors(space, images, view=view) for view in views]
            bank = _Bank(space, vectors, needed, len(self.images))
        except StoreError as error:
            for name in jobs:
                self.fail(name, str(error), len(self.heads))
            return
        for head, spec in self.heads.items():
            together = _RIDGES_TOGETHER if isinstance(make_head(spec), RidgeHead) else 1
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
        return Comparison(board, self.images, tuple(ordered), tuple(self.errors), tuple(self.notes))

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
            codes = np.where(here, one.codes, -1)
            absent = int((one.codes >= 0).sum() - (codes >= 0).sum())
            if absent:
                self.note([f"scheme {name!r}: {counted(absent, 'image')} left out, not embedded in {space}."])
            try:
                if len(np.unique(codes[codes >= 0])) < 2:
                    raise SchemeError(f"fewer than two of its classes have images in {space}.")
                splits = (
                    splitter.folds(codes, cv, one.classes) if cv else [splitter.holdout(codes, one.classes)]
                )
            except ClassifierError as error:
                self.fail(name, f"scheme {name!r}: {error}", len(self.heads))
                continue
            self.note([f"scheme {name!r}: {note}" for split in splits for note in split.notes])
            yield name, _Job(one, codes, splits)

    def _batch(self, jobs: Mapping[str, _Job], head: str, bank: _Bank) -> None:
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
            if name in failed:
                self.fail(name, f"scheme {name!r}, {failed[name]}", 1)
            else:
                self.results.append(predictions[name].result(name, head, bank.space))
                self.done += 1


def banked(store: FeatureStore, space: str, images: pd.DataFrame) -> NDArray[np.bool_]:
    """Which images have a vector in a space: (n,)."""
    if not len(images):
        return np.zeros(0, bool)
    found: NDArray[np.bool_] = store.space(space).find(hashes_from_hex(images["hash"])) >= 0
    return found


@dataclass(frozen=True)
class _Job:
    """One scheme on the images of one space: codes (n,), -1 for those to leave out, and splits."""

    labels: Labels
    codes: Rows
    splits: list[Split]


@dataclass(frozen=True)
class _Part:
    """One fold of one scheme."""

    scheme: str
    codes: Rows
    fold: int
    split: Split


class _Bank:
    """The vectors of some images of a space, found by the row numbers of all images; one array a view."""

    def __init__(self, space: str, views: Sequence[NDArray[np.float32]], rows: Rows, images: int) -> None:
        self.space = space
        self._views = views
        self._place = np.full(images, -1, np.intp)
        self._place[rows] = np.arange(len(rows))

    def __getitem__(self, rows: Rows) -> NDArray[np.float32]:
        return self._views[0][self._place[rows]]

    def views(self, rows: Rows) -> list[NDArray[np.float32]]:
        """All views of these images, the images themselves first."""
        return [vectors[self._place[rows]] for vectors in self._views]


def _fit_parts(
    parts: Sequence[_Part], predictions: Mapping[str, _Predictions], spec: HeadSpec, bank: _Bank
) -> list[str]:
    """Fits a head for each part, all with the same training rows; returns what did not converge."""
    if not parts:
        return []
    start = time.perf_counter()
    train = parts[0].split.train
    heads = [make_head(spec) for _ in parts]
    warned = fit_on_views(heads, bank.views(train), [part.codes[train] for part in parts])
    share = (time.perf_counter() - start) / len(parts)
    for head, part in zip(heads, parts, strict=True):
        predictions[part.scheme].add(head, part.fold, bank, share)
    return warned


class _Predictions:
    """Predictions of one scheme's test rows, fold by fold."""

    def __init__(self, job: _Job) -> None:
        self._job = job
        self.test = np.sort(np.concatenate([split.test for split in job.splits]))
        self._predicted = np.full(len(self.test), -1, np.intp)
        self._probabilities = np.zeros((len(self.test), len(job.labels.classes)))
        self._has_probabilities = True
        self._seconds = 0.0

    def add(self, head: Estimator, fold: int, bank: _Bank, seconds: float) -> None:
        """Predicts the test rows of a fold with a head that was fitted on codes."""
        start = time.perf_counter()
        rows = self._job.splits[fold].test
        at = np.searchsorted(self.test, rows)
        vectors = bank[rows]
        if hasattr(head, "predict_proba"):
            found = head.predict_proba(vectors)
            self._probabilities[np.ix_(at, head.classes_)] = found
            self._predicted[at] = head.classes_[found.argmax(axis=1)]
        else:
            self._has_probabilities = False
            self._predicted[at] = head.predict(vectors)
        self._seconds += seconds + time.perf_counter() - start

    def result(self, scheme: str, head: str, space: str) -> Result:
        """The pooled result of all folds."""
        job = self._job
        one = len(job.splits) == 1
        return Result(
            scheme=scheme,
            head=head,
            space=space,
            labels=job.labels,
            split=job.splits[0].name if one else f"{len(job.splits)}-fold cross-validation",
            n_train=round(float(np.mean([len(split.train) for split in job.splits]))),
            train=job.splits[0].train if one else self.test,
            test=self.test,
            predicted=self._predicted,
            probabilities=self._probabilities if self._has_probabilities else None,
            figures=evaluate_codes(job.codes[self.test], self._predicted, len(job.labels.classes)),
            seconds=self._seconds,
        )
