"""The resident memory of a job by the number of images done: small pictures and a backbone that costs nothing.

Run: python scripts/bench/memory.py [--images 200000] [--folder DIR]
Required: flat after the first 20,000 images, and under 600 MB from start to end.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import fake_engine
from pictures import write_small_pictures

IMAGES = 200_000
SETTLED = 20_000
SAMPLES = 40
MOST_MB = 600.0
MOST_GROWTH = 0.05  # of what is resident at the 20,000th image: what counts as flat


def main() -> None:
    """Prints the curve, the verdict and a JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        run_job(options.job, options.images)
        return
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="embank-bench-") as work:
        write_small_pictures(Path(work, "pictures"), options.images)
        told = measured(Path(work), options.images)
    curve, peak = told["curve"], told["peak"]
    for images, megabytes in curve:
        print(f"{images:>9,} images: {megabytes:6.1f} MB {'#' * round(megabytes / 10)}")
    print(f"after the last commit and the merging of listing files: {told['end']:.1f} MB")
    print(f"{told['images_per_second']:,.0f} images/s: what decoding and the job's own work leave")
    print(verdict(curve, peak))
    print(json.dumps({"images": options.images} | told))


def measured(work: Path, images: int) -> dict[str, Any]:
    """What a fresh process takes, in megabytes: `curve` by images done, `end` when the job has returned, `peak` of all.

    And the job's speed.
    """
    command = [sys.executable, __file__, "--images", str(images), "--job", str(work)]
    told: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return told


def run_job(work: Path, images: int) -> None:
    """Embeds the pictures in this process and prints its memory."""
    fake_engine.use_fake_engines()
    from embedder import EmbedReport, JobSettings, embed

    step = max(1, images // SAMPLES)
    curve: list[tuple[int, float]] = []

    def sample(report: EmbedReport) -> None:
        if report.done >= step * len(curve):
            curve.append((report.done, resident("VmRSS")))

    store = work / "bank.embank"
    report = embed(
        work / "pictures", store, fake_engine.RECIPE, settings=JobSettings(batch_size=64), progress=sample
    )
    if report.embedded != images:
        sys.exit(f"{images} pictures were to be embedded, not {report.embedded}")
    told = {"curve": curve, "end": resident("VmRSS"), "peak": resident("VmHWM")}
    print(json.dumps(told | {"images_per_second": report.images_per_second}))


def resident(what: str) -> float:
    """Megabytes of this process: VmRSS now, VmHWM at most so far (see proc_pid_status(5))."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))


def verdict(curve: list[tuple[int, float]], peak: float) -> str:
    """Whether the curve is flat where it should be, and low."""
    later = [megabytes for images, megabytes in curve if images >= SETTLED]
    if not later:
        return f"peak {peak:.0f} MB; fewer than {SETTLED:,} images say nothing about growth"
    growth = max(later) - later[0]
    flat = growth <= MOST_GROWTH * later[0]
    return (
        f"after {SETTLED:,} images {later[0]:.0f} MB, then at most {growth:.0f} MB more "
        f"(flat is at most {MOST_GROWTH:.0%} more: {'yes' if flat else 'NO'}); "
        f"peak {peak:.0f} MB (required < {MOST_MB:.0f}: {'yes' if peak < MOST_MB else 'NO'})"
    )


if __name__ == "__main__":
    main()
