"""Recipes as the store sees them: canonical JSON, fingerprint, and what differs between two."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

RecipeDict = Mapping[str, Any]


def canonical_json(recipe: RecipeDict) -> str:
    """The one way to write a recipe: sorted keys, no spaces, ASCII."""
    return json.dumps(recipe, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def fingerprint(recipe: RecipeDict) -> str:
    """The first 12 hex digits of the sha256 of the recipe's canonical JSON."""
    return hashlib.sha256(canonical_json(recipe).encode()).hexdigest()[:12]


def space_id(recipe: RecipeDict) -> str:
    """`<backbone>-<fingerprint>`, the name of the space that the recipe's vectors live in."""
    return f"{recipe['backbone']}-{fingerprint(recipe)}"


def describe_difference(ours: RecipeDict, theirs: RecipeDict) -> str:
    """What differs, as `image_size 224 → 160, pooling avg → max`; empty if nothing does."""
    keys = [*ours, *(key for key in theirs if key not in ours)]
    return ", ".join(
        f"{key} {_shown(ours, key)} → {_shown(theirs, key)}"
        for key in keys
        if ours.get(key) != theirs.get(key)
    )


def _shown(recipe: RecipeDict, key: str) -> str:
    value = recipe.get(key)
    return "none" if value is None else str(value)
