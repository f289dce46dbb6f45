"""Canaries: what is known of how well the machines that wrote to a space agree.

Each is a small immutable file in the directory of the space. They say who made vectors and with what; nothing
that reads vectors depends on them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from store.commit import commit_file
from store.errors import StoreFormatError
from store.files import LARGEST_JSON, json_object, read_committed

CANARY_NAME = re.compile(r"canary-(?P<checksum>[0-9a-f]{32})\.json")
_REMEDY = "Delete it: the next embed into this space compares anew."


@dataclass(frozen=True)
class Canary:
    """Some banked images, embedded again and compared.

    made_by: `engine`, `processor` and `libraries` that embedded them again. images: how many. mean, worst: cosine
    similarity with the banked vectors. float32: their mean cosine similarity with vectors of the same recipe in
    float32, for recipes in another precision.
    """

    made_by: Mapping[str, str]
    images: int
    mean: float
    worst: float
    float32: float | None = None

    def __str__(self) -> str:
        text = f"{self.images} banked images embedded again by {self.made_by['engine']} agree"
        text += f" (cosine {self.mean:.6f}, at worst {self.worst:.6f})"
        return text + (f"; with float32 to {self.float32:.6f}" if self.float32 is not None else "")


def write_canary(directory: Path, canary: Canary) -> None:
    """Commits a canary into the directory of its space."""
    commit_file(directory, "canary", ".json", json.dumps(asdict(canary), sort_keys=True).encode())


def read_canaries(directory: Path) -> list[Canary]:
    """The canaries of a space, in the order of their names. Raises StoreFormatError for a damaged one."""
    return [read_canary(path) for path in sorted(directory.iterdir()) if CANARY_NAME.fullmatch(path.name)]


def read_canary(path: Path) -> Canary:
    """One canary. Raises StoreFormatError if it is damaged."""
    try:
        return _parse(json_object(read_committed(path, CANARY_NAME, _REMEDY, LARGEST_JSON)))
    except StoreFormatError:
        raise
    except (ValueError, LookupError, TypeError, OverflowError, AttributeError) as error:
        raise StoreFormatError(f"{path} is no canary ({error}). {_REMEDY}") from error


def _parse(said: Mapping[str, Any]) -> Canary:
    """Members that are not known are ignored. Raises what conversions do."""
    made_by = {str(what): str(which) for what, which in said["made_by"].items()}
    if missing := {"engine", "processor", "libraries"} - made_by.keys():
        raise ValueError(f"it does not say with which {', '.join(sorted(missing))} it was made")
    float32 = said.get("float32")
    return Canary(
        made_by,
        int(said["images"]),
        float(said["mean"]),
        float(said["worst"]),
        None if float32 is None else float(float32),
    )
