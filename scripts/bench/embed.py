"""Photos to vectors: embank beside Keras alone, beside the limit of the machine, and when there is little to do.

Run: python scripts/bench/embed.py [--backbones ResNet50,MobileNetV2,Xception] [--images 96] [--repeats 3]
                                   [--quick] [--originals DIR] [--folder DIR]
     python scripts/bench/embed.py --sweep [--precision float32] [--backbones ...] [--images 96]
Both sides take turns in fresh processes; a ratio is the median over the turns. --images is what Keras embeds in
a turn; embank, which is quicker, takes several times as many, so that no turn is too short to be timed. --quick is
one short turn of MobileNetV2, to see that everything works.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from measuring import in_a_process
from pictures import first_photos, write_photos
from processor import Processor
from starting import bench_starting, timed_embed
from sweeping import BATCHES, sweep

# Required speed as a multiple of baseline_keras.py's; those in bfloat16 hold for a processor with AMX.
BOUNDS = {
    "ResNet50": {"float32": 1.8, "bfloat16": 9.0},
    "MobileNetV2": {"float32": 2.3, "bfloat16": 4.5},
    "Xception": {"bfloat16": 4.0},
}
EFFICIENCY = 0.85
AS_MANY = {"keras": 1, "float32": 2, "bfloat16": 3}
AS_MANY_WITH_AMX = AS_MANY | {"bfloat16": 8}
LIGHT = {"MobileNetV2": 3}  # backbones that take so many times the photos in the same time
ORIGINALS = Path(__file__).parents[3] / "shared" / "data"


@dataclass(frozen=True)
class Row:
    """Medians of one backbone in one precision.

    images_per_second: embank's, from the first read to the last commit. keras: what baseline_keras.py reached.
    ratio, efficiency: medians of the turns' own. decode_ms, inference_ms: core-milliseconds an image of each
    stage alone; rest_ms: what an image took beyond them, idle cores included. limit: images a second if the cores
    did these two and nothing else, without a pause. required: of the ratio; None where nothing is.
    """

    backbone: str
    precision: str
    images_per_second: float
    keras: float
    ratio: float
    required: float | None
    judged: bool
    decode_ms: float
    inference_ms: float
    rest_ms: float
    limit: float
    efficiency: float


def main() -> None:
    """Prints a table, what the figures are measured on, and a JSON line."""
    options = arguments()
    processor = Processor.here()
    print(processor.describe())
    backbones = options.backbones.split(",")
    as_many = AS_MANY_WITH_AMX if processor.bfloat16 == "amx_bf16" else AS_MANY
    originals = options.originals if options.originals.is_dir() else None
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="embank-bench-") as name:
        work = Path(name)
        os.environ["EMBANK_CACHE"] = str(work / "cache")
        if options.sweep:
            write_photos(work / "photos", max(options.images, *BATCHES), originals)
            sweep(work / "photos", backbones, options.precision)
            return
        counts = {
            (backbone, side): options.images * LIGHT.get(backbone, 1) * times
            for backbone in backbones
            for side, times in as_many.items()
        }
        write_photos(work / "photos", max(counts.values()), originals)
        rows = list(bench_backbones(work, counts, options.repeats, processor))
        starting = bench_starting(work, work / "photos", options.files)
    print_table(rows)
    print("\n".join(starting.lines()))
    print(
        json.dumps(
            {
                "processor": asdict(processor),
                "rows": [asdict(row) for row in rows],
                "starting": asdict(starting),
            }
        )
    )


def arguments() -> argparse.Namespace:
    """The options, those of --quick filled in."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--backbones")
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--files", type=int, default=100_000, help="of the run with nothing to do")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--sweep", action="store_true")
    parser.add_argument("--precision", default="float32", help="of the sweep")
    parser.add_argument("--originals", type=Path, default=ORIGINALS)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    if options.quick:
        options.images, options.repeats, options.files = 16, 1, 2000
    options.backbones = options.backbones or ("MobileNetV2" if options.quick else ",".join(BOUNDS))
    return options


