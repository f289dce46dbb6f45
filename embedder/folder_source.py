"""A folder of images, at any depth, as a source."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from embedder.entries import (
    Entry,
    Source,
    check_images,
    file_entry,
    is_image_name,
    key_of,
    passed_over,
    path_in_key,
    shown,
)
from embedder.errors import ImageError, SourceError


def folder_source(folder: Path, name: str) -> Source:
    """Lists a folder. A folder below it that cannot be listed is a note; the source is then not complete.

    Raises SourceError if the folder itself cannot be listed, or holds no image.
    """
    root = os.fsencode(folder)
    start = len(os.path.join(root, b""))  # noqa: PTH118 (relpath takes longer than all the rest of listing)
    entries: list[Entry] = []
    others, unlisted = 0, list[OSError]()
    for path in _walk(root, unlisted):
        if is_image_name(path):
            entries.append(file_entry(key_of(path[start:]), os.fsdecode(path)))
        else:
            others += 1
    notes = unlisted_note([f"{shown(error.filename)} ({error.strerror})" for error in unlisted])
    if unlisted and not entries:
        raise SourceError(f"there is no image in {folder}: {notes[0]}")
    check_images(entries, others, str(folder))
    entries.sort(key=lambda entry: entry.key)
    notes += passed_over(others, str(folder))
    return Source(name, str(folder.resolve()), entries, notes=notes, complete=not unlisted)


def unlisted_note(failures: list[str]) -> tuple[str, ...]:
    """The note on folders that could not be listed, each with its reason."""
    if not failures:
        return ()
    count = "1 folder" if len(failures) == 1 else f"{len(failures)} folders"
    more = ", …" if len(failures) > 3 else ""
    return (f"{count} could not be listed: {', '.join(failures[:3])}{more}.",)


def file_below(location: str, key: str) -> str:
    """The file of a key, for a folder or a table at `location`: the inverse of listing it.

    Raises ImageError for a key that leads out of the folder, which no listing of ours has.
    """
    folder, path = Path(location).is_dir(), path_in_key(key)
    if folder and (path.startswith(b"/") or b".." in path.split(b"/")):
        raise ImageError(f"{key} leads out of {location}")
    base = os.fsencode(location if folder else Path(location).parent)
    return os.fsdecode(os.path.join(base, path))  # noqa: PTH118 (bytes)


def _walk(root: bytes, unlisted: list[OSError]) -> Iterator[bytes]:
    """All files below a folder but hidden ones. Links to folders are followed, each folder is listed once.

    Links are followed last: an image that can be reached without them has the key of its own folder.
    """
    folders, links = deque([root]), deque[bytes]()
    seen: set[tuple[int, int]] = set()
    while folders or links:
        folder = folders.popleft() if folders else links.popleft()
        try:
            status = os.stat(folder)  # noqa: PTH116 (paths are bytes here: names need not be UTF-8)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as found:
                children = sorted(found, key=lambda child: child.name)
        except OSError as error:
            if folder == root:
                reason = error.strerror
                raise SourceError(
                    f"the folder {shown(os.fsdecode(root))} cannot be listed: {reason}."
                ) from error
            error.filename = os.fsdecode(folder)
            unlisted.append(error)
            continue
        for child in children:
            if child.name.startswith(b"."):
                continue
            if child.is_symlink() and os.path.isdir(child.path):  # noqa: PTH112 (Path.is_dir may raise)
                links.append(child.path)
            elif child.is_dir(follow_symlinks=False):
                folders.append(child.path)
            else:
                yield child.path
