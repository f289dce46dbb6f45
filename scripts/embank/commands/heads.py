"""`embank train`, `compare` and `evaluate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embank.boards import compare_with_progress, tell_comparison
from embank.console import say
from embank.figures import describe_curves, tell_figures, tell_heads
from embank.options import (
    ADDRESS,
    CURVES,
    GROUP,
    JSON,
    PART_WORKERS,
    PLAIN,
    RUNNER,
    SCHEMES,
    SEED,
    SPACE,
    SPLIT,
    STORE,
    TEST_SIZE,
    chosen_scheme,
    picture_option,
    sound_schemes,
)

if TYPE_CHECKING:
    from classifiers.evaluating import Evaluated
    from store import FeatureStore

# With the values they have by default; the rest are those of the classes, which docs/heads.md names.
HEADS = (
    "ridge(class_weight=none)",
    "logistic(C=auto, class_weight=none)",
    "dense(hidden=(), dropout=0.0, epochs=30, batch_size=32, optimizer=adam, learning_rate=none, early_stopping=false)",
    "svm(C=1.0, kernel=rbf, gamma=scale)",
    "knn(n_neighbors=10, metric=cosine)",
    "lda(shrinkage=auto)",
    "forest(n_estimators=300, max_depth=none)",
    "boosting(max_iter=100, learning_rate=0.1)",
    "mlp(hidden_layer_sizes=(100,), alpha=0.0001)",
)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(
        "train",
        short_help="Train one head and save it.",
        epilog="Example: embank train pets.embank --scheme folder --head ridge --out pets.head. Heads, with options "
        f"that are often set: {'; '.join(HEADS)}.",
    )(_train)
    app.command(
        "compare",
        short_help="The board: every scheme x head x space.",
        epilog="Example: embank compare pets.embank --schemes schemes.yaml --heads ridge,logistic --report board.html",
    )(_compare)
    app.command(
        "evaluate",
        short_help="Figures of saved heads, and which of two is better.",
        epilog="""Example: embank evaluate pets.embank pets.head --where "width >= 400"; or embank evaluate """
        "pets.embank ridge.head dense.head",
    )(_evaluate)


def _train(
    store: Annotated[Path, STORE],
    scheme: Annotated[str, typer.Option(help="The scheme that gives the labels.")],
    head: Annotated[
        str,
        typer.Option(
            help="ridge, logistic, dense, svm, knn, lda, forest, boosting or mlp, with options as logistic(C=0.1); "
            "see below."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Where to save the head.")],
    schemes: Annotated[Path | None, SCHEMES] = None,
    space: Annotated[str | None, SPACE] = None,
    split: Annotated[str, SPLIT] = "auto",
    test_size: Annotated[float, TEST_SIZE] = 0.2,
    seed: Annotated[int, SEED] = 0,
    group: Annotated[str | None, GROUP] = None,
    plain: Annotated[bool, PLAIN] = False,
    curves: Annotated[Path | None, CURVES] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Train one head, save it, and print its figures on the held-out images."""
    from classifiers import train_head
    from store import FeatureStore

    opened = FeatureStore(store)
    chosen = chosen_scheme(opened, scheme, schemes)
    saved, report = train_head(
        opened, chosen, head, space, split=split, test_size=test_size, seed=seed, group=group, plain=plain
    )
    saved.save(out)
    tell_figures(report, json)
    if report["curves"]:
        say(describe_curves(report["curves"]))
    if curves:
        _draw_curves(report, curves)
    say(f"Saved to {out}. Label new photos with: embank predict {out} PHOTOS…")


def _draw_curves(report: dict[str, Any], path: Path) -> None:
    from embank.learning_curves import write_curves

    if not report["curves"]:
        say(f"{report['head']} is not trained in epochs, so it has no learning curves to draw.")
        return
    write_curves(report["curves"], path, f"{report['scheme']}: {report['head']}", first=1)
    say(f"Learning curves: {path}")


