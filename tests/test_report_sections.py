"""The parts of a section of a report: figures by class, honest figures, merges, pictures within their bytes."""

from __future__ import annotations

import base64
import io
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from classifiers.evaluation import Counts
from classifiers.intervals import wilson_interval
from classifiers.report import formats
from classifiers.report.classes import class_figures, matrix
from classifiers.report.honest import duplicates, evidence, label_errors, ladder
from classifiers.report.regroupings import merge_rows, path_rows
from classifiers.report.shown import Shown, sheets
from tests.made_results import N, small_result

IMAGES = pd.DataFrame({"key": [f"{i}.jpg" for i in range(N)], "source": "photos"})


def jpeg(colour: str, size: tuple[int, int] = (160, 120)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "JPEG")
    return out.getvalue()


def noisy(size: int = 160) -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (size, size, 3), np.uint8)
    Image.fromarray(pixels).save(out, "JPEG", quality=95)
    return out.getvalue()


def test_figures_of_a_class_have_wilsons_intervals() -> None:
    counts = Counts(actual=np.array([20, 0]), named=np.array([10, 0]), right=np.array([8, 0]))
    figures = class_figures(counts, 0)
    assert figures["recall"]["value"] == 0.4
    assert (figures["recall"]["low"], figures["recall"]["high"]) == wilson_interval(8, 20)
    assert figures["precision"]["value"] == 0.8
    assert figures["f1"]["value"] == pytest.approx(2 * 8 / 30)
    f1 = figures["f1"]
    assert f1["low"] is not None and f1["high"] is not None and f1["low"] < 2 * 8 / 30 < f1["high"]
    assert class_figures(counts, 1)["f1"] == {"value": None, "low": None, "high": None}


def test_the_interval_of_f1_holds_it_as_often_as_it_says() -> None:
    generator, truth, held = np.random.default_rng(0), 2 * 0.6 / 1.6, 0
    for right in generator.binomial(50, 0.6, 400).tolist():
        counts = Counts(np.array([right]), np.array([50]), np.array([right]))  # 50 are of it or named so
        f1 = class_figures(counts, 0)["f1"]
        assert f1["low"] is not None and f1["high"] is not None
        held += f1["low"] <= truth <= f1["high"]
    assert 0.92 < held / 400 < 0.98


def test_the_matrix_is_shaded_by_the_share_of_the_row() -> None:
    cells = matrix(small_result(wrong=2))
    assert cells is not None
    assert [[cell["count"] for cell in row] for row in cells] == [[9, 1, 0], [0, 9, 1], [0, 0, 10]]
    assert [cell["shade"] for cell in cells[0]] == [9, 1, 0]
    assert matrix(small_result(classes=25)) is None


def pairs(*rows: tuple[int, int], total: int = 0) -> SimpleNamespace:
    array = np.array(rows, np.intp).reshape(-1, 2)
    return SimpleNamespace(
        rows=array, similarity=np.linspace(0.99, 0.95, len(rows)), total=total or len(rows)
    )


def audit(**more: Any) -> Any:
    leaks = SimpleNamespace(
        same=pairs(),
        near=pairs((1, 61), (2, 62), total=7),
        conflicts=pairs((3, 4)),
        leaked=np.array([61, 62]),
        accuracy_without=0.8,
    )
    found = {
        "scheme": "kind",
        "space": "Tiny-0123456789ab",
        "nuisance": SimpleNamespace(
            accuracy=0.5,
            low=0.3,
            high=0.7,
            features=("size", "colour"),
            alone=(("colour", 0.45),),
            rivals=True,
        ),
        "leakage": leaks,
        "permutation": SimpleNamespace(null_mean=0.33, null_high=0.5, p=0.0004, p_holm=0.0124, shuffles=1000),
        "noise": SimpleNamespace(
            nearest_accuracy=0.7, ceiling=0.88, errors=np.array([5, 6]), suggested=np.array([0, 1]), count=9
        ),
        "warnings": ("size and colour alone reach 50 %.",),
    }
    return SimpleNamespace(**(found | more))


