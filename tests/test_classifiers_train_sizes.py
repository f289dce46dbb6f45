"""Fewer training images."""

from __future__ import annotations

import numpy as np
import pytest

from classifiers import SplitError, run_comparison
from classifiers.splits import Split
from classifiers.train_sizes import smaller
from tests.test_classifiers_comparing import SCHEMES, make_store


def test_sizes_are_nested_and_have_all_classes() -> None:
    generator = np.random.default_rng(0)
    codes = np.where(np.arange(200) < 3, np.arange(200) % 3, 3 + generator.integers(0, 2, 200))
    positions = generator.random(200)
    split = Split("half", np.arange(0, 200), np.arange(0), ("a note",))
    sizes = [2, 5, 20, 60]
    found = {size: smaller(split, codes, positions, size, sizes) for size in sizes[1:]}
    for size, one in found.items():
        assert len(one.train) == size and set(codes[one.train]) == set(range(5))
        assert one.train.tolist() == sorted(one.train) and one.name == "half"
    assert set(found[5].train) <= set(found[20].train) <= set(found[60].train)
    with pytest.raises(SplitError, match="4 training images are too few for 5 classes"):
        smaller(split, codes, positions, 4)


def test_a_board_of_sizes() -> None:
    store = make_store()
    steps: list[tuple[int, int, str]] = []
    comparison = run_comparison(
        store,
        SCHEMES,
        ["ridge"],
        ["Small"],
        train_sizes=(2, 20, None, 5000),
        progress=lambda *one: steps.append(one),
    )
    board = comparison.board
    assert board["n_train"].tolist() == [20, 180, 2, 20, 180, 2, 20, 180]
    assert "2 training images are too few for 3 classes" in dict(comparison.errors)["shape"]
    first, whole = comparison.results[0], comparison.results[1]
    assert set(first.train) < set(whole.train) and first.test.tolist() == whole.test.tolist()
    assert whole.figures.accuracy > first.figures.accuracy - 0.05
    assert not comparison.pairs  # one head and space: sizes are no rivals
    assert steps[-1] == (12, 12, "done")
    both = [one.train for one in comparison.results if one.n_train == 20 and one.scheme != "shape"]
    np.testing.assert_array_equal(both[0], both[1])
    with pytest.raises(SplitError, match="1 images cannot train a head"):
        run_comparison(store, SCHEMES, ["ridge"], train_sizes=(1,))
