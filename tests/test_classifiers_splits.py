"""Splits: seeded, stable under adding images, never the same bytes on both sides."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from classifiers.errors import SplitError
from classifiers.splits import Split, Splitter, positions


def holdout(
    images: pd.DataFrame, codes: NDArray[Any], kind: str = "auto", test_size: float = 0.2, seed: int = 0
) -> Split:
    return Splitter(images, kind, test_size, seed).holdout(codes)


def folds(images: pd.DataFrame, codes: NDArray[Any], k: int, seed: int = 0) -> list[Split]:
    return Splitter(images, seed=seed).folds(codes, k)


def digest(value: object) -> str:
    return hashlib.blake2b(str(value).encode(), digest_size=16).hexdigest()


def table(hashes: list[int], split: list[str | None] | None = None) -> pd.DataFrame:
    return pd.DataFrame({"hash": [digest(h) for h in hashes], "split": split or [None] * len(hashes)})


LABELLED = st.lists(st.tuples(st.integers(0, 60), st.integers(-1, 3)), min_size=4, max_size=120)


@given(LABELLED, st.integers(0, 3))
def test_the_same_bytes_are_on_one_side(rows: list[tuple[int, int]], seed: int) -> None:
    images, codes = table([h for h, _ in rows]), np.array([c for _, c in rows])
    try:
        split = holdout(images, codes, "random", seed=seed)
    except SplitError:
        return
    hashes = images["hash"].to_numpy()
    used = hashes[[*split.train, *split.test]]
    assert len(set(used)) == len(used)  # on one side, and once
    unused = set(hashes[codes >= 0]) - set(used)
    assert bool(unused) == any("no training images" in note for note in split.notes)
    assert (len(set(hashes[codes >= 0])) < (codes >= 0).sum()) == any("other name" in n for n in split.notes)


@given(st.lists(st.integers(0, 10_000), min_size=40, max_size=80, unique=True), st.integers(0, 5))
def test_an_image_keeps_its_side_when_others_are_added(hashes: list[int], seed: int) -> None:
    def side(some: list[int]) -> dict[int, bool]:
        split = holdout(table(some), np.zeros(len(some), int), "random", 0.3, seed)
        return {h: i in set(split.test.tolist()) for i, h in enumerate(some)}

    before, after = side(hashes[:30]), side(hashes)
    assert {h: after[h] for h in before} == before


def test_the_share_of_test_images() -> None:
    images, codes = table(list(range(5000))), np.arange(5000) % 5
    split = holdout(images, codes, "auto", 0.2)
    assert abs(len(split.test) / 5000 - 0.2) < 0.02
    assert not np.array_equal(split.test, holdout(images, codes, "auto", 0.2, seed=1).test)
    u = positions(images["hash"], 0)
    assert 0 <= u.min() < u.max() < 1
    assert abs(u.mean() - 0.5) < 0.02


def test_small_classes_are_on_both_sides() -> None:
    codes = np.array([0] * 50 + [1, 1] + [2])
    for seed in range(20):
        split = holdout(table(list(range(53))), codes, seed=seed)
        assert (codes[split.train] == 1).sum() == (codes[split.test] == 1).sum() == 1
        assert 52 in split.train
        assert any("'2'" in note for note in split.notes)


def test_folders_win_and_twins_leave_training() -> None:
    images = table([1, 2, 3, 4, 5, 1, 6], ["train", "Train", "train", "train", None, "val", "valid"])
    split = holdout(images, np.array([0, 0, 1, 1, 0, 0, 1]))
    assert split.train.tolist() == [1, 2, 3]
    assert split.test.tolist() == [5, 6]
    assert any("1 training image left out" in note for note in split.notes)
    assert any("1 labelled image unused" in note for note in split.notes)


def test_test_wins_over_val_and_a_column_can_split() -> None:
    images = table([1, 2, 3, 4, 5, 6])
    images["labels.part"] = ["train", "Training", "val", "val", "test", "testing"]
    split = holdout(images, np.array([0, 1, 0, 1, 0, 1]), "part")
    assert split.train.tolist() == [0, 1]
    assert split.test.tolist() == [4, 5]


@pytest.mark.parametrize(
    ("kind", "sides", "sentence"),
    [
        ("folder", [None, None, None, None], "gives no training images among 4 labelled images"),
        ("folder", ["train"] * 4, "gives no val or test images"),
        ("folder", ["train", "train", "test", "bananas"], "has the values 'bananas'"),
        ("folder", ["train", "test", "train", "test"], "leaves one class to train on \\('0'\\)"),
        ("hsh", [None] * 4, "Did you mean 'hash'"),
    ],
)
def test_splits_that_cannot_be(kind: str, sides: list[str | None], sentence: str) -> None:
    with pytest.raises(SplitError, match=sentence):
        holdout(table([1, 2, 3, 4], sides), np.array([0, 1, 0, 1]), kind)


def test_no_test_images_and_wrong_size() -> None:
    with pytest.raises(SplitError, match="no test images"):
        holdout(table([1, 2]), np.array([0, 1]), "random")
    with pytest.raises(SplitError, match="test_size"):
        holdout(table([1, 2]), np.array([0, 1]), test_size=1.5)


@given(st.lists(st.integers(0, 40), min_size=30, max_size=90), st.integers(2, 5), st.integers(0, 3))
def test_folds_test_each_row_once(hashes: list[int], k: int, seed: int) -> None:
    images, codes = table(hashes), np.array([h % 2 for h in hashes])
    present = set(codes.tolist())
    if min(len({h for h in hashes if h % 2 == c}) for c in present) < k:
        with pytest.raises(SplitError, match=r"folds|images"):
            folds(images, codes, k, seed)
        return
    parts = folds(images, codes, k, seed)
    tested = np.concatenate([part.test for part in parts])
    assert sorted(tested) == [hashes.index(h) for h in sorted(set(hashes), key=hashes.index)]
    for part in parts:
        assert not {hashes[i] for i in part.train} & {hashes[i] for i in part.test}
        assert set(codes[part.test]) == present
        assert set(codes[part.train]) == present


def test_copies_count_once_and_contradictions_are_said() -> None:
    images = table([1, 1, 2, 3, 4, 5, 5], [*["train"] * 4, *["val"] * 3])
    split = holdout(images, np.array([0, 1, 1, 0, 0, 1, 1]), "folder")
    assert (split.train.tolist(), split.test.tolist()) == ([0, 2, 3], [4, 5])
    assert split.notes == (
        "2 other names of the same bytes left out: each image counts once, with the label of its first name; "
        "1 had another label.",
    )


def grouped_table(groups: list[str | None]) -> pd.DataFrame:
    return table(list(range(len(groups)))).assign(**{"labels.dog": np.array(groups, object)})


@given(st.lists(st.sampled_from([None, *"abcdefghijkl"]), min_size=30, max_size=90), st.integers(0, 3))
def test_a_group_is_on_one_side(groups: list[str | None], seed: int) -> None:
    images, codes = grouped_table(groups), np.arange(len(groups)) % 2
    try:
        parts = [
            Splitter(images, "random", 0.3, seed, "dog").holdout(codes),
            *Splitter(images, seed=seed, group="dog").folds(codes, 3),
        ]
    except SplitError:
        return
    for part in parts:
        assert not {groups[i] for i in part.train} & {groups[i] for i in part.test} - {None}
        assert sorted([*part.train, *part.test]) == list(range(len(groups)))


def test_a_group_keeps_its_side_and_unknown_columns_are_named() -> None:
    groups: list[str | None] = [*"aabbccddeeffgghh"] * 3
    small = Splitter(grouped_table(groups[:20]), "random", 0.4, 0, "labels.dog").holdout(np.arange(20) % 2)
    large = Splitter(grouped_table(groups), "random", 0.4, 0, "labels.dog").holdout(np.arange(48) % 2)
    assert {groups[i] for i in small.test} == {groups[i] for i in large.test}
    with pytest.raises(SplitError, match=r"no column 'dgo' to group by\. Known are"):
        _ = Splitter(grouped_table(groups), group="dgo").groups


def indicator(seed: int, n: int = 60, t: int = 5) -> np.ndarray:
    """Labels of ever smaller shares, the last one twice; some images without any, some not labelled."""
    generator = np.random.default_rng(seed)
    matrix = (generator.random((n, t)) < np.array([0.6, 0.4, 0.2, 0.1, 0.0])[:t]).astype(np.int8)
    matrix[[3, 9], t - 1] = 1
    matrix[[5, 11]] = -1
    return matrix


@pytest.mark.parametrize("seed", range(8))
def test_every_label_is_on_both_sides(seed: int) -> None:
    targets = indicator(seed)
    split = holdout(table(list(range(60))), targets, seed=seed)
    assert sorted([*split.train, *split.test]) == [i for i in range(60) if i not in (5, 11)]
    assert (targets[split.train] == 1).any(axis=0)[4] and (targets[split.test] == 1).any(axis=0)[4]
    parts = folds(table(list(range(60))), targets, 4, seed)
    assert sorted(np.concatenate([part.test for part in parts])) == sorted([*split.train, *split.test])
    assert all((targets[part.test] == 1).any(axis=0)[:2].all() for part in parts)
    assert any("for want of images" in note and "'4'" in note for note in parts[0].notes)


def test_too_few_images_for_the_folds() -> None:
    with pytest.raises(SplitError, match="the class '1' has 2 different images, fewer than the 3 folds"):
        folds(table([1, 2, 3, 4, 5, 5]), np.array([0, 0, 0, 1, 1, 1]), 3, 0)


def test_a_class_that_only_the_test_side_has_is_left_out_and_said() -> None:
    images = table(list(range(6))).assign(split=["train", "train", "train", "test", "test", "test"])
    split = holdout(images, np.array([0, 1, 1, 0, 1, 2]), "folder")
    assert (split.train.tolist(), split.test.tolist()) == ([0, 1, 2], [3, 4])
    assert split.notes == ("1 test image left out: there are no training images of '2'.",)
