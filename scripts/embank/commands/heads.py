"""`embank train`, `compare` and `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embank.boards import compare_with_progress, tell_comparison
from embank.console import counted, interval, percent, print_json, print_table, say

if TYPE_CHECKING:
    from classifiers import Scheme
    from store import FeatureStore

_JSON = typer.Option("--json", help="Print one JSON document.")
_SCHEMES = typer.Option(help="A YAML file of label schemes; else `folder` and the columns of label tables.")
_SPLIT = typer.Option(help="auto, folder, random, or a column whose values are train, val and test.")
_TEST_SIZE = typer.Option(min=0.01, max=0.99, help="Share of held-out images of a random split.")
_SEED = typer.Option(min=0, help="Of a random split.")
_GROUP = typer.Option(
    help="A column whose equal values (one animal, one scene) belong together: they stay on one side of a split, "
    "and intervals come from whole groups."
)
# With the values they have by default; the rest are those of the classes, which docs/heads.md names.
HEADS = (
    "ridge(class_weight=none)",
    "logistic(C=1.0, class_weight=none)",
    "dense(hidden=(), dropout=0.0, epochs=30, batch_size=32, optimizer=adam, learning_rate=none, early_stopping=false)",
    "svm(C=1.0, kernel=rbf, gamma=scale)",
    "knn(n_neighbors=10, metric=cosine)",
    "lda(shrinkage=auto)",
    "forest(n_estimators=300, max_depth=none)",
    "boosting(max_iter=100, learning_rate=0.1)",
    "mlp(hidden_layer_sizes=(100,), alpha=0.0001)",
)
_PLAIN = typer.Option("--plain", help="Do not train on the augmented views of a space that has some.")

_OTHERS = {
    "micro_f1": "micro F1",
    "average_precision": "average precision",
    "top_5_accuracy": "top 5",
    "roc_auc": "ROC-AUC",
    "log_loss": "log-loss",
    "calibration_error": "calibration error",
}


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
        short_help="Figures of a saved head.",
        epilog="""Example: embank evaluate pets.embank pets.head --where "width >= 400" """,
    )(_evaluate)


def _train(
    store: Annotated[Path, typer.Argument(help="The store.")],
    scheme: Annotated[str, typer.Option(help="The scheme that gives the labels.")],
    head: Annotated[
        str,
        typer.Option(
            help="ridge, logistic, dense, svm, knn, lda, forest, boosting or mlp, with options as logistic(C=0.1); "
            "see below."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Where to save the head.")],
    schemes: Annotated[Path | None, _SCHEMES] = None,
    space: Annotated[
        str | None, typer.Option(help="A backbone or a space id; needed if there are several.")
    ] = None,
    split: Annotated[str, _SPLIT] = "auto",
    test_size: Annotated[float, _TEST_SIZE] = 0.2,
    seed: Annotated[int, _SEED] = 0,
    group: Annotated[str | None, _GROUP] = None,
    plain: Annotated[bool, _PLAIN] = False,
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Train one head, save it, and print its figures on the held-out images."""
    from classifiers import train_head
    from store import FeatureStore

    opened = FeatureStore(store)
    chosen = _scheme(opened, scheme, schemes)
    saved, report = train_head(
        opened, chosen, head, space, split=split, test_size=test_size, seed=seed, group=group, plain=plain
    )
    saved.save(out)
    _print_figures(report, json)
    if report["curves"]:
        say(_describe_curves(report["curves"]))
    say(f"Saved to {out}. Label new photos with: embank predict {out} PHOTOS…")