def bench_backbones(
    work: Path, counts: dict[tuple[str, str], int], repeats: int, processor: Processor
) -> Iterator[Row]:
    """One row for each backbone and precision that there is a bound for, after all turns.

    counts: the photos in a turn, by backbone and side.
    """
    folders = {count: first_photos(work / "photos", count) for count in set(counts.values())}
    precisions = {backbone: precisions_of(backbone, processor) for backbone, _ in counts}
    precisions = {backbone: wanted for backbone, wanted in precisions.items() if wanted}
    for backbone in precisions:  # converts, so that no turn does
        timed_embed(first_photos(work / "photos", 1), fresh_store(work), backbone)
    turns: dict[tuple[str, str], list[dict[str, float]]] = {}
    for number in range(repeats):
        for backbone, wanted in precisions.items():
            keras = keras_speed(folders[counts[backbone, "keras"]], backbone, work / "baseline.npy")
            for precision in wanted:
                print(f"  turn {number + 1} of {repeats}: {backbone} {precision}", file=sys.stderr)
                turn = embank_turn(work, folders[counts[backbone, precision]], backbone, precision)
                turns.setdefault((backbone, precision), []).append(turn | {"keras": keras})
    for (backbone, precision), measured in turns.items():
        yield summary(backbone, precision, measured, processor)


def precisions_of(backbone: str, processor: Processor) -> list[str]:
    """Those that there is a bound for (both, of a backbone without bounds) and that the processor has units for."""
    bounds = BOUNDS.get(backbone, ("float32", "bfloat16"))
    return [precision for precision in bounds if precision == "float32" or processor.bfloat16]


def embank_turn(work: Path, photos: Path, backbone: str, precision: str) -> dict[str, float]:
    """embank's speed from files to store, and what the stages cost alone, one right after the other."""
    _, report = timed_embed(photos, fresh_store(work), backbone, "--precision", precision)
    count = len(list(photos.iterdir()))
    if report["embedded"] != count:
        sys.exit(f"{count} photos were to be embedded by {backbone}, not {report['embedded']}")
    stages = in_a_process("stages.py", photos, backbone, precision)
    speed = report["images_per_second"]
    limit = 1000 * stages["cores"] / (stages["decode_ms"] + stages["inference_ms"])
    rest = 1000 * stages["cores"] * (1 / speed - 1 / limit)
    return {"speed": speed, "limit": limit, "efficiency": speed / limit, "rest_ms": rest, **stages}


def keras_speed(photos: Path, backbone: str, out: Path) -> float:
    """Images a second of baseline_keras.py."""
    return float(in_a_process("baseline_keras.py", photos, backbone, out)["images_per_second"])


def fresh_store(work: Path) -> Path:
    """A place for a store where there is none yet."""
    shutil.rmtree(work / "bench.embank", ignore_errors=True)
    return work / "bench.embank"


def summary(backbone: str, precision: str, turns: list[dict[str, float]], processor: Processor) -> Row:
    """The medians of the turns."""

    def median(name: str) -> float:
        return statistics.median(turn[name] for turn in turns)

    return Row(
        backbone=backbone,
        precision=precision,
        images_per_second=median("speed"),
        keras=median("keras"),
        ratio=statistics.median(turn["speed"] / turn["keras"] for turn in turns),
        required=BOUNDS.get(backbone, {}).get(precision),
        judged=precision == "float32" or processor.bfloat16 == "amx_bf16",
        decode_ms=median("decode_ms"),
        inference_ms=median("inference_ms"),
        rest_ms=median("rest_ms"),
        limit=median("limit"),
        efficiency=median("efficiency"),
    )


def print_table(rows: list[Row]) -> None:
    """One line a row."""
    print(
        f"{'backbone':<18}{'precision':<10}{'embank/s':>9}{'Keras/s':>9}{'ratio':>7}  {'required':<16}"
        f"{'decode':>8}{'infer':>8}{'rest':>8}{'limit/s':>9}{'efficiency':>11}"
    )
    for row in rows:
        efficient = "ok" if row.efficiency >= EFFICIENCY else "SHORT"
        print(
            f"{row.backbone:<18}{row.precision:<10}{row.images_per_second:>9.1f}{row.keras:>9.1f}"
            f"{row.ratio:>7.2f}  {verdict(row):<16}{row.decode_ms:>8.2f}{row.inference_ms:>8.2f}{row.rest_ms:>8.2f}"
            f"{row.limit:>9.1f}{row.efficiency:>11.2f} {efficient}"
        )
    print(
        f"decode, infer: core-milliseconds an image, each stage alone. Efficiency required: {EFFICIENCY:g}."
    )


def verdict(row: Row) -> str:
    """The bound of a row and whether it was reached."""
    if row.required is None:
        return "-"
    if not row.judged:
        return f"{row.required:g} (with AMX)"
    return f"{row.required:g} {'ok' if row.ratio >= row.required else 'SHORT'}"


if __name__ == "__main__":
    main()
