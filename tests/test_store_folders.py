"""Folders and splits out of keys."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.folders import SPLITS, folder_and_split


def _of(*keys: str) -> list[tuple[str, str | None]]:
    frame = folder_and_split(pd.Series(keys, dtype="str"))
    folders, splits = frame["folder"].tolist(), frame["split"]
    return list(zip(folders, splits.astype(object).where(splits.notna(), None), strict=True))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["a.jpg"], [("", None)]),
        (["cat/a.jpg", "dog/b.jpg"], [("cat", None), ("dog", None)]),
        (["x/cat/a.jpg"], [("x/cat", None)]),
        (["train/cat/a.jpg", "val/dog/b.jpg"], [("cat", "train"), ("dog", "val")]),
        (["Training/a.jpg", "valid/b.jpg", "validation/c/d/e.jpg", "testing/f.jpg"],
         [("", "train"), ("", "val"), ("c/d", "val"), ("", "test")]),
        # a class that is called train, beside other classes
        (["train/a.jpg", "bus/b.jpg"], [("train", None), ("bus", None)]),
        # an image on top does not hide that the folders are splits
        (["train/cat/a.jpg", "b.jpg"], [("cat", "train"), ("", None)]),
        (["cat/train/a.jpg"], [("cat/train", None)]),
        (["a/../b.jpg", "ä ö/c.jpg"], [("a/..", None), ("ä ö", None)]),
        (["trains/a.jpg"], [("trains", None)]),
        ([], []),
    ],
)  # fmt: skip
def test_folder_and_split(keys: list[str], expected: list[tuple[str, str | None]]) -> None:
    assert _of(*keys) == expected


_PART = st.text("ab. ", min_size=1, max_size=4)
_FOLDERS = st.lists(_PART, max_size=3).map("/".join)


@settings(deadline=None)
@given(
    folders=st.lists(_FOLDERS, min_size=1, max_size=6),
    split=st.lists(st.sampled_from(sorted(SPLITS)), min_size=6, max_size=6),
)
def test_a_split_on_top_takes_nothing_from_the_folder(folders: list[str], split: list[str]) -> None:
    below = [f"{folder}/{i}.jpg" if folder else f"{i}.jpg" for i, folder in enumerate(folders)]
    assert [folder for folder, _ in _of(*below)] == folders
    keys = [f"{top}/{key}" for top, key in zip(split, below, strict=False)]
    assert _of(*keys) == [(folder, SPLITS[top]) for folder, top in zip(folders, split, strict=False)]


def test_the_index_of_the_keys_is_kept() -> None:
    keys = pd.Series(["train/cat/a.jpg", "val/dog/b.jpg"], index=[7, 3], dtype="str")
    assert folder_and_split(keys).index.tolist() == [7, 3]
