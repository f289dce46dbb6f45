"""Two Ray workers beside the local runner on this machine, and the memory of a Ray run's driver.

Run: python scripts/bench/ray_runner.py [--images 2000] [--repeats 3] [--weights FILE] [--originals DIR] [--folder DIR]
     python scripts/bench/ray_runner.py --memory [--images 1000000]
The runners take turns in fresh processes and stores. The rate is from the first read to the last commit, so without
the start of Ray and of the backbone; a ratio is the median of the turns' own. Required: 0.85. --memory: a folder of
links to a few pictures, and workers that look at none of them and only commit rows, so that a million are soon done:
the driver does all that it ever does. Required of it: under 1 GB for a million.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

import fake_engine
from measuring import in_a_process
from memory import resident
from pictures import write_photos, write_small_pictures
from processor import Processor

IMAGES, KEYS, REPEATS = 2000, 1_000_000, 3
LEAST, MOST_MB = 0.85, 1000.0
ORIGINALS = Path(__file__).parents[3] / "shared" / "data"
WORKERS = 2
_DIFFERENT = 1000  # pictures that all others are links to
_HERE = Path(__file__).parent


def main() -> None:
    """Prints a line a turn, the medians and a JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--weights", default="none")
    parser.add_argument("--originals", type=Path, default=ORIGINALS)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--turn", choices=["local", "ray", "driver"], help=argparse.SUPPRESS)
    parser.add_argument("--photos", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.turn == "driver":
        print(json.dumps(drive(options.photos)))
    elif options.turn:
        print(json.dumps(embed_once(options.photos, options.turn, options.weights)))
    elif options.memory:
        compare_memory(options.folder, options.images or KEYS)
    else:
        compare_rates(options)


def compare_rates(options: argparse.Namespace) -> None:
    """Local and Ray in turns."""
    images = options.images or IMAGES
    photos = options.folder / f"embank-bench-photos-{images}"
    write_photos(photos, images, options.originals if options.originals.is_dir() else None)
    turns: list[dict[str, float]] = []
    for _ in range(options.repeats):
        arguments = ("--photos", photos, "--weights", options.weights)
        turn = {
            runner: in_a_process("ray_runner.py", "--turn", runner, *arguments) for runner in ("local", "ray")
        }
        rates = {runner: told["images_per_second"] for runner, told in turn.items()}
        turns.append(rates | {"ratio": rates["ray"] / rates["local"]})
        print(
            f"local {rates['local']:.0f} images/s ({turn['local']['seconds']:.1f} s in all), "
            f"{WORKERS} Ray workers {rates['ray']:.0f} ({turn['ray']['seconds']:.1f} s): {turns[-1]['ratio']:.2f}"
        )
    medians = {name: round(statistics.median(turn[name] for turn in turns), 3) for name in turns[0]}
    print(Processor.here().describe())
    print(
        f"medians: local {medians['local']:.0f}, Ray {medians['ray']:.0f} images/s, ratio {medians['ratio']:.2f} "
        f"(required {LEAST}: {'yes' if medians['ratio'] >= LEAST else 'NO'})"
    )
    print(json.dumps({"images": images} | medians))


def compare_memory(folder: Path, images: int) -> None:
    """The driver's memory for a quarter of the images, and for all."""
    peaks = {}
    with tempfile.TemporaryDirectory(dir=folder, prefix="embank-bench-") as work:
        for count in (images // 4, images):
            pictures = Path(work, str(count))
            link_pictures(pictures, count)
            told = in_a_process("ray_runner.py", "--turn", "driver", "--photos", pictures)
            peaks[count] = told["peak"]
            memory = ", ".join(f"{when} {told[when]:.0f}" for when in ("start", "listed", "told", "peak"))
            print(f"{count:>9,} keys: MB {memory}; {told['seconds']:.0f} s, {told['rate']:,.0f} images/s")
            shutil.rmtree(pictures.parent / str(count))
    verdict = "yes" if peaks[images] < MOST_MB else "NO"
    print(f"peak {peaks[images]:.0f} MB (required < {MOST_MB:.0f}: {verdict})")
    print(json.dumps({"images": images, "peaks": peaks}))


def link_pictures(folder: Path, count: int) -> None:
    """So many names of a thousand pictures."""
    write_small_pictures(folder, min(count, _DIFFERENT))
    originals = [str(path) for path in sorted(folder.rglob("*.bmp"))]
    for number in range(len(originals), count):
        place = folder / f"{number // _DIFFERENT:04d}"
        if number % _DIFFERENT == 0:
            place.mkdir()
        os.link(originals[number % len(originals)], f"{place}/{number % _DIFFERENT:04d}.bmp")


def embed_once(photos: Path, runner: str, weights: str) -> dict[str, Any]:
    """One run in this process, into a new store."""
    from embedder import JobSettings, Recipe, embed

    settings = JobSettings(runner=runner, ray_workers=WORKERS if runner == "ray" else None)
    with tempfile.TemporaryDirectory(dir=photos.parent, prefix="embank-bench-") as work:
        report = embed(photos, Path(work, "bank.embank"), Recipe("MobileNetV2", weights), settings=settings)
    return {"images_per_second": report.images_per_second, "seconds": report.seconds}


def drive(pictures: Path) -> dict[str, Any]:
    """A Ray run on fake backbones with this process as its driver: its memory in megabytes."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["PYTHONPATH"] = os.pathsep.join([str(_HERE), os.environ.get("PYTHONPATH", "")])
    import ray

    from embedder import EmbedReport, JobSettings, embed

    ray.init(
        address="local",
        include_dashboard=False,
        object_store_memory=128 << 20,
        logging_level="ERROR",
        log_to_driver=False,
        runtime_env={"worker_process_setup_hook": "ray_rows.commit_rows_only"},
    )
    start = resident("VmRSS")
    told: list[float] = []

    def sample(report: EmbedReport) -> None:
        told.append(resident("VmRSS"))

    report = embed(
        pictures,
        pictures.with_suffix(".embank"),
        fake_engine.RECIPE,
        settings=JobSettings(runner="ray", ray_workers=WORKERS, batch_size=64),
        progress=sample,
    )
    ray.shutdown()
    return {
        "start": start,
        "listed": told[0],
        "told": told[-1],
        "peak": resident("VmHWM"),
        "done": report.done,
        "seconds": report.seconds,
        "rate": report.done / report.seconds,
    }


if __name__ == "__main__":
    main()
