"""The parts of a report: charts, maps, figures by class, pictures within their bytes."""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from classifiers.evaluation import Counts, evaluate_codes
from classifiers.intervals import wilson_interval
from classifiers.labels import Labels
from classifiers.report import VectorMap, charts, formats, vector_map
from classifiers.report.calibration import reliability
from classifiers.report.classes import class_figures, matrix
from classifiers.report.honest import duplicates, evidence, label_errors, ladder
from classifiers.report.learning import epochs, few_shot
from classifiers.report.regroupings import merge_rows, path_rows, schemes_chart
from classifiers.report.scheme_map import map_data, scheme_map
from classifiers.report.shown import Shown, sheets
from classifiers.report.vector_map import project
from classifiers.results import Result

N = 90
IMAGES = pd.DataFrame({"key": [f"{i}.jpg" for i in range(N)], "source": "photos"})


def result(scheme: str = "kind", classes: int = 3, wrong: int = 4, **more: Any) -> Result:
    """N images, the last 30 held out, of which the first `wrong` are named as the next class, with 80 % confidence."""
    codes = np.arange(N) % classes
    test = np.arange(60, N)
    predicted = codes[test].copy()
    predicted[:wrong] = (predicted[:wrong] + 1) % classes
    probabilities = np.full((30, classes), 0.2 / (classes - 1))
    probabilities[np.arange(30), predicted] = 0.8
    return Result(
        scheme=scheme,
        head="ridge",
        space="Tiny-0123456789ab",
        labels=Labels(scheme, tuple(f"class {i}" for i in range(classes)), codes),
        split="random",
        n_train=60,
        train=np.arange(60),
        test=test,
        predicted=predicted,
        confidence=probabilities.max(axis=1),
        probabilities=probabilities,
        figures=evaluate_codes(codes[test], predicted, classes, probabilities),
        seconds=0.1,
        **more,
    )


def jpeg(colour: str, size: tuple[int, int] = (160, 120)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "JPEG")
    return out.getvalue()


def noisy(size: int = 160) -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (size, size, 3), np.uint8)
    Image.fromarray(pixels).save(out, "JPEG", quality=95)
    return out.getvalue()


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, ["0", "0.2", "0.4", "0.6", "0.8", "1"]), (0.7, 0.9, ["0.7", "0.75", "0.8", "0.85", "0.9"])],
)
def test_ticks_are_round_and_within_the_axis(low: float, high: float, expected: list[str]) -> None:
    axis = charts.x_axis("x", low, high)
    assert [name for _, name in axis.ticks] == expected
    assert all(axis.start <= place <= axis.end for place, _ in axis.ticks)


def test_a_logarithmic_axis_has_powers_and_even_steps_of_them() -> None:
    axis = charts.x_axis("images", 10, 1000, log=True)
    places = {name: place for place, name in axis.ticks}
    assert places["100"] - places["10"] == pytest.approx(places["1,000"] - places["100"], abs=0.2)
    assert "50" in {name for _, name in charts.x_axis("images", 8, 90, log=True).ticks}


def test_a_path_has_a_gap_where_there_is_no_number() -> None:
    path = charts.line([0, 1, 2, 3], [5.0, math.nan, 6.0, 7.0])
    assert path == "M0 5M2 6L3 7"
    assert charts.band(np.array([0.0, 1]), np.array([1.0, 2]), np.array([3.0, 4])) == "M0 3L1 4L1 2L0 1Z"


def test_room_is_left_around_values_but_not_beyond_the_ends() -> None:
    low, high = charts.room([0.5, 0.98])
    assert low < 0.5 and high == 1.0
    assert charts.room([math.nan]) == (0.0, 1.0)


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
    cells = matrix(result(wrong=2))
    assert cells is not None
    assert [[cell["count"] for cell in row] for row in cells] == [[9, 1, 0], [0, 9, 1], [0, 0, 10]]
    assert [cell["shade"] for cell in cells[0]] == [9, 1, 0]
    assert matrix(result(classes=25)) is None


def test_calibration_counts_what_is_right_at_each_confidence() -> None:
    chart = reliability(result(wrong=6))
    assert chart is not None
    assert chart.rows == (("80 to 90\u202f%", "30", "80.0\u202f%", "80.0\u202f%", "62.7 to 90.5"),)
    assert len(chart.histogram) == 1


