"""What is shown at once of other images is what a ridge of the same strength says of them, and is then put right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from classifiers.factorization import factorize
from classifiers.leave_one_out import left_out
from classifiers.live import LiveFit
from classifiers.live.result import LiveResult
from classifiers.ridge import RidgeHead
from classifiers.signs import Signs
from tests.test_classifiers_live import Codes, bank

DIM = 24


@pytest.fixture(autouse=True)
def nothing_is_cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small problems are solved outright otherwise."""
    monkeypatch.setattr("classifiers.live.fit._AT_ONCE", 0)


def opened(path: Path, rows: int, classes: int = 4) -> tuple[LiveFit, Codes]:
    store, codes = bank(path, rows, DIM, classes)
    return LiveFit(store, next(iter(store.spaces)), store.images()), codes


def scores_at(live: LiveFit, codes: Codes, strength: float) -> NDArray[np.float64]:
    """Scores (n, t) of a ridge of this strength on the labelled images, each left out, and of the others by it."""
    labelled = codes >= 0
    present, own = np.unique(codes[labelled], return_inverse=True)
    X = live.vectors[labelled]
    head = RidgeHead(alpha=strength).fit(X, own)
    scores = np.asarray(head.decision_function(live.vectors), np.float64).reshape(len(codes), -1)
    factor, targets = factorize(X), Signs.of([own], [len(present)])
    means = factor.means(targets)
    strengths = np.full(targets.width, strength)
    blocks = left_out(factor, targets, means, factor.project(targets, means), strengths, np.arange(len(X)))
    scores[labelled] = np.concatenate(list(blocks))
    return scores


def same_scores(live: LiveFit, found: LiveResult, codes: Codes, tolerance: float = 2e-3) -> None:
    """Up to the temperature, which is fitted to them."""
    expected = scores_at(live, codes, found.strength)
    present = np.unique(codes[codes >= 0])
    own = found.scores[:, present].astype(np.float64)
    if len(present) == 2:
        own = (own[:, 1] - own[:, 0])[:, None]
    temperature = (own * expected).sum() / (expected**2).sum()
    assert temperature > 0
    assert own / temperature == pytest.approx(expected, abs=tolerance)
    absent = np.setdiff1d(np.arange(found.scores.shape[1]), present)
    assert (found.scores[:, absent] == -np.inf).all()


@pytest.mark.parametrize("rows", [120, 20], ids=["more rows than dimensions", "fewer"])
def test_a_class_dropped_and_brought_back(tmp_path: Path, rows: int) -> None:
    live, codes = opened(tmp_path / "live.embank", rows)
    dropped = np.where(codes == 2, -1, codes)
    strength = live.solve(codes, 4).strength
    found = live.at_once(dropped, 4)
    assert not found.settled
    assert found.strength == strength
    assert found.n == (dropped >= 0).sum()
    same_scores(live, found, dropped)
    other, _ = opened(tmp_path / "other.embank", rows)  # knows only the images that are left
    other.solve(dropped, 4)
    back = other.at_once(codes, 4)
    assert not back.settled
    same_scores(other, back, codes)


@pytest.mark.parametrize("rows", [120, 32], ids=["more rows than dimensions", "fewer"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_images_may_come_go_and_change(
    tmp_path_factory: pytest.TempPathFactory, rows: int, data: st.DataObject
) -> None:
    live, codes = opened(tmp_path_factory.mktemp("bank") / "live.embank", rows)
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    first, then = codes.copy(), codes.copy()
    first[rng.permutation(rows)[: data.draw(st.integers(0, 8))]] = -1
    then[rng.permutation(rows)[: data.draw(st.integers(0, 8))]] = -1
    moved = rng.permutation(rows)[: data.draw(st.integers(0, 8))]
    then[moved] = rng.integers(0, 4, len(moved))
    if data.draw(st.booleans()):
        then = np.minimum(then, 1)  # one column for two classes
    live.solve(first, 4)
    same_scores(live, live.at_once(then, 4), then)


def test_of_many_changed_images_only_leverages_are_estimated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, codes = opened(tmp_path / "live.embank", 600)
    dropped = np.where(codes == 2, -1, codes)
    live.solve(codes, 4)
    estimated = live.at_once(dropped, 4)
    monkeypatch.setattr("classifiers.live.changed_rows._DIRECTIONS", 600)
    exact = live.at_once(dropped, 4)
    same_scores(live, exact, dropped)
    assert (estimated.predicted != exact.predicted).mean() < 0.01
    assert estimated.confidence == pytest.approx(exact.confidence, abs=0.05)
    assert (estimated.confidence != exact.confidence).any()


def test_what_is_solved_is_settled_and_what_is_cheap_is_solved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, codes = opened(tmp_path / "live.embank", 120)
    dropped = np.where(codes == 2, -1, codes)
    assert live.at_once(codes, 4).settled  # nothing is known yet
    merged = np.minimum(codes, 2)
    found = live.at_once(merged, 3)
    assert not found.settled
    same_scores(live, found, merged)
    assert not live.at_once(dropped, 4).settled
    final = live.solve(dropped, 4)
    again = live.at_once(dropped, 4)
    assert final.settled and again.settled
    assert (again.scores == final.scores).all()
    monkeypatch.setattr("classifiers.live.fit._AT_ONCE", 1 << 30)
    assert live.at_once(np.where(codes == 3, -1, codes), 4).settled


def test_quite_other_images_are_solved(tmp_path: Path) -> None:
    live, codes = opened(tmp_path / "live.embank", 120)
    half = np.arange(len(codes)) % 2 == 0
    live.solve(np.where(half, codes, -1), 4)
    assert live.at_once(np.where(half, -1, codes), 4).settled


def test_where_rounding_is_too_much_it_is_solved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(matrix: object) -> object:
        raise np.linalg.LinAlgError("not positive definite")

    live, codes = opened(tmp_path / "live.embank", 120)
    live.solve(codes, 4)
    monkeypatch.setattr("classifiers.live.changed_rows.np.linalg.cholesky", fails)
    assert live.at_once(np.where(codes == 2, -1, codes), 4).settled
