"""A table with a column `path` as a source; its other columns are labels."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pandas as pd

from embedder.entries import Entry, Source, file_entry, key_of
from embedder.errors import SourceError
from embedder.remote_files import url_entries
from store.errors import LabelTableError
from store.labels import LabelTable, make_label_table
from store.object_path import is_url
from store.tables import parse_table


def table_source(path: Path, name: str) -> Source:
    """Lists the images that a table on this machine names: by paths relative to it, absolute ones, or URLs.

    Raises SourceError if it cannot be read or names no image.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"could not read the table {path}: {error.strerror}.") from error

    def entries(paths: list[str]) -> list[Entry]:
        return [file_entry(key_of(os.fsencode(text)), str(path.parent / text)) for text in paths]

    return list_table(data, str(path), name, str(path.resolve()), entries)


def list_table(
    data: bytes, shown_as: str, name: str, location: str, entries_of: Callable[[list[str]], list[Entry]]
) -> Source:
    """The source that a table's bytes describe. entries_of: makes entries of paths that are no URLs."""
    try:
        table = parse_table(shown_as, data)
    except LabelTableError as error:
        raise SourceError(str(error)) from error
    table.columns = [str(column).strip() for column in table.columns]
    if "path" not in table:
        raise SourceError(
            f"{shown_as} has no column 'path' that says where each image is; its columns: {', '.join(table.columns)}."
        )
    total = len(table)
    table = table.dropna(subset=["path"]).astype({"path": "str"})
    if table.empty:
        raise SourceError(f"{shown_as} names no image: its column 'path' is empty.")
    table["path"] = table["path"].map(_plain)
    notes = (f"{total - len(table)} rows of {shown_as} have no path.",) if len(table) < total else ()
    labels, conflicts = _labels(table, name, shown_as)
    paths = pd.unique(table["path"]).tolist()
    entries = entries_of([text for text in paths if not is_url(text)])
    entries += url_entries({key_of(text.encode()): text for text in paths if is_url(text)})
    entries.sort(key=lambda entry: entry.key)
    return Source(name, location, entries, labels, (*notes, *conflicts))


def _plain(path: str) -> str:
    return path if is_url(path) else PurePosixPath(path.replace(os.sep, "/")).as_posix()


def _labels(table: pd.DataFrame, name: str, shown_as: str) -> tuple[LabelTable | None, tuple[str, ...]]:
    """The other columns as a label table, and the note on rows that contradict each other."""
    if len(table.columns) == 1:
        return None, ()
    labels, repeats = make_label_table(name, table, on="key", source=name, column="path")
    keys = labels.table["key"].map(lambda text: key_of(os.fsencode(text)))
    labels = LabelTable(labels.name, labels.on, labels.source, labels.table.assign(key=keys))
    if not repeats.conflicts:
        return labels, ()
    return labels, (
        f"{len(repeats.conflicts)} images stand in {shown_as} more than once with different labels "
        f"(the first: {repeats.conflicts[0].value}); the first row counts.",
    )
