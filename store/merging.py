"""Merge: everything that another store holds, put into this one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from store.commit import commit_file
from store.compaction import rows_of, sound_bytes
from store.errors import StoreError, StoreFormatError
from store.feature_store import FeatureStore
from store.labels import LabelTable
from store.listing import Listing, merge_listings
from store.object_path import in_parallel
from store.part import PART_NAME, Part
from store.space import Space, part_files
from store.writer import StoreWriter

_ATTEMPTS = 10


@dataclass
class MergeReport:
    """What came in. rows: of the parts that were copied. renamed: label tables whose name was taken."""

    parts: int = 0
    rows: int = 0
    sources: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)


def merge(
    target: str | Path,
    other: str | Path,
    rename: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> MergeReport:
    """Copies the parts, listings and label tables of `other` into `target`; what is there already is not copied.

    Of two rows of a source with one key the one that was listed later counts. A label table whose name is taken by
    another one comes in under a new name. rename: new names for sources of `other`; parts go on telling the old one.
    progress: called with parts done and parts in all. Stopped half-way, it goes on when it is called again. Raises
    StoreError where a source of the same name is from elsewhere, before anything is written.
    """
    ours, theirs = FeatureStore(target), FeatureStore(other)
    if ours.path.resolve() == theirs.path.resolve():
        raise StoreError(f"{target} and {other} are the same store: there is nothing to merge.")
    rename = rename or {}
    listings = _renamed_listings(ours, theirs, rename)
    report = MergeReport()
    writer = StoreWriter(ours.path)
    total = sum(len(space.parts) for space in theirs.spaces.values())
    done = 0
    for space in theirs.spaces.values():
        for _ in _merge_space(writer, space, report):
            done += 1
            if progress:
                progress(min(done, total), total)
    for listing in listings:
        if _merge_listing(writer, ours.sources.get(listing.source), listing):
            report.sources.append(listing.source)
    tables = dict(ours.label_tables)
    for labels in theirs.label_tables.values():
        source = rename.get(labels.source, labels.source) if labels.source else None
        _merge_labels(writer, tables, replace(labels, source=source), report)
    return report


def _renamed_listings(ours: FeatureStore, theirs: FeatureStore, rename: Mapping[str, str]) -> list[Listing]:
    unknown = sorted(set(rename) - set(theirs.sources))
    if unknown:
        raise StoreError(
            f"{theirs.path} has no source {unknown[0]!r} to rename; its sources: {', '.join(theirs.sources)}."
        )
    listings = []
    for name, listing in theirs.sources.items():
        new = rename.get(name, name)
        mine = ours.sources.get(new)
        if mine and mine.location != listing.location:
            raise StoreError(
                f"both stores have a source called {new!r}, {ours.path} from {mine.location} and {theirs.path} from "
                f"{listing.location}. Bring the second in under another name: --rename {name}=NEW."
            )
        listings.append(replace(listing, source=new, files=()))
    taken = [listing.source for listing in listings]
    if len(set(taken)) < len(taken):
        raise StoreError("two sources would get the same name: give each another one.")
    return listings


def _merge_space(writer: StoreWriter, space: Space, report: MergeReport) -> Iterator[None]:
    """Yields after each part."""
    directory = writer.path / "spaces" / writer.open_space(space.recipe)
    for attempt in range(_ATTEMPTS):
        mine = Space(directory)
        if mine.parts and space.parts and mine.dim != space.dim:
            raise StoreFormatError(
                f"{space.directory} has vectors of {space.dim} dimensions, {directory} of {mine.dim}: one of them is "
                "foreign. `embank verify` may say which."
            )
        try:
            for part in in_parallel(Part.read, [file.path for file in space.parts]):
                if not _holds(mine, part):
                    _copy_part(directory, part)
                    report.parts += 1
                    report.rows += part.rows
                yield
            return
        except FileNotFoundError:  # a compaction of the other store removed it: go on with what replaced it
            if attempt == _ATTEMPTS - 1:
                raise
            space = Space(space.directory)


def _holds(space: Space, part: Part) -> bool:
    """Whether all rows of the part are in the space."""
    return all(
        bool((space.find(part.hash[part.view == view], int(view)) >= 0).all())
        for view in np.unique(part.view)
    )


def _copy_part(directory: Path, part: Part) -> None:
    """Byte for byte, under the next number. What it supersedes may stay in it: it has those rows."""
    data = sound_bytes(part.path)
    if not np.isfinite(rows_of(part, data).vectors).all():
        raise StoreFormatError(
            f"{part.path} has vectors that are not finite: delete it and embed its source again."
        )
    match = PART_NAME.fullmatch(part.path.name)
    numbers = [int(path.name.split("-")[0]) for path in part_files(directory)]
    writer = match["writer"] if match else ""
    commit_file(directory, f"{max(numbers, default=0) + 1:06d}-{writer}", ".h5", data)


def _merge_listing(writer: StoreWriter, ours: Listing | None, theirs: Listing) -> bool:
    """Whether there was anything new. Where both saw a key at the same time, ours counts, and our location does."""
    if ours is None:
        writer.rewrite_listing(theirs)
        return True
    merged = merge_listings([theirs, ours])
    if _in_order(merged.table).equals(_in_order(ours.table)):
        return False
    writer.rewrite_listing(merged)
    return True


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    return table[sorted(table.columns)].sort_values("key", ignore_index=True)


def _merge_labels(
    writer: StoreWriter, tables: dict[str, LabelTable], theirs: LabelTable, report: MergeReport
) -> None:
    name, number = theirs.name, 1
    while name in tables:
        mine = tables[name]
        if (mine.on, mine.source) == (theirs.on, theirs.source) and mine.table.equals(theirs.table):
            return
        number += 1
        name = f"{theirs.name}-{number}"
    if name != theirs.name:
        report.renamed[theirs.name] = name
    tables[name] = replace(theirs, name=name)
    writer.attach_labels(tables[name])
    report.labels.append(name)
