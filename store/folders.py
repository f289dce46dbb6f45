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

    Where the top folders are all called train, val (valid, validation) or test, they are the split and the
    folder is what lies below them; otherwise `split` is missing. A class folder that happens to be called
    `train` beside `bus` and `car` is therefore a folder. Images in no folder have the folder "".
    """
    if keys.empty:
        return pd.DataFrame({"folder": keys, "split": keys}, dtype="str")
    parents = keys.str.rpartition("/")[0].astype("str")
    parts = parents.str.partition("/")
    split = parts[0].str.lower().map(SPLITS).astype("str")
    in_folder = parents != ""
    if not in_folder.any() or split[in_folder].isna().any():
        split = pd.Series(None, index=keys.index, dtype="str")
        return pd.DataFrame({"folder": parents, "split": split})
    return pd.DataFrame({"folder": parts[2].astype("str"), "split": split})
