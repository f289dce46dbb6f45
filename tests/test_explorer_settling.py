"""Figures that are there at once are replaced by final ones, whatever is done meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from classifiers.live import LiveFit, LiveResult
from tests.explorers import Explorer, bank, explorer
from tests.test_explorer_server import same_figures

Codes = NDArray[np.intp]


@pytest.fixture(autouse=True)
def nothing_is_cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("classifiers.live.fit._AT_ONCE", 0)


@pytest.fixture
def at(tmp_path: Path) -> Explorer:
    return explorer(bank(tmp_path / "pets.embank"))


@dataclass(frozen=True)
class Held:
    """Final figures are begun, and come when `go` is set."""

    begun: Event
    go: Event


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch, at: Explorer) -> Iterator[Held]:
    found, solve = Held(Event(), Event()), LiveFit.solve

    def later(fit: LiveFit, codes: Codes, classes: int) -> LiveResult:
        if threading.current_thread().name == "settle":
            found.begun.set()
            assert found.go.wait(30)
        return solve(fit, codes, classes)

    monkeypatch.setattr(LiveFit, "solve", later)
    yield found
    found.go.set()
    at.session.wait()


def labels(at: Explorer) -> list[str | None]:
    return list(at.session.shown.step.live.names)


def finals(at: Explorer) -> dict[str, Any]:
    at.session.wait()
    state: dict[str, Any] = at.get("state")
    assert not state["settling"]
    return state


def test_a_dropped_class_has_figures_at_once_and_then_final_ones(at: Explorer, held: Held) -> None:
    before = at.get("state")
    assert not before["settling"]
    first = at.post("drop", **{"class": 1})
    assert first["settling"] and first["figures"]["n"] == 75 and first["milliseconds"] > 0
    assert first["figures"]["accuracy"] == pytest.approx(before["figures"]["accuracy"], abs=0.15)
    assert at.get("state")["settling"]
    held.go.set()
    final = finals(at)
    assert final["revision"] == first["revision"] and final["milliseconds"] == first["milliseconds"]
    same_figures(final["figures"], at.session.collection.store, labels(at))
    told = final["previous"]
    both = at.session.shown
    assert both.before is not None and both.before.result is not None and both.step.result is not None
    judged = both.before.result.judged & both.step.result.judged
    differ = both.step.result.right[judged].mean() - both.before.result.right[judged].mean()
    assert told["difference"] == pytest.approx(differ)
    assert at.get("growth")["curve"][-1]["accuracy"] == final["figures"]["accuracy"]


def test_edits_go_on_while_figures_settle(at: Explorer, held: Held) -> None:
    at.post("drop", **{"class": 1})
    merged = at.post("merge", classes=[0, 1], name="pets")
    assert merged["settling"] and merged["figures"]["n"] == 75
    undone = at.post("undo")
    at.post("undo")
    again = at.post("redo")
    assert undone["settling"] and again["settling"]
    at.post("redo")
    held.go.set()
    final = finals(at)
    assert [one["name"] for one in final["classes"]] == ["pets", "dog"]
    same_figures(final["figures"], at.session.collection.store, labels(at))
    at.post("undo")
    same_figures(finals(at)["figures"], at.session.collection.store, labels(at))


def test_final_figures_that_come_late_are_those_that_the_next_edit_is_compared_with(
    at: Explorer, held: Held
) -> None:
    at.post("drop", **{"class": 1})
    assert held.begun.wait(30)
    at.post("drop", **{"class": 1})
    first = at.session.shown.before
    assert first is not None and first.result is not None and not first.result.settled
    held.go.set()
    finals(at)
    before = at.session.shown.before
    assert before is not None and before.result is not None and before.result.settled


def test_figures_that_cannot_be_found_leave_those_that_are_there(
    at: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(fit: LiveFit, codes: Codes, classes: int) -> LiveResult:
        raise MemoryError

    solve = LiveFit.solve
    monkeypatch.setattr(LiveFit, "solve", fails)
    monkeypatch.setattr("threading.excepthook", lambda told: None)
    at.post("drop", **{"class": 1})
    state = finals(at)
    assert state["figures"]["n"] == 75
    monkeypatch.setattr(LiveFit, "solve", solve)
    at.post("drop", **{"class": 1})
    same_figures(finals(at)["figures"], at.session.collection.store, labels(at))


def test_closing_waits_for_what_is_computed_and_begins_no_more(at: Explorer, held: Held) -> None:
    at.post("drop", **{"class": 1})
    assert held.begun.wait(30)
    at.post("merge", classes=[0, 1], name="pets")
    closing = threading.Thread(target=at.session.close)
    closing.start()
    closing.join(0.2)
    assert closing.is_alive()
    held.go.set()
    closing.join(30)
    assert not closing.is_alive()
    assert not any(thread.name == "settle" for thread in threading.enumerate())
    assert not at.session.shown.settled
