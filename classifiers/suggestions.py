"""The nearest valid name for a misspelt one, worded for the end of an error message."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_SHOWN = 12


def suggest(name: str, known: Iterable[str]) -> str:
    """`Did you mean 'x'?` if a name is near, else the known names: `Known are a, b and 3 more.`"""
    names = list(dict.fromkeys(known))
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    folded = {other.casefold(): other for other in names}
    if not near and name.casefold() in folded:
        near = [folded[name.casefold()]]
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"Known are {listed(names)}." if names else "There are none."


def listed(names: Iterable[object]) -> str:
    """`a, b, c and 9 more`: at most twelve names."""
    shown = [str(name) for name in names]
    more = len(shown) - _SHOWN
    return ", ".join(shown) if more <= 0 else f"{', '.join(shown[:_SHOWN])} and {more} more"


def counted(number: int, noun: str) -> str:
    """`1 image`, `3 images`, `2 classes`."""
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{number:,} {noun if number == 1 else plural}"
