"""Several kept heads on the same images: the figures of each, and which of two is better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from classifiers.errors import HeadError
from classifiers.evaluating import Evaluated, evaluated
from classifiers.paired import compared
from classifiers.saved_heads import SavedHead
from classifiers.schemes import Scheme
from store import FeatureStore


def evaluate_heads(
    store: FeatureStore,
    heads: Mapping[str, SavedHead],
    scheme: Scheme | None = None,
    where: Sequence[str] = (),
    group: str | None = None,
) -> dict[str, Any]:
    """Figures of heads by name, and each two of them on the images that neither was trained on.

    The arguments are those of `evaluate_head`. `heads` of the result are its reports, with `name` besides. `pairs`
    has an entry for each subset and each two heads of the same scheme: `subset`, `head` and `other_head` (names),
    and the fields of `Pair` from `n` on. `notes`: which heads could not be compared. Raises HeadError, SchemeError,
    SpaceMismatchError.
    """
    each = {name: evaluated(store, saved, scheme, group) for name, saved in heads.items()}
    pairs, notes = [], []
    for (name, first), (other_name, second) in combinations(each.items(), 2):
        if first.scheme != second.scheme:
            notes.append(
                f"{name} and {other_name} are not compared: their schemes, {first.scheme.name!r} and "
                f"{second.scheme.name!r}, differ. Say which labels are true, with a scheme for both."
            )
            continue
        for subset, found in _compared(first, second, where).items():
            pairs.append({"subset": subset, "head": name, "other_head": other_name, **found})
    reports = [{"name": name, **one.report(where)} for name, one in each.items()]
    return {"heads": reports, "pairs": pairs, "notes": notes}


def _compared(first: Evaluated, second: Evaluated, where: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What `compared` gives on each subset of the images that neither head was trained on."""
    _, here, there = np.intersect1d(first.rows, second.rows, assume_unique=True, return_indices=True)
    if not len(here):
        raise HeadError(
            "there is no image that neither of two heads was trained on: they cannot be compared."
        )
    found = {}
    for subset, chosen in first.subsets(where).items():
        mine, theirs = here[chosen[here]], there[chosen[here]]
        groups = None if first.groups is None else first.groups[mine]
        found[subset] = compared(first.right[mine], second.right[theirs], groups)
    return found
