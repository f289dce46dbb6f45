"""Verify: reads every byte of a store and says what is damaged."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from store.columns import hashes_from_hex, unpack_strings
from store.commit import checksum
from store.errors import StoreError
from store.feature_store import check_store
from store.hdf import open_image, read_array
from store.labels import LABELS_NAME, labels_file, read_labels
from store.listing import LISTING_NAME, OK, Listing, read_listing
from store.part import PART_NAME, Part
from store.recipes import space_id
from store.space import SPACE_NAME, Space, read_recipe

_ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Damage:
    """file: relative to the store. what: what is wrong with it and what to do."""

    file: str
    what: str


@dataclass
class Verification:
    """What was looked at, and all damage that was found."""

    parts: int = 0
    rows: int = 0
    damage: list[Damage] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the store is sound."""
        return not self.damage

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `embank verify --json` prints them."""
        damage = [asdict(damage) for damage in self.damage]
        return {"ok": self.ok, "parts": self.parts, "rows": self.rows, "damage": damage}


def verify(path: str | Path, progress: Callable[[int, int], None] | None = None) -> Verification:
    """Checks every checksum, shape and value, and that every image listed as banked has its vectors.

    progress: called with bytes done and bytes in all. Raises StoreError only if there is no store to look at.
    """
    path = Path(path)
    check_store(path)
    return _Verifier(path, progress).run()


class _Verifier:
    def __init__(self, path: Path, progress: Callable[[int, int], None] | None) -> None:
        self._path, self._progress = path, progress
        self._found = Verification()
        self._done = 0
        self._total = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())

    def run(self) -> Verification:
        for directory in _directories(self._path / "spaces"):
            self._check_space(directory)
        for directory in _directories(self._path / "sources"):
            self._check_source(directory)
        for directory in _directories(self._path / "labels"):
            self._check_labels(directory)
        self._check_foreign()
        return self._found

    def _blame(self, file: Path, what: str) -> None:
        damage = Damage(file.relative_to(self._path).as_posix(), what.replace(f"{self._path}/", ""))
        if damage not in self._found.damage:
            self._found.damage.append(damage)

    def _sound_bytes(self, file: Path, pattern: re.Pattern[str]) -> bytes | None:
        match = pattern.fullmatch(file.name)
        if not match:
            self._blame(file, "is no file of this store by its name: move it out, or give it its name back.")
            return None
        try:
            data = file.read_bytes()
        except OSError as error:
            self._blame(file, f"cannot be read ({error.strerror}).")
            return None
        self._done += len(data)
        if self._progress:
            self._progress(self._done, self._total)
        if checksum(data) != match["checksum"]:
            self._blame(file, f"does not match the checksum in its name ({len(data)} bytes): {_REMEDY}")
            return None
        return data

    def _check_space(self, directory: Path) -> None:
        if not SPACE_NAME.fullmatch(directory.name):
            self._blame(directory, "is no space by its name: move it out, or give it its name back.")
            return
        try:
            recipe = read_recipe(directory)
        except StoreError as error:
            self._blame(directory / "recipe.json", str(error))
            return
        for file in _files(directory):
            if file.name != "recipe.json":
                self._check_part(file, recipe)

    def _check_part(self, file: Path, recipe: dict[str, Any]) -> None:
        data = self._sound_bytes(file, PART_NAME)
        if data is None:
            return
        try:
            part = Part.read(file)
            with open_image(data, file) as image:
                for name in ("key", "source"):
                    ends = read_array(image, f"{name}_end", 1, "i")
                    if len(unpack_strings(read_array(image, name, 1, "u"), ends)) != part.rows:
                        raise StoreError(f"its column {name} has another length than its vectors")
        except (StoreError, OSError) as error:
            self._blame(file, f"{error}")
            return
        self._found.parts += 1
        self._found.rows += part.rows
        if part.recipe != recipe:
            self._blame(file, f"belongs to another space, {space_id(part.recipe)}: move it there.")
        vectors = part.vectors
        for start in range(0, part.rows, _ROWS_AT_ONCE):
            if not np.isfinite(vectors[start : start + _ROWS_AT_ONCE]).all():
                self._blame(file, f"has vectors that are not finite after row {start}: {_REMEDY}")
                return

    def _check_source(self, directory: Path) -> None:
        damaged = [file for file in _files(directory) if self._sound_bytes(file, LISTING_NAME) is None]
        if any(LISTING_NAME.fullmatch(file.name) for file in damaged):
            return
        try:
            listing = read_listing(directory)
        except StoreError as error:
            self._blame(directory, str(error))
            return
        if listing:
            self._check_promises(directory, listing)

    def _check_promises(self, directory: Path, listing: Listing) -> None:
        """Every image that the listing says was committed to a space must be there."""
        for space in listing.spaces:
            promised = listing.table[listing.table[space] & (listing.table["status"] == OK)]
            missing = promised
            try:
                rows = Space(self._path / "spaces" / space).find(hashes_from_hex(promised["hash"]))
                missing = promised[rows < 0]
            except (StoreError, OSError):
                pass  # the space itself is blamed already, or is gone altogether
            if len(missing):
                self._blame(
                    directory,
                    f"lists {len(missing)} images as banked in {space} that have no vectors there (the first: "
                    f"{missing['key'].iloc[0]}): a part is missing. Embed the source again to make them anew.",
                )

    def _check_labels(self, directory: Path) -> None:
        for file in _files(directory):
            self._sound_bytes(file, LABELS_NAME)
        if labels_file(directory):
            try:
                read_labels(directory)
            except (StoreError, OSError, ValueError, KeyError) as error:
                self._blame(directory, f"its label table cannot be read ({error}).")

    def _check_foreign(self) -> None:
        for entry in sorted(self._path.iterdir()):
            if entry.name not in _TOP_LEVEL and not entry.name.startswith("."):
                self._blame(entry, "does not belong in a store: move it out.")


_TOP_LEVEL = {"embank.json", "sources", "spaces", "labels", "heads", "cache"}
_REMEDY = "delete it and embed its source again, which makes only the rows that are missing."


def _directories(parent: Path) -> Iterator[Path]:
    if parent.is_dir():
        yield from sorted(child for child in parent.iterdir() if child.is_dir())


def _files(directory: Path) -> Iterator[Path]:
    yield from sorted(file for file in directory.iterdir() if not file.name.startswith("."))
