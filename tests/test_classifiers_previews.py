"""Previews: counts of classes before training, and what is said of those that will not do."""

from __future__ import annotations

import pandas as pd
import pytest

from classifiers.errors import SchemeError
from classifiers.previews import FEW, preview
from classifiers.schemes import Scheme


def images(folders: list[str], splits: list[str | None] | None = None) -> pd.DataFrame:
    count = len(folders)
    table = pd.DataFrame(
        {"key": [f"{n}.jpg" for n in range(count)], "hash": [f"{n:032x}" for n in range(count)]}
    )
    return table.assign(
        folder=folders, width=range(count), split=pd.Series(splits or [None] * count, dtype=object)
    )


def test_classes_are_counted_in_their_order() -> None:
    table = images(["b"] * 12 + ["a"] * 11 + [""], ["train"] * 10 + ["val"] * 6 + ["train"] * 7 + [None])
    found = preview(Scheme("f", "folder", classes=["b", "a"]), table)
    assert found.to_dict() == {
        "scheme": "f",
        "from": "folder",
        "multilabel": False,
        "classes": [
            {"name": "b", "images": 12, "train": 10, "val": 2},
            {"name": "a", "images": 11, "train": 7, "val": 4},
        ],
        "labelled": 23,
        "unlabelled": 1,
        "notes": [],
    }
    assert found.rows[1].tolist() == list(range(12, 23))


def test_small_classes_are_told_and_copies_count_once() -> None:
    table = images(["a"] * FEW + ["b"] * 3 + ["c", "d", "d"])
    table.loc[table["folder"] == "d", "hash"] = "0" * 32
    notes = preview(Scheme("f", "folder"), table).notes
    assert notes == (
        "2 classes 'c', 'd' have a single different image, which cannot both train and test: drop or group.",
        f"class 'b' has fewer than {FEW} different images: the figures will be coarse.",
    )


def test_a_class_that_is_missing_on_one_side_is_told_where_the_sides_count() -> None:
    folders = ["a"] * 20 + ["b"] * 20 + ["c"] * 20
    sides: list[str | None] = [*["train", "val"] * 10, *["train"] * 20, *["val"] * 20]
    notes = preview(Scheme("f", "folder"), images(folders, sides)).notes
    assert notes == (
        "class 'c' has no train images, and cannot be learned by this split.",
        "class 'b' has no val images, and cannot be measured by this split.",
    )
    only = preview(Scheme("f", "folder", where="split == 'train'"), images(folders, sides))
    assert only.notes == ()


def test_bins_that_are_empty_and_quantiles_that_are_fewer() -> None:
    table = images(["a"] * 40).assign(width=[1] * 30 + [50] * 10)
    assert preview(Scheme("w", "width", bins=[0, 10, 20, 30]), table).notes == (
        "no image has a value in '10–20', '20–30'.",
    )
    assert preview(Scheme("w", "width", quantiles=4), table).notes == (
        "4 quantiles were asked for; equal values stay together, which leaves 2 classes.",
    )


def test_several_labels_an_image() -> None:
    table = images(["a"] * 30).assign(tags=["x;y"] * 10 + ["x"] * 10 + [""] * 10)
    found = preview(Scheme("t", "tags", multilabel=True), table)
    assert [(one.name, one.images) for one in found.classes] == [("x", 20), ("y", 10)]
    assert (found.labelled, found.unlabelled) == (20, 10)
    assert found.rows[1].tolist() == list(range(10))


def test_a_scheme_of_no_use_is_an_error() -> None:
    with pytest.raises(SchemeError, match="leaves one class"):
        preview(Scheme("f", "folder"), images(["a"] * 3))
