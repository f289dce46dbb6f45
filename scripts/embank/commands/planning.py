"""`embank curve` and `embank regroup`: how many labels are needed, and which classes to merge or to split."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embank.boards import compare_with_progress
from embank.console import counted, interval, percent, print_json, print_table, progress, say
from embank.options import (
    ADDRESS,
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
    chosen_schemes,
    named_scheme,
)

if TYPE_CHECKING:
    from classifiers.curves import FewShot, PowerLaw

_HEAD = typer.Option(help="One head, with options as logistic(C=0.1).")


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(
        "curve",
        short_help="How many labels are needed: accuracy over the number of training images.",
        epilog="Example: embank curve pets.embank --scheme breed --target 0.9",
    )(_curve)
    app.command(
        "regroup",
        short_help="Which classes to merge, and which to split.",
        epilog="Example: embank regroup pets.embank --scheme breed --cv 5 --out merged.yaml",
    )(_regroup)


def _curve(
    store: Annotated[Path, STORE],
    scheme: Annotated[list[str] | None, typer.Option(help="A scheme; may repeat. All by default.")] = None,
    schemes: Annotated[Path | None, SCHEMES] = None,
    head: Annotated[str, _HEAD] = "ridge",
    space: Annotated[str | None, SPACE] = None,
    target: Annotated[
        list[float] | None,
        typer.Option(
            min=0.01, max=0.9999, help="An accuracy such as 0.9: how many images reach it? May repeat."
        ),
    ] = None,
    draws: Annotated[int, typer.Option(min=1, help="How often training images are drawn at each size.")] = 5,
    sizes: Annotated[
        str | None, typer.Option(help="Comma-separated numbers of training images; halves of all by default.")
    ] = None,
    split: Annotated[str, SPLIT] = "auto",
    test_size: Annotated[float, TEST_SIZE] = 0.2,
    seed: Annotated[int, SEED] = 0,
    group: Annotated[str | None, GROUP] = None,
    workers: Annotated[int | None, PART_WORKERS] = None,
    runner: Annotated[str, RUNNER] = "local",
    address: Annotated[str | None, ADDRESS] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the curves as CSV.")] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """The accuracy on held-out images after training on few or many, and how many reach a target."""
    import pandas as pd

    from classifiers import SchemeError
    from classifiers.by_parts import runner_of
    from classifiers.curves import learning_curves
    from store import FeatureStore
    from store.commit import write_file

    opened = FeatureStore(store)
    known = chosen_schemes(opened, schemes)
    wanted = {name: named_scheme(known, name, str(schemes or store)) for name in scheme or known}
    if not wanted:
        raise SchemeError(f"{store} has no label scheme: attach labels, use class folders, or --schemes.")
    with runner_of(workers, runner, address) as who, progress("training", unit="fits") as show:
        curves, errors, notes = learning_curves(
            opened,
            wanted,
            space,
            head,
            split=split,
            test_size=test_size,
            seed=seed,
            group=group,
            sizes=_numbers(sizes),
            draws=draws,
            progress=show,
            runner=who,
        )
    for note in notes:
        say(f"Note: {note}")
    for _, sentence in errors:
        say(f"embank: {sentence}")
    if json:
        failed = [{"scheme": name, "error": sentence} for name, sentence in errors]
        print_json({"curves": [_curve_document(curve, target or []) for curve in curves], "errors": failed})
    else:
        for curve in curves:
            _print_curve(curve, target or [])
    if csv:
        frame = pd.DataFrame([row for curve in curves for row in curve.rows()])
        write_file(csv, frame.to_csv(index=False).encode())
    if errors:
        raise typer.Exit(1 if curves else 2)


def _numbers(text: str | None) -> list[int] | None:
    """`50,100` as numbers. Raises HeadError."""
    from classifiers import HeadError

    if text is None:
        return None
    try:
        return [int(one) for one in text.split(",")]
    except ValueError as error:
        raise HeadError(f"--sizes are numbers such as 50,100,200; got {text!r}.") from error


def _curve_document(curve: FewShot, targets: list[float]) -> dict[str, Any]:
    law = curve.law
    document: dict[str, Any] = {
        **{"scheme": curve.scheme, "head": curve.head, "space": curve.space, "n_test": curve.n_test},
        "rows": list(curve.rows()),
        "draws": curve.accuracy.tolist(),
        "law": None,
        "targets": [],
    }
    if law is not None:
        low, high = law.ceiling_interval
        numbers = {"ceiling": law.ceiling, "scale": law.scale, "exponent": law.exponent}
        document["law"] = numbers | {"ceiling_low": low, "ceiling_high": high}
        document["targets"] = [_target_document(law, target) for target in targets]
    return document


def _target_document(law: PowerLaw, target: float) -> dict[str, Any]:
    """What reaches a target; `needed_high` is null where it has no end."""
    found = law.needed(target) or (None, None, None)
    high = None if found[2] in (None, float("inf")) else int(found[2])
    numbers = {"target": target, "needed": found[0], "needed_low": found[1], "needed_high": high}
    return numbers | {"sentence": law.describe(target)}


def _print_curve(curve: FewShot, targets: list[float]) -> None:
    law, rows = curve.law, []
    for i, (size, draws) in enumerate(zip(curve.sizes.tolist(), curve.accuracy, strict=True)):
        spread = interval(draws.min(), draws.max()) if draws.min() < draws.max() else f"{100 * draws[0]:.1f}"
        row = [f"{size:,}", f"{size / curve.classes:.1f}", percent(draws.mean()), spread]
        rows.append(row if law is None else [*row, percent(law.at(size)), interval(law.low[i], law.high[i])])
    title = f"{curve.scheme}: {curve.head} on {curve.space}, {counted(curve.n_test, 'test image')}"
    columns = ["images", "a class", "accuracy", "draws", *(() if law is None else ("law", "95 % band"))]
    print_table(title, columns, rows, ("a class", "law")[: 1 if law is None else 2])
    if law is None:
        print("Too few sizes to fit a law: four are needed.")
        return
    end = f"{percent(law.ceiling)} (95 % interval {interval(*law.ceiling_interval)})"
    print(
        f"Fitted: accuracy(n) = {law.ceiling:.3f} - {law.scale:.3g} * n^-{law.exponent:.2f}; with ever more images it "
        f"would end at {end}."
        if law.scale
        else f"Fitted: more images change nothing, the accuracy stays at {end}."
    )
    for target in targets:
        print(law.describe(target))


def _regroup(
    store: Annotated[Path, STORE],
    scheme: Annotated[str, typer.Option(help="The scheme to change.")],
    schemes: Annotated[Path | None, SCHEMES] = None,
    head: Annotated[str, _HEAD] = "ridge",
    space: Annotated[str | None, SPACE] = None,
    cv: Annotated[
        int | None,
        typer.Option(min=2, help="Mistakes of all images, by cross-validation with K folds; more to go by."),
    ] = None,
    split: Annotated[str, SPLIT] = "auto",
    test_size: Annotated[float, TEST_SIZE] = 0.2,
    seed: Annotated[int, SEED] = 0,
    group: Annotated[str | None, GROUP] = None,
    plain: Annotated[bool, PLAIN] = False,
    most: Annotated[int, typer.Option(min=1, help="Most merges to show and to write.")] = 20,
    classes: Annotated[
        int | None, typer.Option(min=2, help="Write only the merge that leaves so many classes.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write merged schemes as YAML, to be compared with --schemes.")
    ] = None,
    splits: Annotated[
        Path | None, typer.Option(help="Write the clusters inside classes as CSV, a label table.")
    ] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """What merging classes would gain, which classes are several, and what is given up: accuracy against bits."""
    from classifiers.training import only_space
    from embank.regroupings import Regrouping
    from store import FeatureStore

    opened = FeatureStore(store)
    known = chosen_schemes(opened, schemes)
    chosen = named_scheme(known, scheme, str(schemes or store))
    where = (only_space(opened) if space is None else opened.space(space)).id
    settings = {
        **{"cv": cv, "split": split, "test_size": test_size, "seed": seed, "group": group, "plain": plain},
        "quick": True,
    }
    comparison = compare_with_progress(opened, known, [head], [where], settings)
    for note in comparison.notes:
        say(f"Note: {note}")
    found = Regrouping.of(opened, comparison, chosen, most, group)
    if json:
        print_json(found.document())
    else:
        found.show()
    if out:
        found.write_schemes(out, classes)
        say(f"Merged schemes: {out}. Train them with: embank compare {store} --schemes {out}")
    if splits:
        found.write_splits(splits, store)