def _evaluate(
    store: Annotated[Path, typer.Argument(help="The store.")],
    head_file: Annotated[Path, typer.Argument(help="A file that `embank train` saved.")],
    where: Annotated[
        list[str] | None,
        typer.Option(help='A subset, such as "split == \'val\'" or "large: width > 800"; may repeat.'),
    ] = None,
    scheme: Annotated[
        str | None, typer.Option(help="The true labels; by default the head's own scheme.")
    ] = None,
    schemes: Annotated[Path | None, _SCHEMES] = None,
    group: Annotated[str | None, _GROUP] = None,
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Print the figures of a saved head on a store's images, those it was trained on left out."""
    from classifiers import evaluate_head, load_head
    from store import FeatureStore

    saved = load_head(head_file)
    opened = FeatureStore(store)
    chosen = _scheme(opened, scheme, schemes) if scheme else None
    _print_figures(evaluate_head(opened, saved, chosen, where or [], group), json)


def _compare(
    store: Annotated[Path, typer.Argument(help="The store.")],
    schemes: Annotated[Path | None, _SCHEMES] = None,
    heads: Annotated[
        str, typer.Option(help="Comma-separated, such as ridge,dense(epochs=20).")
    ] = "ridge,logistic",
    spaces: Annotated[
        str | None, typer.Option(help="Comma-separated backbones or space ids; all by default.")
    ] = None,
    cv: Annotated[
        int | None, typer.Option(min=2, help="Cross-validation with K folds, not one split.")
    ] = None,
    split: Annotated[str, _SPLIT] = "auto",
    test_size: Annotated[float, _TEST_SIZE] = 0.2,
    seed: Annotated[int, _SEED] = 0,
    group: Annotated[str | None, _GROUP] = None,
    plain: Annotated[bool, _PLAIN] = False,
    csv: Annotated[Path | None, typer.Option(help="Write the board as CSV.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a report to look at, OUT.html.")] = None,
    json: Annotated[bool, _JSON] = False,
) -> None:
    """The board: every scheme x head x space, with figures on held-out images."""
    from classifiers import HeadError, SchemeError
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
    }
    try:
        comparison = compare_with_progress(
            opened, _schemes(opened, schemes), split_heads(heads), wanted, settings
        )
    except ComparisonInterrupted as interrupt:
        tell_comparison(opened, interrupt.partial, settings, csv, report, json)
        raise
    tell_comparison(opened, comparison, settings, csv, report, json)
    if not comparison.results and not comparison.errors:
        raise SchemeError(
            f"{store} has no label scheme to compare: attach labels, use class folders, or --schemes."
        )
    if comparison.errors:
        raise typer.Exit(1 if comparison.results else 2)


def _describe_curves(curves: dict[str, list[float]]) -> str:
    """`30 epochs: loss 1.812 → 0.214, accuracy …`."""
    changes = (f"{name} {values[0]:.3f} → {values[-1]:.3f}" for name, values in curves.items())
    return f"{counted(len(curves['loss']), 'epoch')}: {', '.join(changes)} (--json has all)."


def _print_figures(report: dict[str, Any], json: bool) -> None:
    for note in report.get("notes", []):
        say(f"Note: {note}")
    if json:
        print_json({key: value for key, value in report.items() if key != "notes"})
        return
    title = f"{report['scheme']}: {report['head']} on {report['space']}, {len(report['classes'])} classes"
    others = [key for key in _OTHERS if any(row.get(key) is not None for row in report["rows"])]
    columns = [
        "subset",
        "n",
        "accuracy",
        "95 % interval",
        "balanced",
        "macro F1",
        *(_OTHERS[key] for key in others),
    ]
    rows = [
        [
            row["subset"],
            row["n"],
            percent(row["accuracy"]),
            interval(row["accuracy_low"], row["accuracy_high"]),
            percent(row["balanced_accuracy"]),
            percent(row["macro_f1"]),
            *(f"{row[key]:.3f}" if row[key] is not None else "" for key in others),
        ]
        for row in report["rows"]
    ]
    least_needed = ("calibration error", "log-loss", "top 5", "micro F1", "ROC-AUC")
    print_table(title, columns, rows, least_needed)


def _schemes(store: FeatureStore, path: Path | None) -> dict[str, Scheme]:
    from classifiers import default_schemes, load_schemes

    if path is not None:
        return load_schemes(path)
    schemes, notes = default_schemes(store.images())
    for note in notes:
        say(f"Note: {note}")
    return schemes


def _scheme(store: FeatureStore, name: str, path: Path | None) -> Scheme:
    from classifiers import SchemeError
    from classifiers.suggestions import suggest

    schemes = _schemes(store, path)
    if name not in schemes:
        where = str(path) if path else str(store.path)
        raise SchemeError(f"{where} has no scheme {name!r}. {suggest(name, schemes)}")
    return schemes[name]
