"""What folders say: the columns `folder` and `split` of an image, out of its key."""

from __future__ import annotations

import pandas as pd

SPLITS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


def folder_and_split(keys: pd.Series[str]) -> pd.DataFrame:
    """Columns `folder` and `split` for the keys of one source.

    Where there is a top folder `train` beside one called val (valid, validation) or test, or where all top
    folders are called so, they are the split and the folder is what lies below them; images elsewhere have no
    split. A class folder that happens to be called `train` beside `bus` and `car` is therefore a folder. Images
    in no folder have the folder "".
    """
    if keys.empty:
        return pd.DataFrame({"folder": keys, "split": keys}, dtype="str")
    parents = keys.str.rpartition("/")[0].astype("str")
    parts = parents.str.partition("/")
    split = parts[0].str.lower().map(SPLITS).astype("str")
    sides = set(split.dropna())
    both = "train" in sides and len(sides) > 1
    if not both and not (sides and split[parents != ""].notna().all()):
        split = pd.Series(None, index=keys.index, dtype="str")
    folder = parts[2].astype("str").where(split.notna(), parents)
    return pd.DataFrame({"folder": folder, "split": split})
