"""`embank embed`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from embank.console import counted, print_json, print_table, progress, say
from embank.engines import warn_of_random_weights
from embank.options import ENGINE, JSON, WORKERS, store_argument

if TYPE_CHECKING:
    from embedder import EmbedReport
    from embedder.dry_run import DryRun

_SHOWN_COUNTS = 20


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        "embed",
        short_help="Embed a folder of images into a store.",
        epilog="Example: embank embed photos/ pets.embank --backbone ResNet50",
    )(_embed)


def _embed(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder of images; a .csv, .tsv or .parquet table with a column path; a .zip or .tar (.gz, .bz2, "
            ".xz); the URL of one of these (https://, s3://, gs://, …); or tfds:NAME[:SPLIT]."
        ),
    ],
    store: Annotated[Path, store_argument("The store, NAME.embank; made if it is absent.")],
    backbone: Annotated[list[str], typer.Option(help="A name of `embank backbones`; may repeat.")],
    weights: Annotated[
        list[str] | None,
        typer.Option(help="imagenet (the default), a file, or none (random); once, or once a backbone."),
    ] = None,
    pooling: Annotated[
        str, typer.Option(help="avg or max over the feature map, or none: bank the map itself.")
    ] = "avg",
    layer: Annotated[str | None, typer.Option(help="Cut the backbone at this layer.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Pixels; the backbone's own by default.")] = None,
    fit: Annotated[str, typer.Option(help="How pictures become square: squash, crop or pad.")] = "squash",
    precision: Annotated[str, typer.Option(help="Of the arithmetic: float32 or bfloat16.")] = "float32",
    dtype: Annotated[str, typer.Option(help="Of the stored vectors: float32 or float16.")] = "float32",
    preprocessing: Annotated[
        str | None,
        typer.Option(
            help="What a model of your own expects: raw, unit, symmetric, caffe, torch, or a backbone's name."
        ),
    ] = None,
    scores: Annotated[
        bool, typer.Option("--scores", help="Bank ImageNet class scores, not features.")
    ] = False,
    augment: Annotated[
        str | None, typer.Option(help="Bank augmented views too, such as flip,rotation=40,zoom=0.2.")
    ] = None,
    views: Annotated[
        int | None,
        typer.Option(min=1, max=100, help="Augmented views of each image, beside the image itself."),
    ] = None,
    contact_sheet: Annotated[
        Path | None,
        typer.Option(help="Write a picture of some augmented views, SHEET.png, and embed nothing."),
    ] = None,
    engine: Annotated[str, ENGINE] = "auto",
    batch_size: Annotated[
        int | None, typer.Option(min=1, max=4096, help="Images that the engine takes at once.")
    ] = None,
    workers: Annotated[int | None, WORKERS] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Threads of the engine; one a processor.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What the store calls this source.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only N images, drawn by --seed.")] = None,
    max_failures: Annotated[
        str | None, typer.Option(help="End with exit 1 after more bad images than N or P%.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of random weights and of the images of --limit.")] = 0,
    shard: Annotated[
        str | None,
        typer.Option(help="Only the I-th of N shares, I/N: for N jobs that need nothing of each other."),
    ] = None,
    runner: Annotated[str, typer.Option(help="local, or ray: a Ray cluster (embank[ray]).")] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            help="Of the Ray cluster; auto is the one on this machine. By default RAY_ADDRESS, or a cluster that is "
            "started on this machine and ends with the run."
        ),
    ] = None,
    ray_workers: Annotated[
        int | None, typer.Option(min=1, help="Processes on the Ray cluster; by default they fill it.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing: say what there is to do, and how long it takes.")
    ] = False,
    machines: Annotated[
        int, typer.Option(min=1, help="Machines like this one, for the time of --dry-run.")
    ] = 1,
    price_per_core_hour: Annotated[
        float | None, typer.Option(min=0, help="So that --dry-run says what it costs, in any currency.")
    ] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Embed a source into a store, committing as it goes; what is banked already is skipped."""
    from embedder import JobSettings, Recipe, RecipeError, embed
    from embedder.contact_sheet import write_contact_sheet
    from embedder.dry_run import dry_run as plan

    chosen = weights or ["imagenet"]
    if len(chosen) == 1 and (len(backbone) == 1 or chosen[0] in ("imagenet", "none")):
        chosen *= len(backbone)
    if len(chosen) != len(backbone):
        raise RecipeError(
            f"{len(backbone)} backbones and {len(chosen)} --weights: a file fits one backbone, so give --weights "
            "once for each, in the same order."
        )
    recipes = [
        Recipe(
            each,
            file,
            layer,
            pooling,
            image_size,
            fit,
            precision,
            dtype,
            seed,
            preprocessing,
            scores,
            augment,
            views,
        )
        for each, file in zip(backbone, chosen, strict=True)
    ]
    settings = JobSettings(
        engine, batch_size, workers, threads, limit, max_failures, seed, shard, runner, address, ray_workers
    )
    if contact_sheet:
        rows = write_contact_sheet(source, recipes[0], contact_sheet, seed)
        say(f"{contact_sheet} shows {counted(rows, 'image')} and their views. Nothing was embedded.")
        return
    warn_of_random_weights(recipes)
    if dry_run:
        planned = plan(
            source,
            store,
            recipes,
            name=name,
            settings=settings,
            machines=machines,
            price_per_core_hour=price_per_core_hour,
        )
        _tell_plan(planned, json)
        return
    if runner == "ray":
        say("Before the first image, Ray's workers start and open the backbones: up to half a minute.")
    done = 0
    with progress("embedding") as show:

        def tell(so_far: EmbedReport) -> None:
            nonlocal done
            done = so_far.done
            show(so_far.done, so_far.listed, _failures(so_far))

        try:
            report = embed(source, store, recipes, name=name, settings=settings, progress=tell)
        except KeyboardInterrupt:
            say(f"{done} images are done and committed; the same command goes on from there.")
            raise
    _tell(report, store, json)
    if report.gave_up:
        say(f"Gave up: {report.gave_up}. `embank info {store} --errors` lists them.")
    is_empty_share = shard is not None and not report.listed
    if report.gave_up or not (report.embedded or report.skipped or report.duplicates or is_empty_share):
        raise typer.Exit(1)


