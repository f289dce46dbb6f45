"""Stage times: work and waiting are counted apart, and a job says what limited it."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from embedder.job import embed
from embedder.recipe import Recipe
from embedder.settings import JobSettings
from embedder.stage_times import STAGES, StageTimes
from tests.conftest import FakeEngines


def test_what_was_waited_for_most_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = map(float, count())
    monkeypatch.setattr("embedder.stage_times.time.perf_counter", lambda: next(seconds))
    times = StageTimes()
    for _ in range(5):
        with times.working("decode"):
            pass
    with times.waiting("decode"):
        pass
    with pytest.raises(ValueError, match="no"), times.waiting("infer"), times.waiting("infer"):
        raise ValueError("no")
    assert times.worked == {"read": 0, "decode": 5, "infer": 0, "write": 0}
    assert times.waited == {"read": 0, "decode": 1, "infer": 4, "write": 0}
    assert times.limit == "infer"
    assert times.to_dict()["decode"] == {"worked": 5.0, "waited": 1.0}


def test_a_job_reports_its_stages(photos: Path, tmp_path: Path, fake_engine: FakeEngines) -> None:
    recipe = Recipe("MobileNetV2", weights="none", image_size=32)
    report = embed(photos, tmp_path / "bank.embank", recipe, settings=JobSettings(workers=1))
    assert tuple(report.stages) == STAGES
    assert sum(times["worked"] for times in report.stages.values()) > 0
    assert report.limited_by in STAGES
    idle = embed(photos, tmp_path / "bank.embank", recipe)
    assert (idle.stages, idle.limited_by) == ({}, None)
