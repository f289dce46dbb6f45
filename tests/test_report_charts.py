"""The charts of a report: axes and paths, calibration, learning curves, schemes side by side."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from classifiers.labels import Labels
from classifiers.report import charts
from classifiers.report.calibration import reliability
from classifiers.report.learning import epochs, few_shot
from classifiers.report.regroupings import schemes_chart
from tests.made_results import small_result


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


def test_calibration_counts_what_is_right_at_each_confidence() -> None:
    chart = reliability(small_result(wrong=6))
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


def test_schemes_lie_side_by_side_on_one_chart() -> None:
    chart = schemes_chart(
        [small_result("easy", 2, 0), small_result("rich", 5, 6), small_result("worse", 5, 12)]
    )
    assert chart is not None
    assert [(row[0], row[-1]) for row in chart.rows] == [("rich", "yes"), ("worse", ""), ("easy", "yes")]
    assert {name for *_, name in chart.names} == {"easy", "rich"}
    assert schemes_chart([small_result()]) is None
