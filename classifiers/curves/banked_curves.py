"""Learning curves of label schemes on the vectors of a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from classifiers.banked import StreamedBank, banked
from classifiers.banked_rows import fits_in_memory
from classifiers.by_parts import Runner
from classifiers.curves.few_shot import Labelled, Progress, few_shot_together
from classifiers.curves.few_shot_curve import FewShot
from classifiers.errors import SchemeError, SplitError
from classifiers.factor_cache import FactorCache
from classifiers.presets import HeadSpec
from classifiers.results import Comparison
from classifiers.schemes import Scheme
from classifiers.splits import Splitter
from classifiers.targets import only
from classifiers.training import only_space
from store import FeatureStore
from store.columns import hashes_from_hex


def learning_curves(
    store: FeatureStore,
    schemes: Mapping[str, Scheme],
    space: str | None = None,
    head: HeadSpec = "ridge",
    *,
    split: str = "auto",
    test_size: float = 0.2,
    seed: int = 0,
    group: str | None = None,
    sizes: Sequence[int] | None = None,
    draws: int = 5,
    progress: Progress | None = None,
    runner: Runner | None = None,
) -> tuple[list[FewShot], list[tuple[str, str]], list[str]]:
    """The curve of each scheme on a space, on the split that `compare` has; what failed, as (scheme, sentence); and
    notes on what was left out.

    `space` may be left out where the store has one. Only plain images, no augmented views. runner: who works on the
    parts of vectors that do not fit in memory, of which ridge alone has a curve. Raises HeadError.
    """
    chosen = (only_space(store) if space is None else store.space(space)).id
    images = store.images()
    here = banked(store, chosen, images)
    splitter = Splitter(images, split, test_size, seed, group)
    tasks, errors, notes = [], [], []
    for name, scheme in schemes.items():
        try:
            labels = scheme.labels(images)
            codes = only(labels.codes, here)
            parts = splitter.holdout(codes, labels.classes)
        except SplitError as error:
            errors.append((name, f"scheme {name!r}: {error}"))
            continue
        except SchemeError as error:
            errors.append((name, str(error)))
            continue
        notes += [f"scheme {name!r}: {note}" for note in parts.notes]
        tasks.append(Labelled(name, codes, parts.train, parts.test, splitter.groups))
    curves = _on_store(
        store,
        images,
        chosen,
        tasks,
        head,
        sizes=sizes,
        draws=draws,
        seed=seed,
        progress=progress,
        runner=runner,
    )
    return curves, errors, notes


def few_shots(
    store: FeatureStore,
    comparison: Comparison,
    space: str,
    head: HeadSpec = "ridge",
    *,
    draws: int = 3,
    seed: int = 0,
    group: str | None = None,
    progress: Progress | None = None,
    runner: Runner | None = None,
) -> list[FewShot]:
    """The curve of every scheme that a comparison has results of on a space, on its own training and test rows.

    After cross-validation there is no one set of test rows: then a random fifth is held out, by `group` if there is
    one. Raises HeadError.
    """
    splitter = Splitter(comparison.images, "random", seed=seed, group=group)
    name = store.space(space).id
    tasks: dict[str, Labelled] = {}
    for result in comparison.results:
        if result.space != name or result.scheme in tasks:
            continue
        codes, train, test = result.labels.codes, result.train, result.test
        if len(np.intersect1d(train, test)):
            kept = only(codes, np.isin(np.arange(len(codes)), test))
            parts = splitter.holdout(kept, result.labels.classes)
            train, test = parts.train, parts.test
        tasks[result.scheme] = Labelled(result.scheme, codes, train, test, splitter.groups)
    return _on_store(
        store,
        comparison.images,
        name,
        list(tasks.values()),
        head,
        draws=draws,
        seed=seed,
        progress=progress,
        runner=runner,
    )


def _on_store(
    store: FeatureStore,
    images: pd.DataFrame,
    space: str,
    tasks: Sequence[Labelled],
    head: HeadSpec,
    *,
    sizes: Sequence[int] | None = None,
    draws: int,
    seed: int,
    progress: Progress | None,
    runner: Runner | None,
) -> list[FewShot]:
    """Reads the vectors that the tasks have rows of, and no others; by parts if they do not fit in memory."""
    if not tasks:
        return []
    needed = np.unique(np.concatenate([np.concatenate([task.train, task.test]) for task in tasks]))
    some = images.iloc[needed]
    hashes, cache = hashes_from_hex(some["hash"]), FactorCache.of(store)
    X = (
        np.asarray(store.vectors(space, some))
        if fits_in_memory(store, space, some)
        else StreamedBank(store, space, some, np.arange(len(some)), runner=runner)
    )
    within = [
        Labelled(
            task.scheme,
            task.codes[needed],
            np.searchsorted(needed, task.train),
            np.searchsorted(needed, task.test),
            None if task.groups is None else task.groups[needed],
        )
        for task in tasks
    ]
    return few_shot_together(
        X,
        within,
        head,
        space=space,
        sizes=sizes,
        draws=draws,
        seed=seed,
        kept=lambda rows, whole: cache.rows(space, hashes[rows]) if whole else None,
        progress=progress,
    )
