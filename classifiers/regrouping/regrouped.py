"""Schemes made of the groups that merges found, as a scheme file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import yaml

from classifiers.schemes import Scheme

_LONGEST_NAME = 60


def regrouped(scheme: Scheme, classes: Sequence[str], groups: Sequence[Sequence[int]], name: str) -> Scheme:
    """A scheme whose classes are groups of those of another, by their numbers in `classes`."""
    names = [_group_name([classes[one] for one in own]) for own in groups]
    if len(set(names)) < len(names):  # a class may be called as a group would be
        names = [f"group {number}" for number in range(1, len(groups) + 1)]
    members = {name: [classes[one] for one in own] for name, own in zip(names, groups, strict=True)}
    return Scheme(name, scheme.name, parent=scheme, groups=members)


def schemes_yaml(schemes: Iterable[Scheme]) -> str:
    """A scheme file that `load_schemes` reads: the schemes, and above each those that it is made from."""
    entries: dict[str, dict[str, Any]] = {}
    for scheme in schemes:
        for one in _with_parents(scheme):
            entries.setdefault(one.name, _entry(one))
    return yaml.safe_dump(entries, sort_keys=False, allow_unicode=True, width=110)


def _with_parents(scheme: Scheme) -> Iterator[Scheme]:
    if scheme.parent is not None:
        yield from _with_parents(scheme.parent)
    yield scheme


def _entry(scheme: Scheme) -> dict[str, Any]:
    options = scheme.to_dict()
    del options["name"]
    options.pop("parent", None)
    if "groups" in options:
        options["groups"] = dict(options["groups"])
    return options


def _group_name(members: Sequence[str]) -> str:
    joined = " + ".join(members)
    return joined if len(joined) <= _LONGEST_NAME else f"{members[0]} + {len(members) - 1} more"