def test_calibration_of_several_labels_takes_each_decision_by_itself() -> None:
    codes = np.array([[1, 0], [0, 1], [1, 1], [0, 0]] * 5, np.int8)
    several = SimpleNamespace(
        labels=Labels("tags", ("a", "b"), codes),
        test=np.arange(20),
        predicted=codes.copy(),
        probabilities=np.where(codes == 1, 0.95, 0.25),
    )
    chart = reliability(several)  # type: ignore[arg-type]
    assert chart is not None
    assert [row[:2] for row in chart.rows] == [("70 to 80\u202f%", "20"), ("90 to 100\u202f%", "20")]


def test_a_head_without_probabilities_has_no_calibration() -> None:
    several = SimpleNamespace(labels=Labels("k", ("a", "b"), np.zeros(3, int)), confidence=None)
    assert reliability(several) is None  # type: ignore[arg-type]


def test_epochs_are_lines_and_a_table() -> None:
    history = {"loss": [2.0, 1.0, 0.5], "accuracy": [0.1, 0.5, 0.9], "val_loss": [2.0, 1.5, 1.4]}
    loss, accuracy = epochs(history, "dense")
    assert [series.name for series in loss.series] == ["training", "validation"]
    assert loss.rows == (("1", "2", "2"), ("2", "1", "1.5"), ("3", "0.5", "1.4"))
    assert accuracy.columns == ("epoch", "training")
    assert accuracy.rows[2] == ("3", "90.0\u202f%")


class Law:
    """accuracy(n) = 0.95 - n ** -0.5, as the power laws of curves are asked."""

    def at(self, n: Any) -> Any:
        return 0.95 - np.asarray(n, float) ** -0.5

    def band(self, n: Any) -> tuple[Any, Any]:
        return self.at(n) - 0.02, self.at(n) + 0.02

    def describe(self, target: float) -> str:
        return f"{target:.0%} takes many."


def curve(law: Law | None) -> Any:
    sizes = np.array([10, 40, 100])
    accuracy = Law().at(sizes)[:, None] + np.array([-0.03, 0, 0.03])
    return SimpleNamespace(scheme="kind", space="Tiny", head="ridge", sizes=sizes, accuracy=accuracy, law=law)


def test_a_learning_curve_shows_mean_range_and_law() -> None:
    chart = few_shot([curve(Law())])
    assert chart is not None
    assert chart.x.high == 400  # the law goes on
    (series,) = chart.series
    assert series.band and series.dashed and len(series.dots) == 3
    assert chart.rows[0] == ("ridge", "10", "63.4\u202f%", "60.4 to 66.4", "63.4\u202f%")
    assert chart.about.endswith("ridge: 90% takes many.")


def test_a_learning_curve_without_a_law_is_a_line() -> None:
    chart = few_shot([curve(None)])
    assert chart is not None and not chart.series[0].band and chart.rows[0][-1] == ""
    assert few_shot([]) is None


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
    rows = ladder(result(), audit())
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
    assert [row["name"] for row in ladder(result(), None)] == [
        "ridge on the vectors",
        "always the most frequent class",
    ]


def test_chance_and_leaks_are_sentences() -> None:
    told = evidence(result(), audit())
    assert told[0].startswith("Permutation test on 1,000 shuffles of the labels: p < 0.001; with")
    assert "0 pairs of the same bytes, 7 pairs of near-duplicates" in told[1]
    assert "about 9 images" in told[2]
    assert len(evidence(result(), audit(permutation=None, noise=None))) == 1


def test_label_errors_and_pairs_name_both_labels() -> None:
    shown = Shown(IMAGES)
    errors = label_errors(result(), audit().noise, shown, 1)
    assert [(cell["given"], cell["looks"], cell["key"]) for cell in errors] == [
        ("class 2", "class 0", "5.jpg")
    ]
    found = duplicates(result(), audit().leakage, shown, 2)
    assert [pair["kind"][:10] for pair in found] == ["same bytes", "near-dupli"]
    assert [pair["differ"] for pair in found] == [True, False]
    assert [cell["label"] for cell in found[0]["cells"]] == ["class 0", "class 1"]


def test_merges_come_from_the_mistakes() -> None:
    merged = merge_rows(result(wrong=4))
    assert merged[0]["classes"] == ["class 0", "class 1"]
    assert merged[0]["gain"] == pytest.approx(2 / 30)
    assert merge_rows(result(classes=2)) == [] and path_rows(result(classes=3)) == []
    assert [row["left"] for row in path_rows(result(classes=5))] == [4, 3, 2]


def test_schemes_lie_side_by_side_on_one_chart() -> None:
    chart = schemes_chart([result("easy", 2, 0), result("rich", 5, 6), result("worse", 5, 12)])
    assert chart is not None
    assert [(row[0], row[-1]) for row in chart.rows] == [("rich", "yes"), ("worse", ""), ("easy", "yes")]
    assert {name for *_, name in chart.names} == {"easy", "rich"}
    assert schemes_chart([result()]) is None


