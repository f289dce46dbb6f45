"""The checkup finds engines that differ, fail, or take the whole process with them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from embedder import checkup
from embedder.checkup import CHECKS, EngineCheck, check_engines, run_checks
from embedder.errors import EngineError
from embedder.recipe import Recipe
from tests.conftest import FakeEngine, FakeEngines

Change = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], Change]:
    """Stands for the engines: what each does to the vectors, by engine and precision."""
    changes: dict[tuple[str, str], Change] = {}

    def open_engine(recipe: Recipe, engine: str, batch_size: int, threads: int) -> FakeEngine:
        fakes = FakeEngines()
        fakes.change = changes.get((engine, recipe.precision), lambda vectors: vectors)
        return fakes.open(
            Recipe(recipe.backbone, weights="none", image_size=recipe.image_size), engine, batch_size
        )

    monkeypatch.setattr(checkup, "open_engine", open_engine)
    return changes


def test_engines_that_agree_have_no_problem(engines: dict[tuple[str, str], Change]) -> None:
    engines["openvino", "bfloat16"] = lambda vectors: vectors * np.float32(1.001)
    found = list(check_engines())
    assert [(one.engine, one.precision) for one in found] == list(CHECKS)
    assert [one.problem for one in found] == [None] * 3
    assert [one.agreement for one in found] == pytest.approx([1.0] * 3)


def test_an_engine_that_differs_is_told_by_how_much(engines: dict[tuple[str, str], Change]) -> None:
    engines["openvino", "float32"] = lambda vectors: vectors[:, ::-1]
    engines["openvino", "bfloat16"] = lambda vectors: vectors * np.float32(np.nan)
    _, one, other = check_engines()
    assert one.agreement is not None
    assert one.agreement < 0.9999
    assert "do not agree with those of Keras" in str(one.problem)
    assert "expected 0.98" in str(other.problem)


def test_an_engine_that_fails_does_not_stop_the_others(engines: dict[tuple[str, str], Change]) -> None:
    def broken(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        raise ImportError("libfoo.so.1: cannot open\nmore")

    def unable(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        raise EngineError("this processor has no bfloat16 arithmetic.")

    engines["keras", "float32"] = broken
    engines["openvino", "bfloat16"] = unable
    first, second, third = check_engines()
    assert first.problem == "it failed: ImportError: libfoo.so.1: cannot open"
    assert (second.problem, second.agreement) == (None, 1.0)
    assert third.problem == "this processor has no bfloat16 arithmetic"


@pytest.mark.parametrize(
    ("end", "said"),
    [("kill -SEGV $$", "was ended by SIGSEGV"), ("echo so bad >&2; exit 3", "ended with status 3: so bad")],
)
def test_a_process_that_dies_leaves_what_it_had_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, said: str
) -> None:
    sound = EngineCheck("keras", "float32", "keras 3", 1.0, 0.5, None)
    (tmp_path / "line").write_text(json.dumps(asdict(sound)) + "\n")
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho A library greets.\ncat {tmp_path / 'line'}\n{end}\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    found = run_checks()
    assert found[0] == sound
    assert [(one.engine, one.precision, one.problem) for one in found[1:]] == [
        (*check, f"the process {said}") for check in CHECKS[1:]
    ]


@pytest.mark.keras
def test_the_engines_of_this_machine_agree() -> None:
    keras, openvino, _ = run_checks()
    assert keras.problem is None
    assert openvino.problem is None
    assert openvino.agreement == pytest.approx(1.0, abs=1e-5)
    assert "keras" in str(keras.description)
