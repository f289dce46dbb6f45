"""Removal of a source or a space: it is gone for readers in one step, and its files follow."""

from __future__ import annotations

import re
import secrets
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from store.commit import sync_directory
from store.errors import StoreError, StoreWriteError
from store.feature_store import FeatureStore, check_store
from store.listing import COLUMNS, read_listing
from store.object_path import ObjectPath, store_path
from store.space import RECIPE_FILE, SPACE_NAME
from store.writer import StoreWriter

# In the root of the store, where readers ignore what they do not know.
_TRASH = re.compile(r"\.trash-[0-9a-f]{8}")


def remove_source(path: str | Path, name: str) -> None:
    """Removes the listing of a source, and all thumbnails. Its vectors stay: another source may have the same images.

    No job should be embedding this source. Raises StoreError if there is no such source.
    """
    path = store_path(path)
    check_store(path)
    names = _names(path / "sources")
    if name not in names:
        raise StoreError(f"{path} has no source {name!r}; its sources: {', '.join(names) or 'none yet'}.")
    thumbnails = path / "cache" / "thumbnails"
    if thumbnails.is_dir():  # first: if that fails, the same command can be run again
        _throw_away(path, thumbnails)
    _throw_away(path, path / "sources" / name)


def remove_space(path: str | Path, space: str) -> str:
    """Removes all vectors of one recipe and returns the id of the space.

    space: its id, or a backbone where only one recipe of it is banked. Listings forget that images were banked there
    before the vectors go, so that no moment shows a promise that is not kept. No job should be writing to
    the space. Raises UnknownSpaceError.
    """
    path = store_path(path)
    check_store(path)
    known = SPACE_NAME.fullmatch(space) and space in _names(path / "spaces")
    id_ = space if known else FeatureStore(path).space(space).id  # a damaged space can be removed by its id
    for name in _names(path / "sources"):
        _forget(path, name, id_)
    _throw_away(path, path / "spaces" / id_)
    return id_


def sweep_trash(path: Path) -> None:
    """Deletes what a removal that was stopped had thrown away."""
    for entry in path.iterdir():
        if _TRASH.fullmatch(entry.name):
            _delete(entry)


def _forget(path: Path, source: str, space: str) -> None:
    listing = read_listing(path / "sources" / source)
    if listing and listing.source == source and space in listing.spaces and space not in COLUMNS:
        StoreWriter(path).rewrite_listing(replace(listing, table=listing.table.drop(columns=space)))


def _throw_away(path: Path, directory: Path) -> None:
    if isinstance(
        directory, ObjectPath
    ):  # no rename there: a space is one until its recipe goes, as the last
        directory.remove_below(last=RECIPE_FILE)
        return
    trash = path / f".trash-{secrets.token_hex(4)}"
    try:
        directory.rename(trash)
        sync_directory(path)
        sync_directory(directory.parent)
    except OSError as error:
        raise StoreWriteError(
            f"could not remove {directory}: {error.strerror}. Fix the permissions and run the same command again."
        ) from error
    sweep_trash(path)


def _delete(trash: Path) -> None:
    try:
        with suppress(FileNotFoundError):  # another removal deletes it too
            if trash.is_symlink() or not trash.is_dir():
                trash.unlink()
            else:
                shutil.rmtree(trash)
    except OSError as error:
        raise StoreWriteError(
            f"what was removed still takes space: {trash} could not be deleted: {error.strerror}. Delete it by hand."
        ) from error


def _names(parent: Path) -> list[str]:
    if not parent.is_dir():
        return []
    return sorted(child.name for child in parent.iterdir() if child.is_dir() and child.name[0] != ".")