def test_the_ladder_goes_from_the_ceiling_to_guessing() -> None:
    rows = ladder(small_result(), audit())
    assert [row["name"] for row in rows] == [
        "ceiling",
        "ridge on the vectors",
        "without those that have a twin in training",
        "the nearest image’s label",
        "traits of the files alone",
        "shuffled labels",
        "always the most frequent class",
    ]
    assert [row["name"] for row in rows if row["own"]] == ["ridge on the vectors"]
    assert [row["name"] for row in ladder(small_result(), None)] == [
        "ridge on the vectors",
        "always the most frequent class",
    ]


def test_chance_and_leaks_are_sentences() -> None:
    told = evidence(small_result(), audit())
    assert told[0].startswith("Permutation test on 1,000 shuffles of the labels: p < 0.001; with")
    assert "0 pairs of the same bytes, 7 pairs of near-duplicates" in told[1]
    assert "about 9 images" in told[2]
    assert len(evidence(small_result(), audit(permutation=None, noise=None))) == 1


def test_label_errors_and_pairs_name_both_labels() -> None:
    shown = Shown(IMAGES)
    errors = label_errors(small_result(), audit().noise, shown, 1)
    assert [(cell["given"], cell["looks"], cell["key"]) for cell in errors] == [
        ("class 2", "class 0", "5.jpg")
    ]
    found = duplicates(small_result(), audit().leakage, shown, 2)
    assert [pair["kind"][:10] for pair in found] == ["same bytes", "near-dupli"]
    assert [pair["differ"] for pair in found] == [True, False]
    assert [cell["label"] for cell in found[0]["cells"]] == ["class 0", "class 1"]


def test_merges_come_from_the_mistakes() -> None:
    merged = merge_rows(small_result(wrong=4))
    assert merged[0]["classes"] == ["class 0", "class 1"]
    assert merged[0]["gain"] == pytest.approx(2 / 30)
    assert merge_rows(small_result(classes=2)) == [] and path_rows(small_result(classes=3)) == []
    assert [row["left"] for row in path_rows(small_result(classes=5))] == [4, 3, 2]


def test_sheets_hold_a_tile_an_image_and_leave_out_what_is_none() -> None:
    found = {0: jpeg("red"), 1: b"no picture", 101: jpeg("blue")}
    first, second = sheets(range(102), found)
    with Image.open(io.BytesIO(base64.b64decode(first))) as sheet:
        assert sheet.size == (960, 960)
        red = sheet.convert("RGB").getpixel((48, 48))
        blank = sheet.convert("RGB").getpixel((150, 48))
    with Image.open(io.BytesIO(base64.b64decode(second))) as sheet:
        blue = sheet.convert("RGB").getpixel((96 + 48, 48))
    assert np.abs(np.array([red, blank, blue]) - [(255, 0, 0), (128, 128, 128), (0, 0, 255)]).max() < 20
    assert sheets([1, 2], {}) == []


def test_pictures_beyond_their_bytes_are_made_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    data = noisy()
    monkeypatch.setattr("classifiers.report.shown._MOST_BYTES", 4 * len(data))
    shown = Shown(IMAGES)
    for row in range(12):
        shown.name(row)
    styles = shown.styles(shown.load(lambda rows: [data] * len(rows)))
    assert sum(len(text) for text in styles.values()) * 3 / 4 < 4 * len(data)
    with Image.open(io.BytesIO(base64.b64decode(styles["p0"]))) as image:
        assert 60 < image.width < 160


def test_numbers_are_told_briefly() -> None:
    assert formats.percent(None) == formats.percent(math.nan) == "–"
    assert formats.span(0.8, 0.9) == "80.0 to 90.0" and formats.span(None, 1) == ""
    assert formats.points(-0.012) == "−1.2"
    assert [formats.probability(p) for p in (0.0001, 0.0042, 0.3)] == ["p < 0.001", "p = 0.004", "p = 0.30"]
    assert formats.written({"mean": [1.5, 2.0]})["text"] == '{\n  "mean": [1.5, 2.0]\n}'
