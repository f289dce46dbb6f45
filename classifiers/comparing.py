"""Comparing schemes × heads × spaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from classifiers.audits.traits import Pictures
from classifiers.by_parts import Runner
from classifiers.default_schemes import default_schemes
from classifiers.errors import SchemeError, SplitError
from classifiers.presets import HeadSpec, head_name, make_head
from classifiers.results import Comparison, ComparisonInterrupted
from classifiers.runs import Progress, Run, Settings
from classifiers.schemes import Scheme
from classifiers.splits import Splitter
from store import FeatureStore

Schemes = Mapping[str, Scheme] | Sequence[Scheme] | None


def compare(
    store: FeatureStore,
    schemes: Schemes = None,
    heads: Sequence[HeadSpec] = ("ridge", "logistic"),
    spaces: Sequence[str] | None = None,
    *,
    cv: int | None = None,
    split: str = "auto",
    test_size: float = 0.2,
    seed: int = 0,
    group: str | None = None,
    plain: bool = False,
    train_sizes: Sequence[int | None] = (None,),
    quick: bool = False,
    pictures: Pictures | None = None,
    progress: Progress | None = None,
    runner: Runner | None = None,
) -> pd.DataFrame:
    """The board of `run_comparison`: one row for each scheme, head and space, in this order.

    What failed stands as sentences in `board.attrs["errors"]`. Raises SchemeError if nothing could be run.
    """
    comparison = run_comparison(
        store,
        schemes,
        heads,
        spaces,
        cv=cv,
        split=split,
        test_size=test_size,
        seed=seed,
        group=group,
        plain=plain,
        train_sizes=train_sizes,
        quick=quick,
        pictures=pictures,
        progress=progress,
        runner=runner,
    )
    sentences = [sentence for _, sentence in comparison.errors]
    if not comparison.results:
        raise SchemeError("\n".join(sentences or comparison.notes or ["there are no schemes to compare."]))
    comparison.board.attrs["errors"] = sentences
    return comparison.board


def run_comparison(
    store: FeatureStore,
    schemes: Schemes = None,
    heads: Sequence[HeadSpec] = ("ridge", "logistic"),
    spaces: Sequence[str] | None = None,
    *,
    cv: int | None = None,
    split: str = "auto",
    test_size: float = 0.2,
    seed: int = 0,
    group: str | None = None,
    plain: bool = False,
    train_sizes: Sequence[int | None] = (None,),
    quick: bool = False,
    pictures: Pictures | None = None,
    progress: Progress | None = None,
    runner: Runner | None = None,
) -> Comparison:
    """Trains and evaluates every head on every scheme and space.

    `schemes`: by default `folder` and the columns of attached label tables. `spaces`: by default all but feature
    maps. `cv`: the number of folds; otherwise one split, of the kind that `Splitter` describes. `group`: a column
    whose equal values stay on one side of a split, and are resampled together for intervals. `plain`: train on
    the images themselves only, where a space has augmented views of them too; tested they always are so.
    `train_sizes`: train on so many of the training images, None for all; the smaller ones are among the larger
    ones. `quick`: without audits. `pictures`: gives JPEGs of rows of the images (None for a file that is gone),
    so that audits know mean colours. A scheme that cannot be used is an entry of `errors` and stops nothing.
    `progress(done, total, what)` is called before each step and at the end. `runner`: who works on the parts of
    vectors that do not fit in memory, threads of this process by default (`classifiers.by_parts`). Raises HeadError
    for an unknown head, UnknownSpaceError for an unknown space, and ComparisonInterrupted with what was finished on
    Ctrl-C.
    """
    for head in heads:
        make_head(head)
    images = store.images()
    ids = list(
        dict.fromkeys(store.space(name).id for name in (store.pooled_spaces if spaces is None else spaces))
    )
    named, notes = _named(schemes, images)
    splitter = Splitter(images, split, test_size, seed, group)
    settings = Settings(cv, plain, _checked(train_sizes), quick, pictures, runner)
    run = Run(images, {head_name(head): head for head in heads}, splitter, settings, progress, notes)
    labels = run.labels(named)
    run.total = len(labels) * len(run.heads) * len(ids) * len(settings.train_sizes)
    try:
        for space in ids:
            run.space(store, space, labels)
    except KeyboardInterrupt as interrupt:
        raise ComparisonInterrupted(run.comparison(named, ids)) from interrupt
    run.report("done")
    return run.comparison(named, ids)


def _checked(sizes: Sequence[int | None]) -> tuple[int | None, ...]:
    """The sizes, each once, all images last. Raises SplitError."""
    wrong = [size for size in sizes if size is not None and size < 2]
    if wrong or not sizes:
        what = f"{wrong[0]} images cannot train a head" if wrong else "there are none"
        raise SplitError(f"train_sizes: {what}. Give whole numbers of 2 or more, or None for all images.")
    return tuple(sorted(dict.fromkeys(sizes), key=lambda size: (size is None, size or 0)))


def _named(schemes: Schemes, images: pd.DataFrame) -> tuple[dict[str, Scheme], list[str]]:
    if schemes is None:
        return default_schemes(images)
    if isinstance(schemes, Mapping):
        return dict(schemes), []
    return {scheme.name: scheme for scheme in schemes}, []
