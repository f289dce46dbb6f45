"""The command line as a person uses it: what it prints, its exit status, and what it says of bad input."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from store import FeatureStore

if TYPE_CHECKING:
    from tests.conftest import Embank, Ran

SMALL = ["--backbone", "MobileNetV2_0.35", "--weights", "none", "--image-size", "32"]


def draw_photo(path: Path, tone: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 80, (40, 48, 3)) + tone
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path, quality=90)


def draw_photos(folder: Path, a_class: int = 12) -> Path:
    """Dark and light photos in train/ and val/: easy to tell apart."""
    for number in range(a_class):
        side = "val" if number % 4 == 0 else "train"
        for name, tone in (("dark", 10), ("light", 160)):
            draw_photo(folder / side / name / f"{name}_{number}.jpg", tone, number * 2 + (tone > 100))
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_photos(tmp_path_factory.mktemp("photos") / "lamps")


@pytest.fixture(scope="module")
def bank(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the photos embedded by a small random backbone, through the real engine."""
    store = tmp_path_factory.mktemp("store") / "lamps.embank"
    command = [sys.executable, "-m", "embank", "embed", str(photos), str(store), *SMALL]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "random weights" in ran.stderr
    return store


@pytest.fixture(scope="module")
def head_file(bank: Path) -> Path:
    path = bank.parent / "lamps.head"
    command = ["train", str(bank), "--scheme", "folder", "--head", "ridge", "--out", str(path)]
    subprocess.run([sys.executable, "-m", "embank", *command], check=True, capture_output=True)
    return path


def one_sentence(ran: Ran) -> str:
    """The message of a failed command, after seeing that it is one and not a traceback."""
    assert ran.out == ""
    assert "Traceback" not in ran.err
    lines = [line for line in ran.err.splitlines() if line.startswith("embank: ")]
    assert len(lines) == 1, ran.err
    return lines[0]


def test_version_and_help(embank: Embank) -> None:
    assert embank("--version").out == "embank 0.1.0\n"
    overview = embank("--help")
    assert overview.code == 0
    for command in (
        "demo",
        "embed",
        "info",
        "verify",
        "labels",
        "train",
        "compare",
        "evaluate",
        "predict",
        "backbones",
    ):
        assert command in overview.out
        assert f"Example: embank {command}" in embank(command, "--help").out


