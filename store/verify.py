"""Verify: reads every byte of a store and says what is damaged."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from store.canaries import CANARY_NAME, read_canary
from store.columns import HASH_BYTES, Hashes, hashes_from_hex, unpack_strings
from store.commit import file_checksum
from store.errors import StoreError
from store.feature_store import check_store
from store.files import bytes_below, read_file
from store.hdf import open_image, read_array
from store.index import RowIndex
from store.label_files import LABELS_NAME, labels_file, read_labels
from store.listing import LISTING_NAME, OK, Listing, lost_listings, read_listing
from store.object_path import store_path
from store.part import PART_NAME, Part
from store.recipes import space_id
from store.space import RECIPE_FILE, SPACE_NAME, is_unborn, read_recipe

_ROWS_AT_ONCE = 4096
_REMEDY = "delete it and embed its source again, which makes only the rows that are missing."


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
    path = store_path(path)
    check_store(path)
    return _Verifier(path, progress).run()


class _Verifier:
    def __init__(self, path: Path, progress: Callable[[int, int], None] | None) -> None:
        self._path, self._progress = path, progress
        self._found = Verification()
        self._done = 0
        self._hashes: dict[str, list[Hashes]] = {}  # of the sound parts of each space
        self._total = bytes_below(path)

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

    def _sound_bytes(self, file: Path, pattern: re.Pattern[str], remedy: str = _REMEDY) -> bytes | None:
        match = pattern.fullmatch(file.name)
        if not match:
            self._blame(file, "is no file of this store by its name: move it out, or give it its name back.")
            return None
        try:
            data = read_file(file)
        except (StoreError, FileNotFoundError) as error:
            self._blame(file, str(error))
            return None
        self._done += len(data)
        if self._progress:
            self._progress(self._done, self._total)
        if file_checksum(data) != match["checksum"]:
            self._blame(file, f"does not match the checksum in its name ({len(data)} bytes): {remedy}")
            return None
        return data

    def _check_space(self, directory: Path) -> None:
        if not SPACE_NAME.fullmatch(directory.name):
            self._blame(directory, "is no space by its name: move it out, or give it its name back.")
            return
        if is_unborn(directory):
            return
        try:
            recipe = read_recipe(directory)
        except StoreError as error:
            self._blame(directory / RECIPE_FILE, str(error))
            return
        files = [file for file in _files(directory) if file.name != RECIPE_FILE]
        canaries = [file for file in files if CANARY_NAME.fullmatch(file.name)]
        for file in canaries:
            self._check_canary(file)
        parts = [self._check_part(file, recipe) for file in files if file not in canaries]
        sound = [part for part in parts if part]
        self._hashes[directory.name] = [part.hash[part.view == 0] for part in sound]
        for part in sound:
            if part.dim != sound[0].dim:
                self._blame(
                    part.path, f"has {part.dim} dimensions, other parts have {sound[0].dim}: {_REMEDY}"
                )

    def _check_canary(self, file: Path) -> None:
        remedy = "delete it: the next embed into this space compares anew."
        if self._sound_bytes(file, CANARY_NAME, remedy) is None:
            return
        try:
            read_canary(file)
        except (StoreError, FileNotFoundError) as error:
            self._blame(file, str(error))

    def _check_part(self, file: Path, recipe: dict[str, Any]) -> Part | None:
        """The part, if its bytes and structure are sound. Bytes that are not are never parsed."""
        data = self._sound_bytes(file, PART_NAME)
        if data is None:
            return None
        try:
            part = Part.read(file, data)
            with open_image(data, file) as image:
                for name in ("key", "source"):
                    ends = read_array(image, f"{name}_end", 1, "i8")
                    if len(unpack_strings(read_array(image, name, 1, "u1"), ends)) != part.rows:
                        raise StoreError(f"its column {name} has another length than its vectors")
        except (StoreError, FileNotFoundError) as error:
            self._blame(file, str(error))
            return None
        self._found.parts += 1
        self._found.rows += part.rows
        if part.recipe != recipe:
            self._blame(file, f"belongs to another space, {space_id(part.recipe)}: move it there.")
        vectors = part.vectors_in(data)
        for start in range(0, part.rows, _ROWS_AT_ONCE):
            if not np.isfinite(vectors[start : start + _ROWS_AT_ONCE]).all():
                self._blame(file, f"has vectors that are not finite after row {start}: {_REMEDY}")
                break
        return part

    def _check_source(self, directory: Path) -> None:
        damaged = [file for file in _files(directory) if self._sound_bytes(file, LISTING_NAME) is None]
        if any(LISTING_NAME.fullmatch(file.name) for file in damaged):
            return
        try:
            listing = read_listing(directory)
            lost = lost_listings(directory)
        except StoreError as error:
            self._blame(directory, str(error))
            return
        if lost:
            self._blame(directory, f"has lost its listing file {', '.join(lost)}: embed the source again.")
        if listing and listing.source != directory.name:
            self._blame(directory, f"holds the listing of another source, {listing.source!r}: move it there.")
        elif listing:
            self._check_promises(directory, listing)

    def _check_promises(self, directory: Path, listing: Listing) -> None:
        """Every image that the listing says was committed to a space must be there."""
        for space in listing.spaces:
            promised = listing.table[listing.table[space] & (listing.table["status"] == OK)]
            there = np.concatenate([np.zeros((0, HASH_BYTES), np.uint8), *self._hashes.get(space, [])])
            index = RowIndex(there, np.zeros(len(there), np.int16))
            missing = promised[index.find(hashes_from_hex(promised["hash"])) < 0]
            if len(missing):
                self._blame(
                    directory,
                    f"lists {len(missing)} images as banked in {space} that have no sound vectors there (the first: "
                    f"{missing['key'].iloc[0]}): a part is missing or damaged. Embed the source again.",
                )

    def _check_labels(self, directory: Path) -> None:
        for file in _files(directory):
            self._sound_bytes(file, LABELS_NAME, "delete it and attach the table again.")
        if labels_file(directory):
            try:
                read_labels(directory)
            except (StoreError, FileNotFoundError) as error:
                self._blame(directory, f"its label table cannot be read: {error}")

    def _check_foreign(self) -> None:
        strays = [entry for entry in self._path.iterdir() if entry.name not in _TOP_LEVEL]
        for place in ("spaces", "sources", "labels"):
            inside = (self._path / place).iterdir() if (self._path / place).is_dir() else ()
            strays += [entry for entry in inside if not entry.is_dir()]
        for entry in sorted(strays):
            if not entry.name.startswith("."):
                self._blame(entry, "does not belong there in a store: move it out.")


_TOP_LEVEL = {"embank.json", "sources", "spaces", "labels", "heads", "cache"}


def _directories(parent: Path) -> Iterator[Path]:
    if parent.is_dir():
        yield from sorted(child for child in parent.iterdir() if child.is_dir())


def _files(directory: Path) -> Iterator[Path]:
    yield from sorted(file for file in directory.iterdir() if not file.name.startswith("."))
