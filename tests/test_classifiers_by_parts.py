"""Ridges by parts: every runner gives the same bits, which are those of vectors in memory up to rounding."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from classifiers import HeadError, RidgeHead, Scheme, run_comparison
from classifiers.banked_rows import fit_ridge_on_store
from classifiers.by_parts import (
    PartedRidges,
    ProcessRunner,
    RayRunner,
    Runner,
    ThreadRunner,
    runner_of,
    shares_of,
)
from classifiers.by_parts.sums import add_upper_product
from classifiers.curves import learning_curves
from classifiers.gram import Gram
from classifiers.space_rows import SpaceRows
from store import FeatureStore, StoreWriter
from store.part import PartRows
from store.recipes import space_id
from tests.small_banks import small_bank, told_apart

RECIPE = {"backbone": "Large", "dtype": "float16"}
DIM, PART, PARTS = 12, 70, 5
ROWS = PART * PARTS


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """350 vectors with a mean far from 0, in five parts; the last row of each part is the first of the next."""
    generator = np.random.default_rng(0)
    hashes = generator.integers(0, 256, (ROWS, 16), dtype=np.uint8)
    X = (generator.normal(size=(ROWS, DIM)) + 5).astype(np.float16)
    for part in range(1, PARTS):
        hashes[part * PART], X[part * PART] = hashes[part * PART - 1], X[part * PART - 1]
    path = tmp_path_factory.mktemp("parts") / "large.embank"
    writer = StoreWriter(path)
    for start in range(0, ROWS, PART):
        rows = slice(start, start + PART)
        keys = [f"{n}.jpg" for n in range(start, start + PART)]
        writer.commit_part(
            RECIPE, PartRows(hashes[rows], np.zeros(PART, np.int16), X[rows], keys, ["s"] * PART)
        )
    return FeatureStore(path)


@pytest.fixture(params=["threads", "one thread", "processes", "ray"])
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    """Each kind of runner."""
    if request.param == "ray":
        pytest.importorskip("ray", reason="Ray is not installed: pip install 'embank[ray]'")
    made: dict[str, Any] = {
        "threads": lambda: ThreadRunner(3),
        "one thread": lambda: ThreadRunner(1),
        "processes": lambda: ProcessRunner(2),
        "ray": lambda: RayRunner(2),
    }
    with made[request.param]() as one:
        yield one


def test_a_runner_keeps_the_order_and_passes_errors_on(runner: Runner) -> None:
    assert list(runner.map(_slower_first, 10, range(6))) == [10, 11, 12, 13, 14, 15]
    assert list(runner.map(_slower_first, 20, [])) == []
    assert list(runner.map(_slower_first, 30, range(2))) == [30, 31], (
        "what is common to the tasks is that of this call"
    )
    with pytest.raises(HeadError, match="task 3"):
        list(runner.map(_failing, None, range(6)))


def test_a_worker_that_dies_is_said_and_another_call_starts_anew() -> None:
    with ProcessRunner(1) as runner:
        with pytest.raises(HeadError, match="a worker process was ended"):
            list(runner.map(_dying, None, [1]))
        assert list(runner.map(_slower_first, 10, [4])) == [14]


def test_every_runner_gives_the_same_bits(
    store: FeatureStore, runner: Runner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("classifiers.by_parts.ridge.shares_of", _small_shares)
    found = _fitted(store, runner)
    expected = _fitted(store, ThreadRunner(2))
    for (head, predicted), (other, theirs) in zip(found, expected, strict=True):
        for name in ("coef_", "intercept_", "errors_", "temperature_", "alphas_"):
            assert np.asarray(getattr(head, name)).tobytes() == np.asarray(getattr(other, name)).tobytes()
        np.testing.assert_array_equal(predicted, theirs)


def test_rows_that_two_parts_hold_count_once(store: FeatureStore) -> None:
    hashes, rows = store.space("Large").banked()
    assert len(rows) == ROWS - PARTS + 1 == len({one.tobytes() for one in hashes})
    np.testing.assert_array_equal(store.space("Large").find(hashes), rows)


def test_a_gram_matrix_by_parts_is_that_of_all_rows(store: FeatureStore) -> None:
    space = store.space("Large")
    _, rows = space.banked()
    X = SpaceRows(space, rows)
    found, expected = PartedRidges(X, ThreadRunner(2)).gram(), Gram.of(X[:].astype(np.float64))
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-6)
    np.testing.assert_allclose(found.inner, expected.inner, atol=1e-5 * np.trace(expected.inner))
    some = np.arange(len(rows)) % 3 == 0
    fold = found.less(PartedRidges(SpaceRows(space, rows[some]), ThreadRunner(2)).gram())
    rest = Gram.of(X[:][~some].astype(np.float64))
    assert fold.rows == rest.rows
    np.testing.assert_allclose(fold.mean, rest.mean, rtol=1e-6)
    np.testing.assert_allclose(fold.inner, rest.inner, atol=1e-5 * np.trace(rest.inner))


def test_without_an_intercept(store: FeatureStore) -> None:
    X = _vectors(store)
    y = X[:, 0] > X[:, 1]
    (found,) = fit_ridge_on_store(store, "Large", None, [y], fit_intercept=False)
    head = RidgeHead(fit_intercept=False).fit(X, y)
    assert found.head.alpha_ == pytest.approx(head.alpha_, rel=1e-5)
    np.testing.assert_allclose(found.head.coef_, head.coef_, atol=1e-4)  # sums around 0, far from the mean
    assert not found.head.intercept_.any()


@settings(deadline=None)
@given(st.integers(1, 40), st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=60, unique=True))
def test_shares_hold_each_row_once_in_order(store: FeatureStore, most: int, chosen: list[int]) -> None:
    space, rows = store.space("Large"), np.sort(np.array(chosen))
    shares = shares_of(space, rows, most)
    assert [share.rows.start for share in shares] == [0, *(share.rows.stop for share in shares[:-1])]
    assert shares[-1].rows.stop == len(rows)
    assert all(share.rows.stop - share.rows.start <= most for share in shares)
    out = np.empty((len(rows), DIM), np.float32)
    space.read(rows, out)
    read = [(share.rows.start + at.start, block.copy()) for share in shares for at, block in share.blocks(7)]
    np.testing.assert_array_equal(np.concatenate([block for _, block in read]), out)
    assert [start for start, _ in read] == np.cumsum([0, *(len(block) for _, block in read)])[:-1].tolist()


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 1300))
def test_the_upper_product_is_the_product(dim: int) -> None:
    x = np.random.default_rng(dim).integers(-3, 4, (5, dim)).astype(np.float32)
    inner = np.zeros((dim, dim))
    add_upper_product(x, inner)
    np.testing.assert_array_equal(np.triu(inner), np.triu(x.T @ x))


def test_a_streamed_curve_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    X, codes = told_apart(3, 80, 12)
    bank = small_bank(tmp_path / "b.embank", [f"c{code}/{i}.jpg" for i, code in enumerate(codes)], [X])
    schemes = {"folder": Scheme("folder", "folder")}
    (known,), _, _ = learning_curves(bank, schemes, draws=2)
    monkeypatch.setattr("classifiers.curves.banked_curves.fits_in_memory", lambda *_: False)
    monkeypatch.setattr(import_module("classifiers.curves.few_shot"), "_TESTED_AT_ONCE", 7)
    (found,), _, _ = learning_curves(bank, schemes, draws=2)
    np.testing.assert_array_equal(found.sizes, known.sizes)
    np.testing.assert_allclose(found.accuracy, known.accuracy, atol=1.5 / known.n_test)
    with pytest.raises(HeadError, match="only ridge heads"):
        learning_curves(bank, schemes, head="logistic", draws=2)


def test_processes_make_the_board_of_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    X, codes = told_apart(3, 80, 12)
    bank = small_bank(tmp_path / "b.embank", [f"c{code}/{i}.jpg" for i, code in enumerate(codes)], [X])
    monkeypatch.setattr("classifiers.runs.fits_in_memory", lambda *_: False)
    said: list[str] = []

    def board(runner: Runner | None) -> Any:
        # A factorization that is kept would be read, not made.
        monkeypatch.setattr("classifiers.factor_cache.FactorCache.load", lambda *_: None)
        tell = lambda done, total, what: said.append(what)  # noqa: E731
        found = run_comparison(bank, None, ["ridge"], cv=3, quick=True, progress=tell, runner=runner)
        return [one.probabilities for one in found.results]

    with ProcessRunner(2) as runner:
        np.testing.assert_array_equal(board(runner), board(None))
    for what in ("Gram matrix: ", "products with labels: ", "leaving out each row: "):
        assert any(one.startswith(f"ridge on folder: {what}") and one.endswith(" left") for one in said)


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    vectors = np.ones((40, 4), np.float16)
    hashes = np.random.default_rng(0).integers(0, 256, (40, 16), dtype=np.uint8)
    writer = StoreWriter(tmp_path / "s.embank")
    writer.commit_part(RECIPE, PartRows(hashes, np.zeros(40, np.int16), vectors, [""] * 40, [""] * 40))
    (part,) = FeatureStore(writer.path).space("Large").parts
    with part.path.open("r+b") as file:
        file.seek(part.vectors_at + 2 * (33 * 4 + 2))
        file.write(np.float16(np.nan).tobytes())
    with pytest.raises(HeadError, match="NaN or infinity"):
        fit_ridge_on_store(FeatureStore(writer.path), "Large", None, [np.arange(40) % 2])


def test_what_runners_there_are() -> None:
    assert isinstance(runner_of(), ThreadRunner)
    assert isinstance(runner_of(3), ProcessRunner)
    with pytest.raises(HeadError, match="no runner 'spark'"):
        runner_of(runner="spark")
    with pytest.raises(HeadError, match="goes with the runner ray"):
        runner_of(address="auto")
    with pytest.raises(HeadError, match="1 or more"):
        runner_of(0)


def test_strengths_are_chosen_by_some_rows_where_there_are_many(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    X = _vectors(store)
    y = X[:, 0] > X[:, 1]
    (every,) = fit_ridge_on_store(store, "Large", None, [y])
    (same,) = fit_ridge_on_store(store, "Large", None, [y], leave_out=False)
    np.testing.assert_array_equal(same.head.errors_, every.head.errors_)
    assert np.isnan(same.accuracy) and not len(same.predicted)
    monkeypatch.setattr("classifiers.by_parts.ridge.CHOSEN_BY", 100)
    (some,) = fit_ridge_on_store(store, "Large", None, [y], leave_out=False)
    assert not np.array_equal(some.head.errors_, every.head.errors_)
    np.testing.assert_allclose(some.head.errors_, every.head.errors_, rtol=0.4)
    fixed = RidgeHead(alpha=some.head.alpha_).fit(X, y)
    np.testing.assert_allclose(some.head.coef_, fixed.coef_, atol=1e-5)


def _vectors(store: FeatureStore) -> NDArray[np.float32]:
    _, rows = store.space("Large").banked()
    return SpaceRows(store.space("Large"), rows)[:]


def _small_shares(space: Any, rows: Any) -> Any:
    return shares_of(space, rows, 60)


def _fitted(store: FeatureStore, runner: Runner) -> list[tuple[RidgeHead, NDArray[Any]]]:
    shutil.rmtree(store.path / "cache", ignore_errors=True)  # a factorization that is kept would not be made
    X = _vectors(store)
    three, several = X[:, :3].argmax(axis=1), X[:, 4:8] > 5
    found = fit_ridge_on_store(store, "Large", None, [three, several], runner=runner)
    assert space_id(RECIPE) == found[0].head.space_
    return [(one.head, one.predicted) for one in found]


def _slower_first(common: int, task: int) -> int:
    time.sleep(0.05 * max(0, 3 - task))
    return common + task


def _dying(common: None, task: int) -> None:
    os._exit(task)


def _failing(common: None, task: int) -> int:
    if task == 3:
        raise HeadError(f"task {task} cannot be done.")
    return task