def test_a_map_keeps_clusters_apart_and_is_the_same_every_time() -> None:
    generator = np.random.default_rng(0)
    codes = np.arange(60) % 3
    vectors = generator.normal(size=(60, 64)).astype(np.float32) + 8 * np.eye(3, 64)[codes]
    places = project(vectors)
    assert places.shape == (60, 2) and places.dtype == np.float32
    assert places.min(axis=0).tolist() == [0, 0] and places.max(axis=0).tolist() == [1, 1]
    np.testing.assert_array_equal(places, project(vectors))
    shown = scheme_map_of(codes, places)
    assert min(one["agreement"] for one in shown["legend"]) > 0.95


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_a_map_of_few_images_is_their_main_axes(rows: int) -> None:
    vectors = np.random.default_rng(0).normal(size=(rows, 5)).astype(np.float32)
    places = project(vectors)
    assert places.shape == (rows, 2) and np.isfinite(places).all()


def test_a_map_of_equal_vectors_is_one_point() -> None:
    np.testing.assert_array_equal(project(np.ones((80, 6), np.float32)), np.full((80, 2), 0.5))


def scheme_map_of(codes: Any, places: Any) -> dict[str, Any]:
    one = SimpleNamespace(
        labels=Labels("kind", tuple(f"class {i}" for i in range(int(codes.max()) + 1)), codes),
        right=np.array([True, False]),
        test=np.array([0, 1]),
        predicted=np.array([0, 0]),
    )
    rows = np.arange(len(places))
    return scheme_map(one, VectorMap("Tiny", rows, places, "made so"), 0)  # type: ignore[arg-type]


def test_a_map_names_classes_by_how_many_images_they_have() -> None:
    codes = np.array([2, 2, 2, 1, 1, -1])
    shown = scheme_map_of(codes, np.random.default_rng(0).random((6, 2)).astype(np.float32))
    assert shown["names"] == ["class 2", "class 1"]
    assert np.frombuffer(base64.b64decode(shown["codes"]), "<u2").tolist() == [0, 0, 0, 1, 1, 0xFFFF]
    assert shown["wrong"] == {"1": "class 0"}
    assert (shown["shown"], shown["other_classes"]) == (5, 0)


def test_a_map_of_many_classes_colours_twenty() -> None:
    codes = np.arange(60) % 30
    shown = scheme_map_of(codes, np.random.default_rng(0).random((60, 2)).astype(np.float32))
    assert (len(shown["legend"]), shown["other_classes"], shown["others"]) == (20, 10, 20)


def test_points_carry_their_places_and_pictures() -> None:
    place = VectorMap("Tiny", np.array([4, 9]), np.array([[0, 1], [0.5, 0]], np.float32), "made so")
    data = map_data(place, {4: 0, 9: 1})
    assert np.frombuffer(base64.b64decode(data["places"]), "<u2").tolist() == [0, 65535, 32768, 0]
    assert np.frombuffer(base64.b64decode(data["tiles"]), "<u2").tolist() == [0, 1]


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


def test_maps_are_kept_in_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Store:
        path = tmp_path
        asked = 0

        def vectors(self, _space: str, images: pd.DataFrame) -> Any:
            self.asked += 1
            return np.random.default_rng(0).normal(size=(len(images), 8)).astype(np.float32)

    store: Any = Store()
    images = IMAGES.assign(hash=[f"{i:032x}" for i in range(N)])
    monkeypatch.setattr(vector_map, "banked", lambda *_: np.ones(N, bool))
    monkeypatch.setattr(vector_map, "_FEWEST", 1000)  # main axes are quicker than t-SNE
    compared: Any = SimpleNamespace(images=images)
    (first,) = vector_map.vector_maps(store, compared, [result()])
    (again,) = vector_map.vector_maps(store, compared, [result()])
    assert store.asked == 1
    np.testing.assert_array_equal(first.places, again.places)
    (kept,) = (tmp_path / "cache" / "maps").iterdir()
    kept.write_bytes(kept.read_bytes()[:-8] + b"\xff" * 8)
    (mended,) = vector_map.vector_maps(store, compared, [result()])
    assert store.asked == 2
    np.testing.assert_array_equal(first.places, mended.places)
    monkeypatch.setattr(vector_map, "MOST", 30)
    (sample,) = vector_map.vector_maps(store, compared, [result()])
    assert sample.rows.tolist() == list(range(30))  # those of the lowest hashes
