"""Bins and quantiles: which class a number falls into, and what a head keeps of it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.bins import as_numbers, bin_names, binned, quantile_edges
from classifiers.errors import SchemeError
from classifiers.schemes import Scheme

NUMBERS = st.lists(
    st.floats(allow_nan=False, allow_infinity=False) | st.integers(-3, 3).map(float), min_size=1, max_size=60
)


def images(values: Sequence[object]) -> pd.DataFrame:
    return pd.DataFrame({"key": [f"{i}.jpg" for i in range(len(values))], "labels.age": values})


def names(scheme: Scheme, values: Sequence[object], strict: bool = True) -> list[str | None]:
    return list(scheme.labels(images(values), strict).names())


def test_a_bin_holds_its_lower_edge_and_open_ends_are_there_only_if_values_are() -> None:
    scheme = Scheme("age", "age", bins=[0, 10, 100])
    assert names(scheme, [0, 9.9, 10, 99]) == ["0–10", "0–10", "10–100", "10–100"]
    labels = scheme.labels(images([100, -1, 5, None, 10]))
    assert labels.classes == ("< 0", "0–10", "10–100", "≥ 100")
    assert labels.codes.tolist() == [3, 0, 1, -1, 2]


def test_edges_keep_their_digits_and_their_order() -> None:
    assert bin_names((-1.5, 2.0, 10.0)) == ("< -1.5", "-1.5–2", "2–10", "≥ 10")
    scheme = Scheme("age", "age", bins=[2, 10, 100])
    assert scheme.labels(images([50, 3, 1])).classes == ("< 2", "2–10", "10–100")


@settings(deadline=None)
@given(numbers=NUMBERS, edges=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6, unique=True))
def test_a_bin_is_the_range_that_it_is_named_after(numbers: list[float], edges: list[float]) -> None:
    edges = sorted({0.0 if edge == 0 else edge for edge in edges})
    for number, name in zip(numbers, binned(np.array(numbers), edges), strict=True):
        place = bin_names(edges).index(str(name))
        assert place == 0 or edges[place - 1] <= number
        assert place == len(edges) or number < edges[place]


@settings(deadline=None)
@given(numbers=NUMBERS, count=st.integers(2, 6))
def test_quantiles_keep_equal_numbers_together_and_leave_no_bin_empty(
    numbers: list[float], count: int
) -> None:
    edges = quantile_edges(np.array(numbers), count)
    assert len(edges) <= min(count, len({*numbers})) - 1
    assert list(edges) == sorted(set(edges))
    assert bool(edges) == (len({*numbers}) > 1)
    if edges:
        assert {*binned(np.array(numbers), edges)} == {*bin_names(edges)}


@settings(deadline=None)
@given(numbers=st.lists(st.floats(-1e9, 1e9), min_size=8, max_size=60, unique=True))
def test_quantiles_of_different_numbers_have_equal_counts(numbers: list[float]) -> None:
    counts = np.unique(binned(np.array(numbers), quantile_edges(np.array(numbers), 4)), return_counts=True)[1]
    assert len(counts) == 4
    assert counts.max() - counts.min() <= 1


def test_edges_of_quantiles_are_short() -> None:
    assert quantile_edges(np.array([0.123456, 0.2, 0.31415, 0.4444]), 2) == (0.3,)
    assert quantile_edges(np.array([499.0, 500.0]), 2) == (500.0,)
    assert quantile_edges(np.array([0.0] * 60 + [1, 2, 3, 4] * 10), 4) == (1.0, 2.0)


def test_a_head_keeps_the_edges_it_was_trained_with() -> None:
    train = images([1, 2, 3, 4, 10, 20, 30, 40])
    parent = Scheme("age", "age", quantiles=2)
    scheme = Scheme("stage", "age", parent=parent, groups={"young": ["< 10"], "old": ["≥ 10"]})
    kept = Scheme.from_dict(json.loads(json.dumps(scheme.resolved(train).to_dict())))
    assert kept.parent == Scheme("age", "age", bins=(10,))
    other = [9, 11, 500, 600, 700]
    assert names(kept, other, strict=False) == ["young", "old", "old", "old", "old"]
    assert names(parent, other) == ["< 500", "< 500", "≥ 500", "≥ 500", "≥ 500"]
    plain = Scheme("x", "key")
    assert plain.resolved(train) is plain
    assert not {"bins", "quantiles"} & plain.to_dict().keys()


def test_quantiles_are_of_the_images_that_where_leaves() -> None:
    scheme = Scheme("age", "age", quantiles=2, where="age < 100")
    assert names(scheme, [1, 2, 3, 4, 1000, 2000, 3000]) == ["< 3", "< 3", "≥ 3", "≥ 3", None, None, None]


def test_numbers_from_a_regex_an_earlier_scheme_and_several_an_image() -> None:
    table = pd.DataFrame({"key": ["a_007.jpg", "b_12.jpg", "c_x.jpg"], "labels.marks": ["1;20", "3", None]})
    number = Scheme("number", "key", regex=r"_(\d+)\.")
    assert list(Scheme("n", "key", regex=r"_(\d+)\.", bins=[10]).labels(table).names()) == [
        "< 10",
        "≥ 10",
        None,
    ]
    child = Scheme("n", "number", parent=number, bins=[10])
    assert child.labels(table).codes.tolist() == [0, 1, -1]
    marks = Scheme("marks", "marks", bins=[10], multilabel=True)
    assert marks.labels(table).codes.tolist() == [[1, 1], [1, 0], [-1, -1]]


def test_columns_of_the_images_themselves() -> None:
    table = pd.DataFrame({"key": ["a", "b", "c"], "width": [100, 640, 1920], "bytes": [10, 2000, 30]})
    assert Scheme("w", "width", bins=[640]).labels(table).codes.tolist() == [0, 1, 1]
    assert Scheme("b", "bytes", quantiles=3).labels(table).codes.tolist() == [0, 2, 1]


def test_values_that_are_no_numbers_are_told_with_an_example() -> None:
    values = ["12", "about 3", "4", "about 3", "inf", "1_0", None]
    scheme = Scheme("age", "age", bins=[10])
    with pytest.raises(SchemeError, match=r"4 values of 'age' are no number, such as '1_0'.*drop: \['1_0', "):
        scheme.labels(images(values))
    dropped = Scheme("age", "age", bins=[10], drop=["about 3", "inf", "1_0"])
    assert names(dropped, values) == ["≥ 10", None, "< 10", None, None, None, None]
    assert names(scheme, values, strict=False) == ["≥ 10", None, "< 10", None, None, None, None]
    wide = np.array(["-1e-3", " +2. ", ".5", None], object)
    np.testing.assert_array_equal(as_numbers(wide, "x", "y", True), [-0.001, 2, 0.5, np.nan])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"bins": []}, "bins is a list of edges such as"),
        ({"bins": "10"}, "bins is a list of edges such as"),
        ({"bins": [1, "x"]}, "the edge 'x' of bins is no number"),
        ({"bins": [1, float("nan")]}, "the edge nan of bins is no number"),
        ({"bins": [1, True]}, "the edge True of bins is no number"),
        ({"bins": [10, 1]}, "must ascend, but 1 comes after 10"),
        ({"bins": [1, 1]}, "must ascend"),
        ({"bins": range(2000)}, "2,000 edges; 1,000 are allowed"),
        ({"quantiles": 1}, "quantiles is a whole number from 2"),
        ({"quantiles": "many"}, "quantiles is a whole number from 2"),
        ({"quantiles": 10**12}, "quantiles is a whole number from 2"),
        ({"quantiles": 2, "bins": [1]}, "exclude one another"),
        ({"groups": {"a": ["1"]}, "bins": [1]}, "exclude one another"),
    ],
)
def test_wrong_options_give_one_sentence(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(SchemeError, match=sentence):
        Scheme.from_dict({"name": "x", "from": "age", **options})


def test_equal_numbers_have_no_quantiles() -> None:
    with pytest.raises(SchemeError, match="quantiles needs different numbers, and 'age' has not two"):
        Scheme("x", "age", quantiles=4).labels(images([5, 5, 5]))
    with pytest.raises(SchemeError, match="leaves one class, '≥ 5', on 2 images"):
        Scheme("x", "age", bins=[5]).labels(images([5, 6]))
