"""The benchmarks run, and judge as they say; what they measure is not the suite's concern."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from embedder import sources
from embedder.images import picture_size
from store import FeatureStore
from store.recipes import space_id

BENCH = Path(__file__).parents[1] / "scripts" / "bench"
if not BENCH.is_dir():
    pytest.skip("the benchmarks are not part of this installation", allow_module_level=True)

FLAGS = "processor\t: 0\nmodel name\t: Fast One\nflags\t\t: fpu avx512f{}\n\nprocessor\t: 1\n"


def bench(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A script of scripts/bench as a module."""
    monkeypatch.syspath_prepend(BENCH)
    return import_module(name)


@pytest.mark.parametrize(
    ("flags", "unit", "says"),
    [
        (" amx_bf16 avx512_bf16", "amx_bf16", "AMX tiles"),
        (" avx512_bf16", "avx512_bf16", "not judged"),
        ("", None, "float32 alone is judged"),
    ],
)
def test_the_units_for_bfloat16_are_read_from_the_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, unit: str | None, says: str
) -> None:
    (tmp_path / "cpuinfo").write_text(FLAGS.format(flags))
    found = bench("processor", monkeypatch).Processor.here(tmp_path / "cpuinfo")
    assert (found.model, found.bfloat16) == ("Fast One", unit)
    assert says in found.describe()


def test_a_machine_that_does_not_tell_its_flags_counts_as_one_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bench("processor", monkeypatch).Processor.here(tmp_path / "none").bfloat16 is None


@pytest.mark.parametrize(
    ("unit", "precision", "verdict"),
    [
        ("amx_bf16", "bfloat16", "9 SHORT"),
        ("avx512_bf16", "bfloat16", "9 (with AMX)"),
        ("avx512_bf16", "float32", "1.8 ok"),
        (None, "float32", "1.8 ok"),
    ],
)
def test_ratios_are_taken_turn_by_turn_and_judged(
    monkeypatch: pytest.MonkeyPatch, unit: str | None, precision: str, verdict: str
) -> None:
    embed = bench("embed", monkeypatch)
    stages = {"decode_ms": 2.0, "inference_ms": 40.0, "rest_ms": 1.0, "limit": 47.6, "efficiency": 0.9}
    turns = [stages | {"speed": speed, "keras": keras} for speed, keras in [(20, 10), (90, 30), (60, 15)]]
    processor = bench("processor", monkeypatch).Processor("", 2, unit)
    row = embed.summary("ResNet50", precision, turns, processor)
    assert (row.images_per_second, row.keras, row.ratio) == (60, 15, 3)
    assert embed.verdict(row) == verdict
    assert embed.verdict(embed.summary("VGG16", precision, turns, processor)) == "-"


@pytest.mark.parametrize(
    ("unit", "backbone", "precisions"),
    [
        (None, "ResNet50", ["float32"]),
        (None, "Xception", []),
        ("avx512_bf16", "Xception", ["bfloat16"]),
        ("amx_bf16", "VGG16", ["float32", "bfloat16"]),
    ],
)
def test_only_what_has_a_bound_and_units_for_it_is_run(
    monkeypatch: pytest.MonkeyPatch, unit: str | None, backbone: str, precisions: list[str]
) -> None:
    processor = bench("processor", monkeypatch).Processor("", 2, unit)
    assert bench("embed", monkeypatch).precisions_of(backbone, processor) == precisions


@pytest.mark.parametrize("with_originals", [False, True])
def test_photos_differ_and_are_of_one_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_originals: bool
) -> None:
    pictures = bench("pictures", monkeypatch)
    originals = tmp_path / "originals"
    for name, size in {"large": (500, 375), "small": (100, 100)}.items():
        originals.mkdir(exist_ok=True)
        Image.effect_noise(size, 80).save(originals / f"{name}.jpg")
    pictures.write_photos(tmp_path / "photos", 3, originals if with_originals else None)
    first = {path.name: path.read_bytes() for path in (tmp_path / "photos").iterdir()}
    pictures.write_photos(tmp_path / "photos", 5, originals if with_originals else None)
    photos = sorted((tmp_path / "photos").iterdir())
    assert len({path.read_bytes() for path in photos}) == len(photos) == 5
    assert {picture_size(path.read_bytes()) for path in photos} == {(430, 420)}
    assert first == {name: (tmp_path / "photos" / name).read_bytes() for name in first}
    some = pictures.first_photos(tmp_path / "photos", 2)
    assert [path.name for path in sorted(some.iterdir())] == [path.name for path in photos[:2]]


def test_small_pictures_are_sound_and_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench("pictures", monkeypatch).write_small_pictures(tmp_path, 1003)
    entries = sources.open_source(tmp_path).entries
    assert len({sources.read_entry(entry) for entry in entries}) == 1003
    with Image.open(entries[-1].path) as image:
        image.load()
        assert (image.size, image.mode) == ((16, 16), "RGB")


def test_the_memory_benchmark_embeds_and_draws_its_curve(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCH / "memory.py"), "--images", "400", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["curve"][-1][0] >= 390
    assert all(10 < megabytes <= told["peak"] for _, megabytes in told["curve"])
    assert "fewer than 20,000 images" in done.stdout


@pytest.mark.parametrize(
    ("later", "peak", "flat", "low"),
    [(151.0, 200.0, "yes", "yes"), (190.0, 200.0, "NO", "yes"), (151.0, 601.0, "yes", "NO")],
)
def test_memory_must_be_flat_and_low(
    monkeypatch: pytest.MonkeyPatch, later: float, peak: float, flat: str, low: str
) -> None:
    verdict = bench("memory", monkeypatch).verdict([[5, 90.0], [20_000, 150.0], [40_000, later]], peak)
    assert f"more: {flat})" in verdict
    assert f"< 600: {low})" in verdict


def test_a_run_with_nothing_to_do_is_banked_by_the_fake_backbone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bench("starting", monkeypatch).nothing_to_do(tmp_path, 30) > 0


def test_a_million_names_of_few_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench("ray_runner", monkeypatch).link_pictures(tmp_path, 2500)
    pictures = sorted(tmp_path.rglob("*.bmp"))
    assert len(pictures) == 2500
    assert len({picture.stat().st_ino for picture in pictures}) == 1000


def test_a_simulated_store_has_rows_of_its_own_in_files_that_are_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = bench("large_board", monkeypatch)
    monkeypatch.setattr(script, "PART", 50)
    factors = script.write_parts(tmp_path / "s.embank", 100, 4)
    script.link_parts(tmp_path / "s.embank", 430)
    space = FeatureStore(tmp_path / "s.embank").space(space_id(script.RECIPE))
    hashes, rows = space.banked()
    assert len(factors) == 100 and len(space.parts) == 9
    assert len({one.tobytes() for one in hashes}) == len(rows) == space.rows == 430
    assert len({part.path.stat().st_ino for part in space.parts}) == 2
    out = np.empty((430, 4), np.float32)
    space.read(rows, out)
    np.testing.assert_array_equal(out[100:400], np.tile(out[:100], (3, 1)))
