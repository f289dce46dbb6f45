"""Sources: where images come from, as a list of entries that can be read one by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from embedder.archive_source import ARCHIVE_SUFFIXES, archive_source, archive_stem, is_archive_name
from embedder.entries import (
    Entry,
    Source,
    file_entry,
    is_image_name,
    name_after,
    read_entry,
    sample_entries,
    shown,
)
from embedder.errors import ImageError, SourceError
from embedder.folder_source import file_below, folder_source
from embedder.remote_files import read_url, url_entries
from embedder.remote_source import path_of_url, remote_source, url_of_key
from embedder.table_source import table_source
from embedder.tfds_source import TFDS, tfds_source
from store.object_path import is_url
from store.tables import TABLE_SUFFIXES, is_table_name
from store.writer import check_name

__all__ = [
    "Entry",
    "Source",
    "files_as_entries",
    "may_be_there",
    "open_source",
    "read_entry",
    "reader_at",
    "sample_entries",
]

_KINDS = (
    f"a folder of images, a table ending in {', '.join(TABLE_SUFFIXES)}, an archive ending in "
    f"{', '.join(ARCHIVE_SUFFIXES)}, the URL of one of these, or {TFDS}NAME"
)


def open_source(spec: str | Path, name: str | None = None, *, may_download: bool = True) -> Source:
    """Lists a source: a folder (recursively), a table with a column `path`, an archive, the URL of one of these, or
    a data set as `tfds:NAME[:SPLIT]`.

    name: what the store calls it; by default the folder's or file's own. may_download: whether a data set that is
    not on this machine is fetched. Raises SourceError if there is no such thing, or no image in it.
    """
    if not str(spec):
        raise SourceError(f"the source is an empty name: expected {_KINDS}.")
    if name is not None:
        check_name("source", name)
    text = str(spec)
    if text.startswith(TFDS):
        return tfds_source(text, name, may_download)
    if is_url(text):
        return remote_source(text, name)
    path = Path(text.removeprefix("file://")).expanduser()
    if path.is_dir():
        return folder_source(path, name or name_after(path.resolve().name))
    if path.is_file() and is_table_name(path.name):
        return table_source(path, name or name_after(path.stem))
    if path.is_file() and is_archive_name(path.name):
        return archive_source(path, name or name_after(archive_stem(path.name)))
    if path.exists():
        raise SourceError(f"{path} is no source: expected {_KINDS}.")
    raise SourceError(f"there is no folder, table or archive at {path}; check the path.")


def files_as_entries(paths: list[str]) -> list[Entry]:
    """Entries for images and sources that a person named, keys as they named them; sources in order of keys."""
    entries: list[Entry] = []
    for path in paths:
        if is_url(path) and is_image_name(path.partition("?")[0].encode()):
            entries += url_entries({path: path})
        elif is_url(path) or path.startswith(TFDS) or Path(path).is_dir() or is_archive_name(path):
            entries += _entries_below(path)
        elif Path(path).exists():
            entries.append(file_entry(shown(path), path))
        else:
            raise SourceError(f"there is no image at {path}; check the path.")
    return entries


def _entries_below(path: str) -> list[Entry]:
    entries = open_source(path).entries
    return [
        Entry(shown(e.path) if e.reader is None else f"{path}/{e.key}", e.path, e.bytes, e.mtime, e.reader)
        for e in entries
    ]


def may_be_there(location: str) -> bool:
    """Whether the place that a source was listed from may still hold it; of what is elsewhere nobody asks."""
    return is_url(location) or location.startswith(TFDS) or Path(location).exists()


def reader_at(location: str, *, whole: bool = False) -> Callable[[str], bytes]:
    """What reads the image of a key, for a source at `location`; it raises ImageError with the reason.

    It is the way back from a store to single images, so it reads nothing but them: images of a data set or of
    an archive at a URL, which have to be copied whole, are not had, unless `whole`.
    """
    is_archive = is_archive_name(path_of_url(location) if is_url(location) else location)
    is_data_set = location.startswith(TFDS)
    if (is_data_set or (is_archive and is_url(location))) and not whole:
        return _failing(f"can only be had with all others of {location}")
    if is_data_set or is_archive:
        return _listed_reader(location)

    def read(key: str) -> bytes:
        if is_url(key):  # a row of a table
            return read_url(Entry(key, key, -1, -1))
        if is_url(location):
            return read_url(Entry(key, url_of_key(location, key), -1, -1))
        return read_entry(Entry(key, file_below(location, key), -1, -1))

    return read


def _listed_reader(location: str) -> Callable[[str], bytes]:
    try:
        entries = {entry.key: entry for entry in open_source(location, may_download=False).entries}
    except SourceError as error:
        return _failing(str(error))

    def read(key: str) -> bytes:
        if key not in entries:
            raise ImageError("is no longer in its archive or data set")
        return read_entry(entries[key])

    return read


def _failing(reason: str) -> Callable[[str], bytes]:
    def read(key: str) -> bytes:
        raise ImageError(reason)

    return read
