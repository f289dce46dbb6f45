"""Listings: what was seen in a source, one row an image, whether it could be embedded or not.

A listing file holds some rows and names the files that it supersedes. The listing of a source is the merge
of all files that no other one supersedes; of two rows with one key, the one that was listed later counts. So a
writer may add a small file as it goes and replace all by one at the end, and of two writers at once neither
can lose the other's rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from store.columns import hashes_from_hex, hashes_to_hex, pack_strings, unpack_strings
from store.errors import StoreFormatError
from store.files import read_committed
from store.hdf import build_image, open_image, read_about, read_array

LISTING_NAME = re.compile(r"(?P<n>\d{6,})-(?P<checksum>[0-9a-f]{32})\.h5")
OK = "ok"
GONE = "no longer in the source"
GIVEN_COLUMNS = ["key", "hash", "bytes", "mtime", "width", "height", "status"]
COLUMNS = [*GIVEN_COLUMNS, "listed"]  # the writer adds when
_REMEDY = "Delete it and embed the source again: vectors that are banked are not made anew."
_ATTEMPTS = 10
_NUMBERS = {"bytes": "i8", "mtime": "i8", "width": "i4", "height": "i4", "listed": "i8"}


Result = TypeVar("Result")


@dataclass(frozen=True)
class Listing:
    """The rows of a source.

    table: columns `key`, `hash` (32 hex digits; zeros where the file could not be read), `bytes`, `mtime`
    (nanoseconds since 1970), `width`, `height` (pixels as stored in the file, 0 if unknown), `status` (`ok`,
    or the reason why not), `listed` (when the row was made, nanoseconds since 1970), then one bool column a space
    id: whether the image's vectors were committed there.
    """

    source: str
    location: str
    table: pd.DataFrame
    files: tuple[str, ...] = ()

    @property
    def spaces(self) -> list[str]:
        """The ids of the spaces that rows of this listing were committed to."""
        return [column for column in self.table.columns if column not in COLUMNS]


def empty_listing_table() -> pd.DataFrame:
    """A listing table with no rows."""
    columns = {name: pd.Series(dtype=_NUMBERS.get(name, "str")) for name in COLUMNS}
    return pd.DataFrame(columns)


def listing_image(listing: Listing, supersedes: Sequence[str]) -> bytes:
    """The bytes of a listing file."""
    table = listing.table
    keys, key_ends = pack_strings(table["key"])
    statuses, status_ends = pack_strings(table["status"])
    datasets: dict[str, NDArray[Any]] = {
        "key": keys,
        "key_end": key_ends,
        "status": statuses,
        "status_end": status_ends,
        "hash": hashes_from_hex(table["hash"]),
        "banked": table[listing.spaces].to_numpy(np.uint8).reshape(len(table), len(listing.spaces)),
        **{name: table[name].to_numpy(dtype) for name, dtype in _NUMBERS.items()},
    }
    attributes = {
        "source": listing.source,
        "location": listing.location,
        "spaces": listing.spaces,
        "supersedes": list(supersedes),
    }
    return build_image(datasets, attributes)


def read_listing(directory: Path) -> Listing | None:
    """The current listing of a source; None where nothing was listed yet.

    Raises StoreFormatError for a damaged file. A file that a writer replaces in the meantime is no error:
    the directory is read again.
    """
    return _while_replaced(_read_current, directory)


def read_listing_file(path: Path) -> Listing:
    """The rows of one listing file, whether it is superseded or not. Raises StoreFormatError if it is damaged."""
    return _read_file(path)[0]


def listing_files(directory: Path) -> list[Path]:
    """All committed listing files of a source, oldest first."""
    if not directory.is_dir():
        return []
    matched = [(LISTING_NAME.fullmatch(path.name), path) for path in directory.iterdir()]
    return [path for _, path in sorted((int(match["n"]), path) for match, path in matched if match)]


def lost_listings(directory: Path) -> list[str]:
    """The numbers of listing files that somebody removed, as `2` or `2 to 4`, as far as can be told.

    A writer takes the number after the highest, and removes only what another file supersedes. So none is absent
    after the highest that is superseded. What was the highest of all itself leaves no trace. It checks no checksum;
    raises StoreFormatError for a file that does not say what it supersedes.
    """
    return _while_replaced(_gaps, directory)


def merge_listings(listings: Iterable[Listing]) -> Listing:
    """One listing of all rows; of two rows with one key the later counts, and banked is banked in either."""
    listings = list(listings)
    last = listings[-1]
    if len(listings) == 1:
        return last
    tables = [listing.table for listing in listings if len(listing.table)] or [last.table]
    table = pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0].copy(deep=False)
    spaces = [column for column in table.columns if column not in COLUMNS]
    table[spaces] = table[spaces].eq(True)
    if table["key"].duplicated().any():
        table[spaces] = table.groupby(["key", "hash"], sort=False)[spaces].transform("any")
        table = table.sort_values("listed", kind="stable")
        table = table.drop_duplicates("key", keep="last").sort_index().reset_index(drop=True)
    files = tuple(name for listing in listings for name in listing.files)
    return Listing(last.source, last.location, table, files)


def _while_replaced(read: Callable[[Path], Result], directory: Path) -> Result:
    """What `read` makes of a directory, from the start again where a writer replaced files meanwhile."""
    for _ in range(_ATTEMPTS - 1):
        with suppress(FileNotFoundError):
            return read(directory)
    return read(directory)


def _gaps(directory: Path) -> list[str]:
    files = listing_files(directory)
    superseded = (LISTING_NAME.fullmatch(name) for path in files for name in _supersedes(path))
    last = max((int(match["n"]) for match in superseded if match), default=0)
    gaps = []
    for number in sorted({int(path.name.split("-")[0]) for path in files}):
        if number > last + 1:
            gaps.append(f"{last + 1} to {number - 1}" if number > last + 2 else f"{last + 1}")
        last = max(last, number)
    return gaps


def _supersedes(path: Path) -> list[str]:
    with open_image(path, path) as file:
        return list(map(str, read_about(file)["supersedes"]))


def _read_current(directory: Path) -> Listing | None:
    read = [(_read_file(path), path.name) for path in listing_files(directory)]
    superseded = {name for (_, names), _ in read for name in names}
    current = [listing for (listing, _), name in read if name not in superseded]
    return merge_listings(current) if current else None


def _read_file(path: Path) -> tuple[Listing, list[str]]:
    with open_image(read_committed(path, LISTING_NAME, _REMEDY), path) as file:
        about = read_about(file)
        text = {
            name: unpack_strings(read_array(file, name, 1, "u1"), read_array(file, f"{name}_end", 1, "i8"))
            for name in ("key", "status")
        }
        columns = {
            "key": text["key"],
            "hash": hashes_to_hex(read_array(file, "hash", 2, "u1")),
            **{name: pd.Series(read_array(file, name, 1, dtype)) for name, dtype in _NUMBERS.items()},
            "status": text["status"],
        }
        banked, spaces = read_array(file, "banked", 2, "u1").astype(bool), about["spaces"]
        if banked.shape[1] != len(spaces) or not all(isinstance(space, str) for space in spaces):
            raise ValueError(f"it has {banked.shape[1]} columns for the spaces {spaces}")
        if not columns.keys().isdisjoint(spaces):
            raise ValueError(f"{', '.join(columns.keys() & set(spaces))} is the name of no space")
        columns |= {space: pd.Series(banked[:, i]) for i, space in enumerate(spaces)}
        if len({len(column) for column in columns.values()}) != 1:
            raise StoreFormatError(f"{path} is damaged: its columns are of different lengths.")
        listing = Listing(str(about["source"]), str(about["location"]), pd.DataFrame(columns), (path.name,))
        return listing, list(map(str, about["supersedes"]))
