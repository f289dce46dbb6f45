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

from store.commit import commit_file, file_checksum
from store.errors import StoreFormatError
from store.files import LARGEST_JSON, json_object, read_file

CANARY_NAME = re.compile(r"canary-(?P<checksum>[0-9a-f]{32})\.json")


@dataclass(frozen=True)
class Canary:
    """Some banked images, embedded again and compared.

    made_by: engine, processor and libraries that embedded them again. images: how many. mean, worst: cosine
    similarity with the banked vectors. float32: their mean cosine
    similarity with vectors of the same recipe in float32, for recipes in another precision.
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
    data = read_file(path, LARGEST_JSON)
    match = CANARY_NAME.fullmatch(path.name)
    try:
        if not match or file_checksum(data) != match["checksum"]:
            raise ValueError("it does not match the checksum in its name")
        return Canary(**json_object(data))
    except (ValueError, TypeError) as error:
        raise StoreFormatError(
            f"{path} is damaged ({error}). Delete it: the next embed into this space compares anew."
        ) from error