def test_help_loads_nothing_heavy() -> None:
    heavy = "tensorflow keras openvino pandas numpy sklearn h5py PIL pyarrow rich.progress"
    script = (
        "import sys; from embank.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        f"print([name for name in '{heavy}'.split() if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"


def test_no_command_but_those_that_run_keras_loads_tensorflow(
    bank: Path, head_file: Path, photos: Path
) -> None:
    commands: list[list[object]] = [
        ["info", bank, "--errors"],
        ["verify", bank],
        ["backbones"],
        ["labels", bank, "list"],
        ["embed", photos, bank, *SMALL],
        ["embed", photos, bank.parent / "again.embank", *SMALL],  # the converted backbone is cached
        ["train", bank, "--scheme", "folder", "--head", "logistic", "--out", bank.parent / "other.head"],
        ["compare", bank, "--heads", "ridge,logistic,knn"],
        ["evaluate", bank, head_file],
        ["predict", head_file, photos / "val"],
    ]
    script = (
        "import sys, json; from embank.cli import app\n"
        "for command in json.loads(sys.argv[1]):\n"
        "    app(command, standalone_mode=False)\n"
        "print([name for name in ('tensorflow', 'keras') if name in sys.modules])"
    )
    argument = json.dumps([[str(part) for part in command] for command in commands])
    ran = subprocess.run([sys.executable, "-c", script, argument], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "[]"


def test_embed_says_where_the_time_went(embank: Embank, photos: Path, tmp_path: Path) -> None:
    ran = embank("embed", photos, tmp_path / "x.embank", *SMALL)
    assert ran.code == 0
    assert "limited the run" in ran.out
    assert all(stage in ran.out for stage in ("read", "decode", "infer", "write"))
    assert "embedded again by openvino" in ran.err
    assert "limited" not in embank("embed", photos, tmp_path / "x.embank", *SMALL).out


def test_augmented_views_from_contact_sheet_to_head(embank: Embank, photos: Path, tmp_path: Path) -> None:
    store, sheet, head = tmp_path / "x.embank", tmp_path / "sheet.png", tmp_path / "x.head"
    views = [*SMALL, "--augment", "flip,zoom=0.2", "--views", "2"]
    ran = embank("embed", photos, store, *views, "--contact-sheet", sheet)
    assert ran.code == 0
    assert not store.exists()
    with Image.open(sheet) as image:
        assert image.width > 3 * 100
    assert embank("embed", photos, store, *views, "--json").json["embedded"] == 24
    (space,) = embank("info", store, "--json").json["spaces"].values()
    assert (space["rows"], space["recipe"]["views"], space["recipe"]["augment"]) == (72, 3, "flip,zoom=0.2")
    assert embank("train", store, "--scheme", "folder", "--head", "ridge", "--out", head).code == 0
    assert len(embank("predict", head, photos, "--json").json["rows"]) == 24
    assert embank("compare", store, "--heads", "ridge", "--plain", "--json").code == 0
    refused = embank("embed", photos, store, *SMALL, "--views", "3")
    assert refused.code == 2
    assert "--augment" in refused.err


def test_embed_again_skips_and_one_more_photo_is_one_more(embank: Embank, tmp_path: Path) -> None:
    photos, store = draw_photos(tmp_path / "photos"), tmp_path / "photos.embank"
    first = embank("embed", photos, store, *SMALL, "--json").json
    assert (first["listed"], first["embedded"], first["skipped"]) == (24, 24, 0)
    again = embank("embed", photos, store, *SMALL, "--json").json
    assert (again["embedded"], again["skipped"], again["space"]) == (0, 24, first["space"])
    draw_photo(photos / "train" / "dark" / "new.jpg", 30, 99)
    more = embank("embed", photos, store, *SMALL, "--json").json
    assert (more["listed"], more["embedded"], more["skipped"]) == (25, 1, 24)
    info = embank("info", store, "--json").json
    assert info["images"] == 25
    assert info["spaces"][first["space"][0]]["rows"] == 25
    assert embank("verify", store, "--json").json == {"ok": True, "parts": 2, "rows": 25, "damage": []}


def test_bad_images_are_recorded_and_the_rest_goes_on(embank: Embank, tmp_path: Path) -> None:
    photos, store = draw_photos(tmp_path / "photos"), tmp_path / "photos.embank"
    (photos / "empty.jpg").touch()
    (photos / "text.jpg").write_text("I am no picture")
    whole = (photos / "train" / "dark" / "dark_1.jpg").read_bytes()
    (photos / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    ran = embank("embed", photos, store, *SMALL, "--json")
    assert ran.code == 0
    assert (ran.json["embedded"], ran.json["failed"]) == (24, 3)
    info = embank("info", store, "--errors", "--json").json
    assert (info["images"], info["errors"]) == (24, 3)
    reasons = {row["key"]: row["status"] for row in info["error_rows"]}
    assert reasons.keys() == {"empty.jpg", "text.jpg", "cut.jpg"}
    assert "empty" in reasons["empty.jpg"]
    limited = embank("embed", photos, tmp_path / "other.embank", *SMALL, "--max-failures", "1", "--json")
    assert limited.code == 1
    assert limited.json["gave_up"]


def test_a_run_with_bad_images_only_ends_with_1(embank: Embank, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "empty.jpg").touch()
    assert embank("embed", tmp_path / "photos", tmp_path / "s.embank", *SMALL, "--json").code == 1


def test_a_table_of_paths_brings_its_labels(embank: Embank, photos: Path, tmp_path: Path) -> None:
    paths = sorted(path.relative_to(photos.parent) for path in photos.rglob("*.jpg"))
    table = pd.DataFrame(
        {"path": [str(path) for path in paths], "lamp": ["on" if "light" in str(p) else "off" for p in paths]}
    )
    table.to_csv(photos.parent / "table.csv", index=False)
    store = tmp_path / "table.embank"
    assert embank("embed", photos.parent / "table.csv", store, *SMALL, "--json").json["embedded"] == 24
    assert embank("embed", photos.parent / "table.csv", store, *SMALL, "--json").json["skipped"] == 24
    rows = embank("compare", store, "--heads", "ridge", "--json").json["rows"]
    assert {row["scheme"] for row in rows} == {"folder", "lamp"}
    assert rows[1]["accuracy"] == 1.0


def test_compare_prints_the_board_and_writes_it(embank: Embank, bank: Path, tmp_path: Path) -> None:
    schemes = tmp_path / "schemes.yaml"
    schemes.write_text(
        "light:\n  from: folder\n  groups: {bright: [light], other: rest}\n  where: width >= 10\n"
    )
    arguments = ["compare", bank, "--schemes", schemes, "--heads", "ridge,logistic(C=0.1)", "--cv", "3"]
    written = [tmp_path / "board.csv", tmp_path / "board.html"]
    ran = embank(*arguments, "--csv", written[0], "--report", written[1], "--json")
    rows = ran.json["rows"]
    assert [row["head"] for row in rows] == ["ridge", "logistic(C=0.1)"]
    keys = "scheme head space classes n_train n_test accuracy accuracy_low accuracy_high balanced_accuracy macro_f1"
    assert {*keys.split(), "seconds"} <= rows[0].keys()
    assert (rows[0]["classes"], rows[0]["n_train"], rows[0]["n_test"], rows[0]["accuracy"]) == (
        2,
        16,
        24,
        1.0,
    )
    assert pd.read_csv(written[0])["accuracy"].tolist() == [row["accuracy"] for row in rows]
    assert "data:image/jpeg" in written[1].read_text()
    assert "logistic(C=0.1)" in embank(*arguments).out


def test_one_broken_scheme_does_not_stop_the_others(embank: Embank, bank: Path, tmp_path: Path) -> None:
    schemes = tmp_path / "schemes.yaml"
    schemes.write_text("good:\n  from: folder\nbad:\n  from: labels.coat\n")
    ran = embank("compare", bank, "--schemes", schemes, "--heads", "ridge", "--json")
    assert ran.code == 1
    assert [row["scheme"] for row in ran.json["rows"]] == ["good"]
    assert "coat" in ran.err


def test_train_evaluate_predict(embank: Embank, bank: Path, photos: Path, tmp_path: Path) -> None:
    head = tmp_path / "lamps.head"
    trained = embank("train", bank, "--scheme", "folder", "--head", "ridge", "--out", head, "--json").json
    assert trained["classes"] == ["dark", "light"]
    assert [(row["subset"], row["n"], row["accuracy"]) for row in trained["rows"]] == [
        ("train", 18, 1.0),
        ("held-out", 6, 1.0),
    ]
    where = "folder == 'dark'"
    evaluated = embank("evaluate", bank, head, "--where", where, "--json").json
    assert [(row["subset"], row["n"], row["accuracy"]) for row in evaluated["rows"]] == [
        ("overall", 6, 1.0),
        (where, 3, 1.0),
    ]

    (tmp_path / "broken.jpg").write_text("no picture")
    images = [photos / "val" / "dark" / "dark_0.jpg", tmp_path / "broken.jpg", photos / "val" / "light"]
    ran = embank("predict", head, *images, "--json", "--csv", tmp_path / "rows.csv")
    rows = ran.json["rows"]
    assert ran.code == 0
    assert [row["label"] for row in rows] == ["dark", None, "light", "light", "light"]
    assert rows[1]["error"] and not rows[0]["error"]
    assert 0.5 < rows[0]["score"] <= 1.0
    assert len(pd.read_csv(tmp_path / "rows.csv")) == 5
    both = embank("predict", head, images[0], "--top", "2", "--json").json["rows"]
    assert [row["label"] for row in both] == ["dark", "light"]
    assert sum(row["score"] for row in both) == pytest.approx(1.0)
    assert embank("predict", head, tmp_path / "broken.jpg", "--json").code == 1


def test_a_head_refuses_another_recipe_and_says_what_differs(
    embank: Embank, head_file: Path, photos: Path, tmp_path: Path
) -> None:
    store = tmp_path / "large.embank"
    assert embank("embed", photos, store, *SMALL[:-1], "40").code == 0
    message = one_sentence(embank("evaluate", store, head_file))
    assert "image_size" in message and "32" in message and "40" in message


def test_labels_report_both_sides(embank: Embank, photos: Path, tmp_path: Path) -> None:
    store = tmp_path / "labelled.embank"
    embank("embed", photos, store, *SMALL)
    table = tmp_path / "mood.csv"
    table.write_text("file,mood\ndark_1.jpg,calm\nlight_1.jpg,bright\nelsewhere.jpg,odd\n")
    assert "--on key, name or hash" in one_sentence(embank("labels", store, "add", table))
    report = embank("labels", store, "add", table, "--on", "name", "--json").json
    assert (report["matched"], len(report["images_without_row"]), report["rows_without_image"]) == (
        2,
        22,
        ["elsewhere.jpg"],
    )
    assert embank("labels", store, "list", "--json").json["labels"]["mood"]["columns"] == ["mood"]
    assert FeatureStore(store).images()["labels.mood"].notna().sum() == 2


def test_info_and_backbones_keep_their_json_keys(embank: Embank, bank: Path) -> None:
    info = embank("info", bank, "--json").json
    (source,), (space,) = info["sources"].items(), info["spaces"].items()
    assert source[0] == "lamps" and source[1]["images"] == 24 and source[1]["errors"] == 0
    assert space[1]["dim"] == 1280 and space[1]["dtype"] == "float32"
    assert space[1]["recipe"]["image_size"] == 32
    rows = {row["name"]: row for row in embank("backbones", "--json").json["backbones"]}
    wanted = {"ResNet50": 2048, "ResNet101V2": 2048, "Xception": 2048, "InceptionV3": 2048, "VGG16": 512}
    assert {name: rows[name]["dim"] for name in wanted} == wanted
    assert (rows["MobileNetV2"]["dim"], rows["MobileNetV2_1.4"]["dim"]) == (1280, 1792)


def test_verify_finds_damage_and_ends_with_1(embank: Embank, photos: Path, tmp_path: Path) -> None:
    store = tmp_path / "damaged.embank"
    embank("embed", photos, store, *SMALL)
    (part,) = store.glob("spaces/*/*.h5")
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    ran = embank("verify", store, "--json")
    assert ran.code == 1
    assert ran.json["ok"] is False
    assert ran.json["damage"][0]["file"] == part.relative_to(store).as_posix()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["embed", "{photos}", "{new}", "--backbone", "ResNet5"], ["ResNet5", "ResNet50"]),
        (["embed", "{tmp}/nowhere", "{new}", *SMALL], ["nowhere"]),
        (["embed", "{tmp}", "{new}", *SMALL], ["no image"]),
        (["embed", "{tmp}/nopath.csv", "{new}", *SMALL], ["nopath.csv", "path", "picture"]),
        (["embed", "{photos}", "{new}", "--backbone", "VGG16", "--weights", "{tmp}/no.h5"], ["no.h5"]),
        (["embed", "{photos}", "{new}", *SMALL, "--fit", "squeeze"], ["squeeze", "squash"]),
        (["embed", "{photos}", "{new}", *SMALL, "--engine", "openvin"], ["openvin", "openvino"]),
        (["embed", "{photos}", "{new}", *SMALL, "--max-failures", "many"], ["many"]),
        (["embed", "{photos}", "{tmp}/nopath.csv", *SMALL], ["nopath.csv", "directory"]),
        (["embed", "{photos}", "{newer}", *SMALL], ["format 99"]),
        (["info", "{new}"], ["no store"]),
        (["info", "{newer}"], ["format 99"]),
        (["train", "{bank}", "--scheme", "foldr", "--head", "ridge", "--out", "{new}"], ["foldr", "folder"]),
        (["train", "{bank}", "--scheme", "folder", "--head", "rigde", "--out", "{new}"], ["rigde", "ridge"]),
        (["compare", "{bank}", "--schemes", "{tmp}/unknown.yaml"], ["labels.coat", "unknown"]),
        (["compare", "{bank}", "--schemes", "{tmp}/single.yaml"], ["single", "one class", "dark"]),
        (["compare", "{bank}", "--schemes", "{tmp}/none.yaml"], ["none.yaml"]),
        (["compare", "{bank}", "--spaces", "ResNet50"], ["ResNet50", "MobileNetV2_0.35"]),
        (["evaluate", "{bank}", "{head}", "--where", "wdth > 3"], ["wdth", "width"]),
        (["predict", "{head}", "{tmp}/nowhere.jpg"], ["nowhere.jpg"]),
        (["predict", "{tmp}/nopath.csv", "{photos}"], ["nopath.csv"]),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(
    embank: Embank,
    bank: Path,
    head_file: Path,
    photos: Path,
    tmp_path: Path,
    arguments: list[str],
    said: list[str],
) -> None:
    (tmp_path / "nopath.csv").write_text("picture,label\na.jpg,b\n")
    (tmp_path / "unknown.yaml").write_text("unknown:\n  from: labels.coat\n")
    (tmp_path / "single.yaml").write_text("single:\n  from: folder\n  drop: [light]\n")
    newer = tmp_path / "newer.embank"
    newer.mkdir()
    (newer / "embank.json").write_text('{"format": 99}')
    places = {
        "photos": photos,
        "bank": bank,
        "head": head_file,
        "tmp": tmp_path,
        "newer": newer,
        "new": tmp_path / "new.embank",
    }
    ran = embank(*(argument.format(**places) for argument in arguments))
    assert ran.code == 2, ran.err
    message = one_sentence(ran)
    for word in said:
        assert word in message
    assert not (tmp_path / "new.embank").exists()


@pytest.mark.parametrize("name", ["store", "embedder", "classifiers"])
def test_a_foreign_package_of_our_name_is_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text("")
    command = [sys.executable, "-m", "embank", "backbones"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 2
    assert name in ran.stderr and "Rename" in ran.stderr and "Traceback" not in ran.stderr
    imported = [sys.executable, "-c", "import embedder" if name == "store" else "import store"]
    ran = subprocess.run(imported, capture_output=True, text=True, cwd=tmp_path)
    assert (ran.returncode == 0) == (name != "store")
    assert name != "store" or "rename it" in ran.stderr


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "embank", "--debug", "info", str(tmp_path / "none")]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 2
    assert "Traceback" in ran.stderr and "StoreNotFoundError" in ran.stderr


@pytest.fixture(scope="module")
def many_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    for photo in range(1500):
        draw_photo(folder / f"{photo}.png", photo % 150, photo)
    return folder


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_commits_and_the_next_one_goes_on(
    bank: Path, many_photos: Path, tmp_path: Path, number: signal.Signals
) -> None:
    store = tmp_path / "photos.embank"
    command = [sys.executable, "-m", "embank", "embed", str(many_photos), str(store), *SMALL, "--json"]
    job = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (store / "embank.json").exists():
        assert job.poll() is None
        time.sleep(0.01)
    time.sleep(0.3)
    job.send_signal(number)
    _, err = job.communicate(timeout=60)
    assert (job.returncode, "goes on from there" in err) == (130, True), err
    banked = sum(space.rows for space in FeatureStore(store).spaces.values())
    assert banked < 1500, "the run was over before the signal came"
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    rest = json.loads(ran.stdout)
    assert (rest["embedded"], rest["skipped"]) == (1500 - banked, banked)


def test_demo_tells_the_whole_story(embank: Embank, tmp_path: Path) -> None:
    ran = embank("demo", tmp_path / "demo", "--count", "120")
    assert ran.code == 0, ran.err
    assert "ImageNet weights" in ran.err
    for scheme in ("place", "colour", "count", "texture", "shape", "animal", "warm_alone"):
        assert f"\n {scheme} " in ran.out
    assert ran.out.count("  embank ") == 3
    assert (tmp_path / "demo" / "report.html").read_text().count("data:image/jpeg") > 50
    again = embank("demo", tmp_path / "demo", "--count", "60")
    assert "   60 embedded" in again.err
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "schemes.yaml").write_text("mine")
    assert embank("demo", tmp_path / "mine").code == 2
    assert (tmp_path / "mine" / "schemes.yaml").read_text() == "mine"


def test_a_stray_folder_beside_train_and_val_keeps_the_split(embank: Embank, tmp_path: Path) -> None:
    photos, store = draw_photos(tmp_path / "photos"), tmp_path / "s.embank"
    draw_photo(photos / "extra" / "odd.jpg", 30, 500)
    embank("embed", photos, store, *SMALL)
    ran = embank("compare", store, "--heads", "ridge", "--json")
    assert (ran.json["rows"][0]["n_train"], ran.json["rows"][0]["n_test"]) == (18, 6)
    assert "1 labelled image unused" in ran.err


def test_a_class_that_only_val_has_is_left_out_and_said(embank: Embank, tmp_path: Path) -> None:
    photos, store = draw_photos(tmp_path / "photos"), tmp_path / "s.embank"
    draw_photo(photos / "val" / "dim" / "odd.jpg", 80, 500)
    embank("embed", photos, store, *SMALL)
    ran = embank("compare", store, "--heads", "ridge", "--json")
    assert (ran.code, ran.json["rows"][0]["n_test"]) == (0, 6)
    assert "no training images of 'dim'" in ran.err


def test_a_recipe_that_cannot_run_leaves_nothing_behind(
    embank: Embank, bank: Path, photos: Path, tmp_path: Path
) -> None:
    for store in (tmp_path / "new.embank", bank):
        ran = embank("embed", photos, store, *SMALL, "--layer", "block_99")
        assert ran.code == 2 and "block_99" in one_sentence(ran)
    assert not (tmp_path / "new.embank").exists()
    assert len(FeatureStore(bank).spaces) == 1


def test_a_moved_folder_is_found_again(embank: Embank, tmp_path: Path) -> None:
    photos, store = draw_photos(tmp_path / "photos"), tmp_path / "s.embank"
    embank("embed", photos, store, *SMALL)
    moved = photos.rename(tmp_path / "pictures")
    assert embank("embed", moved, store, *SMALL, "--name", "photos", "--json").json["skipped"] == 24
    assert embank("info", store, "--json").json["sources"]["photos"]["location"] == str(moved)


def test_a_narrow_terminal_drops_columns_and_breaks_no_number(bank: Path) -> None:
    script = (
        "import sys; sys.stdout.isatty = lambda: True\n"
        "from embank.cli import app; app(sys.argv[1:], standalone_mode=False)"
    )
    command = [sys.executable, "-c", script, "compare", str(bank), "--heads", "ridge"]
    ran = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "60"})
    lines = re.sub(r"\x1b\[[0-9;]*m", "", ran.stdout).splitlines()
    assert len(lines) == 3 and max(map(len, lines)) <= 60, ran.stdout + ran.stderr
    assert "100.0 %" in lines[2] and "seconds" not in lines[0]


def test_nothing_to_compare_is_an_error(embank: Embank, tmp_path: Path) -> None:
    draw_photo(tmp_path / "photos" / "one.jpg", 10, 1)
    store = tmp_path / "s.embank"
    embank("embed", tmp_path / "photos", store, *SMALL)
    assert embank("compare", store).code == 2
    assert embank("compare", store, "--heads", "").code == 2
