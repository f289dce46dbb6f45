"""The cost model: its arithmetic, and that docs/scale.md says what it says."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from embedder.backbones import BACKBONES
from embedder.cost_model import (
    EPYC,
    EXAMPLE_PRICES,
    MULTIPLY_ADDS,
    XEON,
    Fleet,
    Prices,
    Work,
    estimate,
    infer_seconds,
)
from embedder.cost_tables import TABLES

DOCUMENT = Path(__file__).parents[1] / "docs" / "scale.md"


@pytest.mark.parametrize("name", TABLES)
def test_the_document_has_the_tables_of_the_model(name: str) -> None:
    expected = f"<!-- {name} -->\n{TABLES[name]()}\n"
    assert expected in DOCUMENT.read_text(), (
        "python -m embedder.cost_tables prints what docs/scale.md should have"
    )


def test_every_figure_is_of_a_backbone_that_there_is() -> None:
    assert set(MULTIPLY_ADDS) <= set(BACKBONES)
    assert {name for reference in (EPYC, XEON) for name, _ in reference.infer} <= set(MULTIPLY_ADDS)


def test_measured_figures_are_taken_as_they_are_and_others_scaled() -> None:
    expected = {
        ("ResNet50", None): (71.71e-3, False),
        ("VGG16", None): (71.71e-3 * 15.5 / 3.8, True),
        ("ResNet50", 448): (4 * 71.71e-3, False),
    }
    for (backbone, size), (seconds, scaled) in expected.items():
        found = infer_seconds(backbone, "float32", image_size=size)
        assert found is not None and found[0] == pytest.approx(seconds) and found[1] is scaled
    assert infer_seconds("EfficientNetV2B3", "float32") is None
    assert infer_seconds("my.keras", "float32") is None


def test_a_fleet_divides_the_time_and_not_the_work() -> None:
    one = estimate(Work(10**6), Fleet(1, 2))
    many = estimate(Work(10**6), Fleet(50, 16))
    assert many.hours == pytest.approx(one.hours / 400)
    assert many.core_hours == pytest.approx(one.core_hours)
    per_core = 0.9 / (71.71e-3 + EPYC.decode + EPYC.rest)
    assert one.images_per_second == pytest.approx(2 * per_core)
    assert one.hours == pytest.approx(10**6 / (2 * per_core) / 3600)


def test_bytes_are_those_of_rows() -> None:
    half = estimate(Work(10**6))
    single = estimate(Work(10**6, dtype="float32"))
    assert single.vector_bytes - half.vector_bytes == 10**6 * 2048 * 2
    assert (half.parts, half.reads) == (245, 10**6)
    assert estimate(Work(10**6, views=3)).parts == 733


def test_decoding_bounds_gpus() -> None:
    work = Work(10**6, precision="bfloat16")
    few = estimate(work, Fleet(1, 2, "T4", 4))
    assert few.images_per_second == pytest.approx(2 * 0.9 / (EPYC.decode + EPYC.rest))
    assert few.estimated
    many = estimate(work, Fleet(1, 64, "T4", 1))
    assert many.images_per_second == 1198.0
    assert many.gpu_hours == pytest.approx(10**6 / 1198 / 3600)


def test_money_is_known_only_where_prices_are() -> None:
    nothing = estimate(Work(10**6))
    assert (nothing.compute, nothing.requests, nothing.storage) == (None, None, None)
    cores = estimate(Work(10**6), prices=Prices(core_hour=2.0))
    assert cores.compute == pytest.approx(2 * cores.core_hours)
    assert cores.requests is None
    with_gpu = Fleet(1, 16, "T4", 1)
    assert estimate(Work(10**6), with_gpu, Prices(core_hour=2.0)).compute is None
    free = dataclasses.replace(EXAMPLE_PRICES, core_hour=0.0)
    found = estimate(Work(10**6), prices=free)
    assert found.compute == 0 and found.storage == pytest.approx(
        (found.vector_bytes + found.other_bytes) / 1e9 * 0.023
    )


def test_what_has_no_figure_is_said() -> None:
    with pytest.raises(ValueError, match="no figure for EfficientNetV2B3"):
        estimate(Work(10, "EfficientNetV2B3"))
    with pytest.raises(ValueError, match="no figure for the GPU H900"):
        estimate(Work(10), Fleet(1, 2, "H900", 1))
