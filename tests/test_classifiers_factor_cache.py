"""Factorizations are kept in the store's cache, used only if they are exactly right, and never needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from classifiers import RidgeHead
from classifiers import factor_cache as module
from classifiers.factor_cache import FactorCache, RememberedFactors
from classifiers.factorization import factorize
from classifiers.fitting import fit_together
from classifiers.gram import Gram

ROWS, DIM = 60, 8


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of rows that were factorized; small factorizations are kept too."""
    monkeypatch.setattr(module, "_WORTH_KEEPING", 0)
    made: list[int] = []

    def counting(X: Any, *rest: Any) -> Any:
        made.append(len(X))
        return factorize(X, *rest)

    monkeypatch.setattr(module, "factorize", counting)
    return made


def data(seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.uint8]]:
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(ROWS, DIM)).astype(np.float32)
    return X, generator.integers(0, 3, ROWS), generator.integers(0, 256, (ROWS, 16), dtype=np.uint8)


def fitted(cache: FactorCache, X: Any, y: Any, hashes: Any, space: str = "A-1", **options: Any) -> RidgeHead:
    head = RidgeHead(**options)
    fit_together([head], X, [y], cache.rows(space, hashes))
    return head


@pytest.mark.parametrize("intercept", [True, False])
def test_a_kept_factorization_gives_the_same_head(tmp_path: Path, made: list[int], intercept: bool) -> None:
    X, y, hashes = data()
    alone = RidgeHead(fit_intercept=intercept).fit(X, y)
    for cache in (FactorCache(tmp_path), FactorCache(tmp_path)):  # the second finds it on the disk
        for _ in range(2):
            head = fitted(cache, X, y, hashes, fit_intercept=intercept)
            np.testing.assert_array_equal(head.coef_, alone.coef_)
            assert head.alpha_ == alone.alpha_
    assert made == [ROWS]
    assert len(list(tmp_path.iterdir())) == 1


def test_the_hat_matrix_is_kept_too(tmp_path: Path, made: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, hashes = data()
    fitted(FactorCache(tmp_path), X, y, hashes)
    monkeypatch.setattr("classifiers.factorization.Factorization._gaps_of", None)
    fitted(FactorCache(tmp_path), X, (y + 1) % 3, hashes)


def test_other_rows_spaces_and_orders_have_their_own(tmp_path: Path, made: list[int]) -> None:
    X, y, hashes = data()
    cache = FactorCache(tmp_path)
    fitted(cache, X, y, hashes)
    fitted(cache, X, y, hashes, "A-2")
    fitted(cache, X[::-1], y[::-1], hashes[::-1])
    fitted(cache, X[:-1], y[:-1], hashes[:-1])
    fitted(cache, X, y, hashes, fit_intercept=False)
    assert made == [ROWS, ROWS, ROWS, ROWS - 1, ROWS]


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_entry_is_made_anew(tmp_path: Path, made: list[int], damage: str) -> None:
    X, y, hashes = data()
    right = fitted(FactorCache(tmp_path), X, y, hashes)
    (path,) = tmp_path.iterdir()
    old = path.read_bytes()
    new = {"flip": old[:900] + bytes([old[900] ^ 1]) + old[901:], "cut": old[:-9], "empty": b""}[damage]
    path.write_bytes(new)
    head = fitted(FactorCache(tmp_path), X, y, hashes)
    np.testing.assert_array_equal(head.coef_, right.coef_)
    assert made == [ROWS, ROWS]
    fitted(FactorCache(tmp_path), X, y, hashes)
    assert made == [ROWS, ROWS]


def test_the_oldest_go_when_there_is_no_room(tmp_path: Path, made: list[int]) -> None:
    X, y, hashes = data()
    cache = FactorCache(tmp_path)
    fitted(cache, X, y, hashes)
    (first,) = tmp_path.iterdir()
    cache.largest = 2 * first.stat().st_size
    for space in ("A-2", "A-3", "A-4"):
        fitted(cache, X, y, hashes, space)
    assert len(list(tmp_path.iterdir())) == 2
    assert not first.exists()


def test_a_store_that_cannot_be_written_does_without(tmp_path: Path, made: list[int]) -> None:
    X, y, hashes = data()
    (tmp_path / "file").write_text("no directory")
    fitted(FactorCache(tmp_path / "file" / "factorizations"), X, y, hashes)


@pytest.mark.parametrize("shift", [0.0, 30.0])
def test_a_fold_by_subtraction(shift: float) -> None:
    generator = np.random.default_rng(0)
    X = generator.normal(size=(200, 12)) @ generator.normal(size=(12, 12)) + shift
    fold = np.arange(200) % 5 == 0
    less, anew = Gram.of(X).without(X[fold]), Gram.of(X[~fold])
    np.testing.assert_allclose(less.mean, anew.mean, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(less.inner, anew.inner, atol=1e-9 * np.abs(anew.inner).max())
    values = factorize(X[~fold], gram=less).values
    np.testing.assert_allclose(values, factorize(X[~fold]).values, rtol=1e-9)


def test_factorizations_in_memory_alone_are_forgotten_in_the_order_of_their_use(made: list[int]) -> None:
    cache = RememberedFactors(largest=2 * DIM * DIM * 8)
    (X, y, first), (_, _, second), (_, _, third) = data(0), data(1), data(2)
    alone = RidgeHead().fit(X, y)
    for hashes in (first, second, first):
        head = fitted(cache, X, y, hashes)
        np.testing.assert_array_equal(head.coef_, alone.coef_)
    assert made == [ROWS] * 2
    fitted(cache, X, y, third)  # there is room for two: the second goes
    fitted(cache, X, y, first)
    assert made == [ROWS] * 3
    fitted(cache, X, y, second)
    assert made == [ROWS] * 4
    assert not cache.directory.name
