"""How soon `embank embed` is done when there is little to do: ten photos, or nothing new among many.

Run: python scripts/bench/starting.py [--files 100000] [--folder DIR]
Each figure is the wall time of a whole process, the median of several.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fake_engine
from pictures import first_photos, write_photos, write_small_pictures

COLD_BOUND, NOTHING_BOUND = 3.0, 5.0
BACKBONE = "MobileNetV2"
TURNS = 5


@dataclass(frozen=True)
class Starting:
    """cold: seconds of an embed of ten photos with a converted model in the cache. tensorflow: whether that
    imported it. nothing: seconds of a run with nothing to do on `files` listed files."""

    cold: float
    tensorflow: bool
    nothing: float
    files: int

    def lines(self) -> list[str]:
        """The figures beside what is required."""
        imported = (
            "and TensorFlow was imported: SHORT" if self.tensorflow else "TensorFlow was never imported"
        )
        return [
            f"cold start, ten photos: {self.cold:.2f} s (required < {COLD_BOUND:g} s), {imported}",
            f"nothing to do on {self.files:,} listed files: {self.nothing:.2f} s (required < {NOTHING_BOUND:g} s "
            "on 100,000)",
        ]


def main() -> None:
    """Prints both figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="embank-bench-") as work:
        write_photos(Path(work, "photos"), 10)
        print("\n".join(bench_starting(Path(work), Path(work, "photos"), options.files).lines()))


def bench_starting(work: Path, photos: Path, files: int) -> Starting:
    """Both figures; `photos` holds ten photos of `write_photos` or more."""
    cold, tensorflow = cold_start(work, first_photos(photos, 10))
    return Starting(cold, tensorflow, nothing_to_do(work, files), files)


def cold_start(work: Path, photos: Path) -> tuple[float, bool]:
    """Seconds to embed a few photos from a process's start to its end, and whether TensorFlow was imported."""
    times = []
    for _ in range(TURNS + 1):  # the first one may have to convert the model
        shutil.rmtree(work / "cold.embank", ignore_errors=True)
        seconds, report = timed_embed(photos, work / "cold.embank", BACKBONE)
        if report["embedded"] != 10:
            sys.exit(f"ten photos were to be embedded, not {report['embedded']}")
        times.append(seconds)
    shutil.rmtree(work / "cold.embank")
    command = embed_command(photos, work / "cold.embank", BACKBONE)
    told = subprocess.run(
        [command[0], "-X", "importtime", *command[1:]], capture_output=True, text=True, check=True
    ).stderr
    if not re.search(r"\|\s+openvino$", told, re.MULTILINE):
        sys.exit("no import was seen; is the engine another one?")
    return statistics.median(times[1:]), bool(re.search(r"\|\s+(tensorflow|keras)$", told, re.MULTILINE))


def nothing_to_do(work: Path, files: int) -> float:
    """Seconds of a run over files that are all banked."""
    folder, store = work / "many", work / "many.embank"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(store, ignore_errors=True)
    write_small_pictures(folder, files)
    bank = (
        "import sys, fake_engine; fake_engine.use_fake_engines(); from embedder import JobSettings, embed; "
        "embed(*sys.argv[1:], fake_engine.RECIPE, settings=JobSettings(batch_size=64))"
    )
    subprocess.run([sys.executable, "-c", bank, folder, store], check=True, cwd=Path(__file__).parent)
    recipe, times = fake_engine.RECIPE, []
    for _ in range(3):
        seconds, report = timed_embed(
            folder, store, recipe.backbone, "--image-size", str(recipe.image_size), "--batch-size", "64"
        )
        if report["skipped"] != files:
            sys.exit(f"all {files} files were to be skipped, not {report['skipped']}")
        times.append(seconds)
    return statistics.median(times)


def timed_embed(source: Path, store: Path, backbone: str, *options: str) -> tuple[float, dict[str, Any]]:
    """Seconds of an `embank embed` process with random weights, and what it reports."""
    started = time.perf_counter()
    ran = subprocess.run(
        embed_command(source, store, backbone, *options),
        capture_output=True,
        check=False,
    )
    seconds = time.perf_counter() - started
    if ran.returncode:
        sys.exit(ran.stderr.decode(errors="replace"))
    return seconds, json.loads(ran.stdout)


def embed_command(source: Path, store: Path, backbone: str, *options: str) -> list[str]:
    """`embank embed --json` with random weights."""
    command = [sys.executable, "-m", "embank", "embed", str(source), str(store), "--backbone", backbone]
    return [*command, "--weights", "none", "--json", *options]


if __name__ == "__main__":
    main()