def _failures(report: EmbedReport) -> str:
    return f"{report.failed} failed" if report.failed else ""


def _tell(report: EmbedReport, store: Path, json: bool) -> None:
    for note in report.notes:
        say(f"Note: {note}")
    if report.failed:
        say(f"{report.failed} images could not be embedded; `embank info {store} --errors` says why.")
    if json:
        print_json(report.to_dict())
        return
    columns = ["listed", "embedded", "skipped", "duplicates", "failed", "seconds", "images/s"]
    counts = [report.listed, report.embedded, report.skipped, report.duplicates, report.failed]
    row = [*counts, f"{report.seconds:.1f}", f"{report.images_per_second:.0f}"]
    print_table(f"{store}: {', '.join(report.space)}", columns, [row])
    if report.embedded:
        rows = [
            [name, *(f"{value:.1f}" for value in times.values())] for name, times in report.stages.items()
        ]
        title = f"Where the time went: {report.limited_by} limited the run"
        print_table(title, ["stage", "threads worked, s", "run waited, s"], rows)


def _tell_plan(plan: DryRun, json: bool) -> None:
    for note in plan.notes:
        say(f"Note: {note}")
    if json:
        print_json(plan.to_dict())
        return
    print(f"{plan.source}: {counted(plan.listed, 'image')}, {_megabytes(plan.bytes)}, from {plan.location}")
    if plan.unknown_bytes:
        print(f"{counted(plan.unknown_bytes, 'file')} did not say a size.")
    sizes = plan.sizes
    if sizes.width and sizes.height:
        columns = ["pixels", "smallest", "median", "largest"]
        title = f"Sizes of {counted(sizes.sampled - sizes.unreadable, 'image')} looked at"
        print_table(title, columns, [["width", *sizes.width], ["height", *sizes.height]])
    if sizes.unreadable:
        print(f"{sizes.unreadable} of {counted(sizes.sampled, 'file')} looked at cannot be read as images.")
    for title, counts in (("Splits", plan.splits), ("Folders", plan.folders)):
        if len(counts) > 1:
            _print_counts(title, counts)
    columns = ["backbone", "space", "banked", "to embed", "MB to add"]
    rows = [
        [each.backbone, each.space or "new here", each.banked, each.rows, _megabytes(each.bytes, unit="")]
        for each in plan.spaces
    ]
    print_table("To do", columns, rows)
    where = "on this machine" if plan.machines == 1 else f"on {plan.machines:,} machines like this one"
    money = "" if plan.money is None else f", {_amount(plan.money)} for {_amount(plan.core_hours)} core-hours"
    print(f"About {_duration(plan.seconds)} {where}{money}. Nothing was written.")
    for basis, told in _BASES.items():
        names = ", ".join(each.backbone for each in plan.spaces if each.basis == basis)
        if names:
            print(told.format(names))


_BASES = {
    "model": "The time for {} is that of another machine (docs/scale.md): it has to be loaded or converted first.",
    "unknown": "Without the time for {}: it has to be loaded or converted first.",
}


def _duration(seconds: float) -> str:
    hours = seconds / 3600
    return (
        f"{seconds:.0f} s"
        if hours < 0.1
        else f"{hours:.1f} hours"
        if hours < 48
        else f"{hours / 24:,.1f} days"
    )


def _print_counts(title: str, counts: dict[str, int]) -> None:
    rows = [[name or "(none)", count] for name, count in list(counts.items())[:_SHOWN_COUNTS]]
    print_table(f"{title}: {len(counts)}", ["name", "images"], rows)
    if len(counts) > len(rows):
        print(f"… and {len(counts) - len(rows)} more.")


def _megabytes(size: int | None, unit: str = " MB") -> str:
    return "unknown" if size is None else f"{size / 1e6:.1f}{unit}"


def _amount(value: float) -> str:
    """With two digits after the point; of little three that count."""
    return f"{value:,.2f}" if value >= 1 or not value else f"{value:.3g}"
