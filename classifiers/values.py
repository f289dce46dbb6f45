"""Values of table columns as label texts."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Texts = NDArray[np.object_]


def as_texts(column: pd.Series[Any] | NDArray[Any]) -> Texts:
    """Each value as a str, or None where it is missing or empty: (n,) object.

    3.0 becomes '3', True 'true'; strings keep their spelling.
    """
    codes, uniques = pd.factorize(pd.Series(column, dtype=None).astype(object), use_na_sentinel=True)
    names = np.array([*(as_text(value) or None for value in uniques), None], object)
    texts: Texts = names[codes]
    return texts


def given(texts: Texts) -> list[str]:
    """The texts that are not missing, in their order."""
    return [text for text in texts if text is not None]


def as_text(value: object) -> str:
    """One value as a label: '3' for 3.0, 'true' for True."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def natural_order(text: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key by which 'img2' comes before 'img10'."""
    pieces = re.split(r"([0-9]+)", text)
    numbered = tuple((0, int(p), "") if p.isdecimal() else (1, 0, p.casefold()) for p in pieces if p)
    return (*numbered, (2, 0, text))
