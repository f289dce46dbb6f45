"""Groups of values: class → list of values, one of them 'rest' for everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from classifiers.errors import SchemeError
from classifiers.suggestions import listed, suggest
from classifiers.values import Texts, as_text, given

Groups = Mapping[str, "Sequence[str] | str"]
REST = "rest"


def normalized(groups: Groups, name: str) -> dict[str, tuple[str, ...] | str]:
    """Groups with texts throughout; a single value counts as a list of one."""
    if not isinstance(groups, Mapping) or not groups:
        raise SchemeError(
            f"scheme {name!r}: groups maps a class to a list of values, or to 'rest'; got {groups!r}."
        )
    result: dict[str, tuple[str, ...] | str] = {}
    taken: dict[str, str] = {}
    for key, members in groups.items():
        group = as_text(key)
        if isinstance(members, str):
            result[group] = REST if members == REST else (members,)
        elif isinstance(members, Sequence | set | frozenset | np.ndarray) and len(members):
            result[group] = tuple(as_text(value) for value in members)
        else:
            raise SchemeError(
                f"scheme {name!r}: group {group!r} needs a list of values, or 'rest'; got {members!r}."
            )
        for value in result[group] if result[group] != REST else ():
            if value in taken:
                raise SchemeError(
                    f"scheme {name!r}: {value!r} is in two groups, {taken[value]!r} and {group!r}."
                )
            taken[value] = group
    rests = [group for group, members in result.items() if members == REST]
    if len(rests) > 1:
        raise SchemeError(f"scheme {name!r}: only one group can be 'rest'; {listed(map(repr, rests))} are.")
    return result


def grouped(texts: Texts, groups: Groups, name: str, strict: bool) -> Texts:
    """The group of each text, None for none. With `strict`, raises SchemeError for a value that does not occur."""
    present = set(given(texts))
    group_of: dict[str, str] = {}
    rest: str | None = None
    for group, members in groups.items():
        if members == REST:
            rest = group
            continue
        for value in members:
            if strict and value not in present:
                raise SchemeError(
                    f"scheme {name!r}: group {group!r} names {value!r}, which does not occur. {suggest(value, present)}"
                )
            group_of[value] = group
    return np.array([None if text is None else group_of.get(text, rest) for text in texts], object)