def _evaluate(
    store: Annotated[Path, STORE],
    head_files: Annotated[
        list[Path],
        typer.Argument(
            help="A file that `embank train` saved; of several, each two are compared on the same images."
        ),
    ],
    where: Annotated[
        list[str] | None,
        typer.Option(help='A subset, such as "split == \'val\'" or "large: width > 800"; may repeat.'),
    ] = None,
    scheme: Annotated[
        str | None, typer.Option(help="The true labels; by default the head's own scheme.")
    ] = None,
    schemes: Annotated[Path | None, SCHEMES] = None,
    group: Annotated[str | None, GROUP] = None,
    gallery: Annotated[
        Path | None,
        picture_option(
            "Draw what one head says of some images, OUT.png: green where it is right, red with the truth in "
            "brackets; of each subset beside it."
        ),
    ] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Print the figures of saved heads on a store's images, those they were trained on left out."""
    from classifiers import evaluate_heads, load_head
    from classifiers.evaluating import evaluated
    from store import FeatureStore

    heads = {str(path): load_head(path) for path in head_files}
    opened = FeatureStore(store)
    chosen = chosen_scheme(opened, scheme, schemes) if scheme else None
    if gallery and len(head_files) > 1:
        raise typer.BadParameter("--gallery shows what one head says: name one.")
    if len(head_files) == 1:
        (saved,) = heads.values()
        found = evaluated(opened, saved, chosen, group)
        tell_figures(found.report(where or []), json)
        if gallery:
            _write_galleries(opened, found, where or [], gallery)
    else:
        tell_heads(evaluate_heads(opened, heads, chosen, where or [], group), json)


def _write_galleries(store: FeatureStore, found: Evaluated, where: list[str], path: Path) -> None:
    from embank.grids import write_prediction_grids

    for place in write_prediction_grids(store, found, where, path):
        say(f"Gallery: {place}")


def _compare(
    store: Annotated[Path, STORE],
    schemes: Annotated[Path | None, SCHEMES] = None,
    heads: Annotated[
        str, typer.Option(help="Comma-separated, such as ridge,dense(epochs=20).")
    ] = "ridge,logistic",
    spaces: Annotated[
        str | None,
        typer.Option(help="Comma-separated backbones or space ids; by default all but feature maps."),
    ] = None,
    cv: Annotated[
        int | None, typer.Option(min=2, help="Cross-validation with K folds, not one split.")
    ] = None,
    split: Annotated[str, SPLIT] = "auto",
    test_size: Annotated[float, TEST_SIZE] = 0.2,
    seed: Annotated[int, SEED] = 0,
    group: Annotated[str | None, GROUP] = None,
    plain: Annotated[bool, PLAIN] = False,
    train_sizes: Annotated[
        str | None, typer.Option(help="Numbers of training images, such as 100,500,all; all by default.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Without the honest figures (docs/honest-figures.md).")
    ] = False,
    workers: Annotated[int | None, PART_WORKERS] = None,
    runner: Annotated[str, RUNNER] = "local",
    address: Annotated[str | None, ADDRESS] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the board as CSV.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a report to look at, OUT.html.")] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """The board: every scheme x head x space, with figures on held-out images."""
    from classifiers import HeadError, SchemeError
    from classifiers.by_parts import runner_of
    from classifiers.presets import split_heads
    from classifiers.results import ComparisonInterrupted
    from store import FeatureStore

    opened = FeatureStore(store)
    if not split_heads(heads):
        raise HeadError("there is no head to compare: --heads is empty.")
    wanted = [name.strip() for name in spaces.split(",")] if spaces else None
    settings: dict[str, Any] = {
        "cv": cv,
        "split": split,
        "test_size": test_size,
        "seed": seed,
        "group": group,
        "plain": plain,
        "train_sizes": _train_sizes(train_sizes),
        "quick": quick,
    }
    sound, broken = sound_schemes(opened, schemes)
    try:
        with runner_of(workers, runner, address) as who:
            comparison = compare_with_progress(
                opened, sound, split_heads(heads), wanted, settings | {"runner": who}
            )
    except ComparisonInterrupted as interrupt:
        tell_comparison(opened, interrupt.partial, settings, csv, report, json)
        raise
    comparison = replace(comparison, errors=(*broken, *comparison.errors))
    tell_comparison(opened, comparison, settings, csv, report, json)
    if not comparison.results and not comparison.errors:
        raise SchemeError(
            f"{store} has no label scheme to compare: attach labels, use class folders, or --schemes."
        )
    if comparison.errors:
        raise typer.Exit(1 if comparison.results else 2)


def _train_sizes(text: str | None) -> tuple[int | None, ...]:
    """(100, None) of `100,all`. Raises SplitError."""
    from classifiers import SplitError

    words = [word.strip().lower() for word in (text or "all").split(",")]
    wrong = [word for word in words if word != "all" and not word.isdecimal()]
    if wrong:
        raise SplitError(f"--train-sizes has {wrong[0]!r}: give whole numbers or all, such as 100,500,all.")
    return tuple(None if word == "all" else int(word) for word in words)
