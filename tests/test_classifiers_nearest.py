"""Nearest vectors: what a float64 brute force finds, whatever stands in a vector."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from classifiers import nearest as nearest_module
from classifiers.errors import SearchError
from classifiers.nearest import nearest


def brute(
    X: NDArray[Any], queries: NDArray[Any], k: int, exclude_self: bool = False
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """All similarities in extended precision, sorted by their float32 form and then by row."""

    def units(some: NDArray[Any]) -> NDArray[Any]:
        wide = some.astype(np.longdouble)
        lengths = np.sqrt((wide**2).sum(axis=1, keepdims=True))
        return wide / np.where(lengths > 0, lengths, 1)

    similar = np.clip((units(queries) @ units(X).T).astype(np.float32), -1, 1)
    if exclude_self:
        np.fill_diagonal(similar, -np.inf)
    rows = np.argsort(-similar, axis=1, kind="stable")[:, :k]
    return rows, np.take_along_axis(similar, rows, axis=1)


def check(X: NDArray[Any], queries: NDArray[Any], k: int, exclude_self: bool = False) -> None:
    rows, similar = nearest(X, queries, k, exclude_self=exclude_self)
    expected_rows, expected = brute(X, queries, k, exclude_self)
    assert rows.dtype == np.intp
    assert similar.dtype == np.float32
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_allclose(similar, expected, atol=1e-7)


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest_module, "_BLOCK", 64)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("k", [1, 5, 700])
def test_it_finds_what_a_brute_force_in_extended_precision_finds(k: int, dtype: type[Any]) -> None:
    rng = np.random.default_rng(0)
    X = np.maximum(rng.standard_normal((700, 40)), 0).astype(dtype)
    check(X, rng.standard_normal((130, 40)).astype(np.float32), k)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    rows=st.integers(2, 300),
    dim=st.integers(1, 6),
    levels=st.integers(1, 3),
    exclude_self=st.booleans(),
    data=st.data(),
)
def test_crowds_of_equal_rows_stand_in_their_order(
    seed: int, rows: int, dim: int, levels: int, exclude_self: bool, data: st.DataObject
) -> None:
    """Vectors of few whole numbers: many rows are the same, or the same but for their length, or zeros."""
    rng = np.random.default_rng(seed)
    X = rng.integers(-levels, levels + 1, (rows, dim)).astype(np.float32)
    k = data.draw(st.integers(1, rows - exclude_self))
    found, similar = nearest(X, X, k, exclude_self=exclude_self)
    expected, of_expected = brute(X, X, k, exclude_self)
    np.testing.assert_allclose(similar, of_expected, atol=1e-7)
    assert all(len(set(row)) == k for row in found.tolist())
    if exclude_self:
        assert not (found == np.arange(rows)[:, None]).any()
    equal = similar[:, 1:] == similar[:, :-1]
    assert (found[:, 1:] > found[:, :-1])[equal].all()
    same = (X[expected] == X[found]).all(
        axis=2
    )  # a tie of the brute force may fall on another side of a float32
    assert (same | (np.abs(similar - of_expected) <= 1e-7)).all()


def test_candidates_that_float32_cannot_tell_apart_are_told_apart() -> None:
    """Two dimensions, angles a hundred-thousandth apart: no slack of sixteen candidates is enough."""
    angles = np.random.default_rng(3).permutation(2000) * 3e-4
    X = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    rows, _ = nearest(X, np.array([[np.cos(0.3), np.sin(0.3)]]), 1)
    assert rows[0, 0] == brute(X, np.array([[np.cos(0.3), np.sin(0.3)]]), 1)[0][0, 0]
    check(X, X[:5], 40)


def test_zeros_are_similar_to_nothing_and_lengths_do_not_matter() -> None:
    X = np.array([[0, 0], [1e30, 1e30], [1e-40, 0], [-2, 0], [3e38, 3e38]], np.float32)
    rows, similar = nearest(X, np.array([[5, 0], [0, 0]], np.float32), 5)
    assert rows.tolist() == [[2, 1, 4, 0, 3], [0, 1, 2, 3, 4]]
    np.testing.assert_allclose(similar, [[1, 0.5**0.5, 0.5**0.5, 0, -1], [0, 0, 0, 0, 0]], atol=1e-7)


def test_rows_may_be_read_a_block_at_a_time() -> None:
    class Rows:
        """Counts what is read of a matrix."""

        def __init__(self, matrix: NDArray[np.float32]) -> None:
            self.matrix, self.shape, self.dtype = matrix, matrix.shape, matrix.dtype
            self.most, self.taken = 0, 0

        def __len__(self) -> int:
            return len(self.matrix)

        def __getitem__(self, rows: Any) -> NDArray[np.float32]:
            block: NDArray[np.float32] = self.matrix[rows]
            self.most, self.taken = max(self.most, len(block)), self.taken + len(block)
            return block

    matrix = np.random.default_rng(1).standard_normal((1000, 20)).astype(np.float32)
    rows = Rows(matrix)
    found, _ = nearest(rows, matrix[:3], 4)
    np.testing.assert_array_equal(found, brute(matrix, matrix[:3], 4)[0])
    assert rows.most <= 64
    assert rows.taken <= 1000 + 3 * 20


@pytest.mark.parametrize(
    ("shape", "queries", "k", "exclude_self", "said"),
    [
        ((3, 2), (1, 3), 1, False, "same d"),
        ((3, 2), (1, 2), 4, False, "there are 3"),
        ((3, 2), (1, 2), 0, False, "0 nearest rows"),
        ((3, 2), (3, 2), 3, True, "there are 2 others"),
        ((3, 2), (2, 2), 1, True, "exclude_self"),
        ((0, 2), (1, 2), 1, False, "there are 0"),
        ((3, 2), (2,), 1, False, "same d"),
    ],
)
def test_what_cannot_be_searched_is_said(
    shape: tuple[int, ...], queries: tuple[int, ...], k: int, exclude_self: bool, said: str
) -> None:
    with pytest.raises(SearchError, match=said):
        nearest(np.ones(shape), np.ones(queries), k, exclude_self=exclude_self)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    X = np.ones((200, 3), np.float32)
    X[150, 1] = bad
    with pytest.raises(SearchError, match="row 150 of X"):
        nearest(X, X[:1], 2)
    with pytest.raises(SearchError, match="row 1 of the queries"):
        nearest(X[:9], X[149:151], 2)


def test_no_queries_find_nothing() -> None:
    rows, similar = nearest(np.ones((3, 2)), np.ones((0, 2)), 2)
    assert rows.shape == similar.shape == (0, 2)
