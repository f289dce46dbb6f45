"""Learning curves over the number of labelled images: the accuracy on the same test images, of parts of the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from classifiers.banked import StreamedBank
from classifiers.curves.draws import ladder, spread_order
from classifiers.curves.few_shot_curve import FewShot
from classifiers.curves.power_law import fit_power_law
from classifiers.errors import HeadError
from classifiers.factor_cache import KeptFactors
from classifiers.fitting import fit_together
from classifiers.heads import LinearHead
from classifiers.intervals import Clusters
from classifiers.presets import Estimator, HeadSpec, head_name, make_head
from classifiers.splits import Rows
from classifiers.suggestions import counted
from classifiers.targets import Targets, labelled, occurring

Progress = Callable[[int, int, str], None]
Kept = Callable[[Rows, bool], KeptFactors | None]
Rowed = NDArray[np.floating] | StreamedBank
_TESTED_AT_ONCE = 8192  # of what is read from the store


@dataclass(frozen=True)
class Labelled:
    """One scheme's part in a curve: codes (n,) or (n, t) of all rows, the rows to draw from and those to test on.

    groups: (n,) rows of one value belong together when test images are resampled.
    """

    scheme: str
    codes: Targets
    train: Rows
    test: Rows
    groups: NDArray[np.object_] | None = None


def few_shot(
    X: ArrayLike,
    codes: ArrayLike,
    classes: Sequence[str] = (),
    *,
    test: ArrayLike,
    train: ArrayLike | None = None,
    head: HeadSpec = "ridge",
    sizes: Sequence[int] | None = None,
    draws: int = 5,
    seed: int = 0,
) -> FewShot:
    """The learning curve of one label vector: codes (n,), -1 for no label, or an indicator (n, t), of vectors (n, d).

    test: rows that are tested on. train: rows that are drawn from; by default all other labelled ones. sizes: by
    default from all of them down to two a class. `classes` are names for messages. Raises HeadError.
    """
    targets, tested = np.asarray(codes), np.asarray(test, np.intp)
    if train is None:
        rest = labelled(targets)
        rest[tested] = False
        train = np.flatnonzero(rest)
    task = Labelled(" or ".join(classes[:2]), targets, np.asarray(train, np.intp), tested)
    return few_shot_together(np.asanyarray(X), [task], head, sizes=sizes, draws=draws, seed=seed)[0]


def few_shot_together(
    X: Rowed,
    tasks: Sequence[Labelled],
    head: HeadSpec = "ridge",
    *,
    space: str = "",
    sizes: Sequence[int] | None = None,
    draws: int = 5,
    seed: int = 0,
    spread: Targets | None = None,
    kept: Kept | None = None,
    progress: Progress | None = None,
) -> list[FewShot]:
    """The curve of each task on vectors (n, d). Those with the same training rows share their draws, and so all
    that depends on no labels. spread: the labels (n,) that draws have in proportion, those of the tasks if None.
    `kept(rows, whole)` says where the factorization of rows is kept, None for nowhere; whole: whether they are all
    training rows of a task. `progress(done, total, what)` counts fits. Raises HeadError.
    """
    if draws < 1:
        raise HeadError(f"a learning curve needs one draw or more; got {draws}.")
    groups: dict[bytes, list[int]] = {}
    for index, task in enumerate(tasks):
        groups.setdefault(task.train.tobytes(), []).append(index)
    plans = [_Plan.of([tasks[i] for i in members], sizes) for members in groups.values()]
    steps = _Steps(progress, sum(plan.fits(draws) for plan in plans), head_name(head))
    curves: list[FewShot | None] = [None] * len(tasks)
    for members, plan in zip(groups.values(), plans, strict=True):
        for index, curve in zip(
            members, plan.run(X, head, draws, seed, space, spread, kept, steps), strict=True
        ):
            curves[index] = curve
    return [curve for curve in curves if curve is not None]


@dataclass
class _Steps:
    """Counts fits for a progress callback."""

    progress: Progress | None
    total: int
    what: str
    done: int = 0

    def next(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total, self.what)


@dataclass(frozen=True)
class _Plan:
    """Tasks with the same training rows, and the sizes that each is trained with."""

    tasks: Sequence[Labelled]
    sizes: Sequence[NDArray[np.intp]]

    @classmethod
    def of(cls, tasks: Sequence[Labelled], sizes: Sequence[int] | None) -> _Plan:
        rows = len(tasks[0].train)
        if sizes is None:
            return cls(tasks, [ladder(rows, len(occurring(task.codes[task.train]))) for task in tasks])
        given = np.unique(np.asarray(sizes, np.intp))
        if not len(given) or given[0] < 2 or given[-1] > rows:
            raise HeadError(
                f"sizes of a learning curve are 2 to {rows:,}, the number of training images; got {list(sizes)}."
            )
        return cls(tasks, [given] * len(tasks))

    @property
    def _every(self) -> list[int]:
        return sorted({size for one in self.sizes for size in one.tolist()})

    def fits(self, draws: int) -> int:
        """How many times vectors are fitted: once with all rows, else once a draw."""
        whole = len(self.tasks[0].train)
        return sum(1 if size == whole else draws for size in self._every)

    def run(
        self,
        X: Rowed,
        head: HeadSpec,
        draws: int,
        seed: int,
        space: str,
        spread: Targets | None,
        kept: Kept | None,
        steps: _Steps,
    ) -> list[FewShot]:
        """The curve of each task."""
        train, generator = self.tasks[0].train, np.random.default_rng(seed)
        kinds = [task.codes[train] for task in self.tasks] if spread is None else [spread[train]]
        hits = [
            np.zeros((len(own), draws, len(task.test)), bool)
            for own, task in zip(self.sizes, self.tasks, strict=True)
        ]
        for draw in range(draws):
            order = train[spread_order(kinds, generator)]
            for size in self._every:
                chosen = [i for i, own in enumerate(self.sizes) if size in own]
                whole = size == len(train)
                if whole and draw:
                    for i in chosen:
                        hits[i][-1, draw] = hits[i][-1, 0]
                    continue
                steps.next()
                rows = np.sort(order[:size])
                place = kept(rows, whole) if kept is not None else None
                found = _right(X, [self.tasks[i] for i in chosen], rows, head, place)
                for i, right in zip(chosen, found, strict=True):
                    hits[i][np.searchsorted(self.sizes[i], size), draw] = right
        return [
            _curve(task, own, right, head, space, seed)
            for task, own, right in zip(self.tasks, self.sizes, hits, strict=True)
        ]


def _right(
    X: Rowed,
    tasks: Sequence[Labelled],
    rows: Rows,
    head: HeadSpec,
    kept: KeptFactors | None,
) -> list[NDArray[np.bool_]]:
    """Which test rows of each task are named rightly by a head that was trained on some rows. Raises HeadError."""
    heads = {i: make_head(head) for i, task in enumerate(tasks) if len(_kinds(task.codes[rows])) > 1}
    found = [_same(task.codes[rows[0]], task) for task in tasks]  # where there is one class, it is named
    together: dict[bytes, list[int]] = {}
    for i in heads:
        together.setdefault(tasks[i].test.tobytes(), []).append(i)
    try:
        if heads:
            _fit(list(heads.values()), X, rows, [tasks[i].codes[rows] for i in heads], kept)
        for group in together.values():
            named = _named([heads[i] for i in group], X, tasks[group[0]].test)
            for i, one in zip(group, named, strict=True):
                found[i] = _same(one, tasks[i])
    except (ValueError, TypeError, ArithmeticError) as error:  # scikit-learn's own, of any estimator
        raise HeadError(
            f"{head_name(head)} cannot be trained on {counted(len(rows), 'image')}: {str(error).rstrip('.')}. "
            "Ask for larger sizes, or for another head."
        ) from error
    return found


def _fit(
    heads: Sequence[Estimator], X: Rowed, rows: Rows, codes: Sequence[Targets], kept: KeptFactors | None
) -> None:
    if isinstance(X, StreamedBank):
        X.fit(heads, rows, codes)
    else:
        fit_together(heads, X[rows], codes, kept)


def _named(heads: Sequence[Estimator], X: Rowed, rows: Rows) -> list[NDArray[Any]]:
    """What each head says of some rows."""
    if not isinstance(X, StreamedBank):
        return _predicted(heads, X[rows])
    starts = range(0, len(rows), _TESTED_AT_ONCE)
    blocks = [_predicted(heads, X[rows[start : start + _TESTED_AT_ONCE]]) for start in starts]
    return [np.concatenate(of_head) for of_head in zip(*blocks, strict=True)]


def _predicted(heads: Sequence[Estimator], X: NDArray[np.floating]) -> list[NDArray[Any]]:
    """What each head says of vectors; linear ones by one product."""
    if not all(isinstance(head, LinearHead) for head in heads):
        return [head.predict(X) for head in heads]
    scores = X @ np.concatenate([head.coef_ for head in heads]).T
    scores += np.concatenate([head.intercept_ for head in heads])
    ends = np.cumsum([len(head.coef_) for head in heads])
    parts = np.split(scores, ends[:-1], axis=1)
    return [
        head.named_by(own[:, 0] if own.shape[1] == 1 and not head.multilabel_ else own)
        for head, own in zip(heads, parts, strict=True)
    ]


def _same(named: NDArray[Any], task: Labelled) -> NDArray[np.bool_]:
    """Which test rows are named rightly; of several labels, all of them."""
    same = np.asarray(named == task.codes[task.test])
    return np.asarray(same if same.ndim == 1 else same.all(axis=1), np.bool_)


def _kinds(codes: Targets) -> NDArray[np.integer]:
    """The distinct labels, or rows of several."""
    return np.unique(codes, axis=0)


def _curve(
    task: Labelled,
    sizes: NDArray[np.intp],
    hits: NDArray[np.bool_],
    head: HeadSpec,
    space: str,
    seed: int,
) -> FewShot:
    accuracy = hits.mean(axis=2)
    some = None if task.groups is None else task.groups[task.test]
    noise = _noise(hits.mean(axis=1), some)
    law = fit_power_law(sizes, accuracy, pool=len(task.train), noise=noise, seed=seed)
    classes = len(occurring(task.codes[task.train]))
    return FewShot(task.scheme, space, head_name(head), classes, len(task.test), sizes, accuracy, law)


def _noise(shares: NDArray[np.float64], groups: NDArray[np.object_] | None) -> NDArray[np.float64]:
    """(s, s) covariance of mean accuracies over test images, of (s, n) shares of draws that are right."""
    clusters = Clusters.of(shares.shape[1], groups)
    sums = clusters.sums((shares - shares.mean(axis=1, keepdims=True)).T)
    return np.asarray(sums.T @ sums / shares.shape[1] ** 2)
