"""Numbers and other people's values as text."""

from __future__ import annotations

import json
import re

import pandas as pd

_NUMBERS = re.compile(r"\[([-+.\d\se,]+)\]")  # a list of numbers stands on one line


def percent(share: float | None, digits: int = 1) -> str:
    """`83.1 %`; – for what is not defined."""
    return "–" if share is None or pd.isna(share) else f"{share * 100:.{digits}f}\u202f%"


def span(low: float | None, high: float | None, digits: int = 1) -> str:
    """`80.2 to 86.0`, in percent; nothing where there is no interval."""
    if low is None or high is None or pd.isna(low) or pd.isna(high):
        return ""
    return f"{low * 100:.{digits}f} to {high * 100:.{digits}f}"


def points(difference: float) -> str:
    """`+1.2`: a difference of shares in percentage points."""
    return f"{difference * 100:+.1f}".replace("-", "−")


def duration(seconds: float) -> str:
    """`120 ms` or `3.4 s`."""
    if pd.isna(seconds):
        return "–"
    return f"{seconds * 1000:.0f}\u202fms" if seconds < 1 else f"{seconds:.1f}\u202fs"


def count(number: float) -> str:
    """`12,345`."""
    return f"{number:,.0f}"


def probability(p: float) -> str:
    """`p = 0.04`, `p = 0.003`, `p < 0.001`: no more digits than a few thousand shuffles can tell."""
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.3f}" if p < 0.01 else f"p = {p:.2f}"


def written(value: object) -> dict[str, str]:
    """A value as text, and whether it is a line or a block."""
    if isinstance(value, str):
        return {"kind": "line", "text": value}
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    text = _NUMBERS.sub(lambda match: f"[{' '.join(match[1].split())}]", text)
    return {"kind": "block" if "\n" in text else "line", "text": text}
