"""The schemes of a store whose user has written none."""

from __future__ import annotations

import pandas as pd
from pandas.api.types import is_numeric_dtype

from classifiers.schemes import Scheme
from classifiers.values import as_texts, given
from store.folders import SPLITS
from store.labels import HISTORY_COLUMN


def default_schemes(images: pd.DataFrame) -> tuple[dict[str, Scheme], list[str]]:
    """Schemes for `folder` and every column of attached label tables, and a sentence for each one left out.

    Left out are columns with fewer than two values, and those where more than half of the values are distinct:
    ids and measurements.
    """
    schemes, notes = {}, []
    for column in ["folder", *(str(name) for name in images.columns if str(name).startswith("labels."))]:
        if column not in images.columns or column.endswith(f".{HISTORY_COLUMN}"):
            continue
        texts = given(as_texts(images[column]))
        distinct = len(set(texts))
        name = column.removeprefix("labels.")
        name = column if name in schemes else name
        if column == "labels.split" and SPLITS.keys() >= {text.lower() for text in texts}:
            notes.append(f"column {column!r} is no scheme: it splits the images.")
        elif distinct < 2:
            found = f"only the value {texts[0]!r}" if distinct else "no values"
            notes.append(f"column {column!r} is no scheme: it has {found}.")
        elif distinct > len(texts) / 2:
            hint = " A scheme with quantiles: 4 bins them." if is_numeric_dtype(images[column]) else ""
            notes.append(
                f"column {column!r} is no scheme: {distinct:,} of its {len(texts):,} values are distinct.{hint}"
            )
        else:
            schemes[name] = Scheme(name, column)
    return schemes, notes
