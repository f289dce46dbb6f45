"""Listings: many small files read as one, and of two writers neither loses what the other wrote."""

import io
import itertools
import json
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import store.listing
import store.writer
from store.commit import checksum, commit_file
from store.errors import StoreError, StoreFormatError, StoreWriteError
from store.listing import (
    GIVEN_COLUMNS,
    LISTING_NAME,
    OK,
    Listing,
    empty_listing_table,
    listing_files,
    listing_image,
    lost_listings,
    merge_listings,
    read_listing,
)
from store.writer import StoreWriter

SPACE, OTHER = "ResNet50-0123456789ab", "Xception-0123456789ab"
ZEROS = "0" * 32


def _row(
    key: str, content: str = "", status: str = OK, banked: Mapping[str, bool] | None = None
) -> dict[str, Any]:
    hash_ = checksum((content or key).encode())
    return {
        "key": key, "hash": hash_, "bytes": 1 << 33, "mtime": 1_700_000_000_123_456_789,
        "width": 640, "height": 480, "status": status, **(banked or {}),
    }  # fmt: skip


def _table(*rows: Mapping[str, Any]) -> pd.DataFrame:
    if not rows:
        return empty_listing_table()
    return pd.concat([empty_listing_table(), pd.DataFrame(list(rows)).assign(listed=1)])


def _records(listing: Listing | None) -> dict[str, dict[str, Any]]:
    assert listing is not None
    assert listing.table["key"].is_unique
    records = listing.table.drop(columns="listed").to_dict("records")
    return {row["key"]: {str(column): value for column, value in row.items()} for row in records}


def _directory(path: Path) -> Path:
    return path / "sources" / "photos"


_KEYS = st.text(min_size=1, max_size=6)
_ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "key": _KEYS,
            "hash": st.sampled_from([ZEROS, checksum(b"1"), checksum(b"2")]),
            "bytes": st.integers(-1, 2**62),
            "mtime": st.integers(-1, 2**62),
            "width": st.integers(0, 2**31 - 1),
            "height": st.integers(0, 2**31 - 1),
            "status": st.sampled_from([OK, "not an image: ä", ""]),
            SPACE: st.booleans(),
            OTHER: st.booleans(),
        }
    ),
    max_size=8,
    unique_by=lambda row: str(row["key"]),
)


@settings(deadline=None)
@given(rows=_ROWS, spaces=st.sampled_from([[], [SPACE], [OTHER, SPACE]]), location=st.text(max_size=5))
def test_rows_come_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], spaces: list[str], location: str
) -> None:
    columns = [*GIVEN_COLUMNS, *spaces]
    table = pd.DataFrame(rows, columns=columns) if rows else empty_listing_table().reindex(columns=columns)
    directory = tmp_path_factory.mktemp("listing")
    commit_file(
        directory, "000001", ".h5", listing_image(Listing("photos", location, table.assign(listed=1)), [])
    )
    listing = read_listing(directory)
    assert listing is not None
    assert (listing.source, listing.location, listing.spaces) == ("photos", location, spaces)
    assert listing.table.drop(columns="listed").to_dict("records") == table.to_dict("records")
    assert {str(listing.table[name].dtype) for name in ("bytes", "mtime")} == {"int64"}


def test_a_source_that_was_never_listed_has_no_listing(tmp_path: Path) -> None:
    assert read_listing(tmp_path / "absent") is None
    assert read_listing(tmp_path) is None


def _expected(files: list[list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """The merge as a dict says it: later rows count, banked is banked in any file for the same bytes."""
    expected: dict[str, dict[str, Any]] = {}
    banked: dict[tuple[str, str], dict[str, bool]] = {}
    for row in itertools.chain(*files):
        flags = banked.setdefault((row["key"], row["hash"]), {SPACE: False, OTHER: False})
        for space in flags:
            flags[space] |= row[space]
        expected[row["key"]] = row
    return {key: row | banked[key, row["hash"]] for key, row in expected.items()}


@settings(deadline=None, max_examples=40)
@given(files=st.lists(_ROWS, min_size=1, max_size=4), replaced=st.booleans())
def test_small_files_read_as_one(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[dict[str, Any]]], replaced: bool
) -> None:
    path = tmp_path_factory.mktemp("listing") / "s.embank"
    writer = StoreWriter(path)
    tables = [pd.DataFrame(rows, columns=[*GIVEN_COLUMNS, SPACE, OTHER]) for rows in files]
    for table in tables[:-1] if replaced else tables:
        writer.add_to_listing("photos", "/p", table)
    if replaced:
        writer.replace_listing("photos", "/p", tables[-1])
        assert len(listing_files(_directory(path))) == 1
    assert _records(read_listing(_directory(path))) == _expected(files)


def test_a_file_without_a_space_says_nothing_about_it(tmp_path: Path) -> None:
    """Another run banked the same bytes elsewhere; that it does not mention this space takes nothing back."""
    writer = StoreWriter(tmp_path / "s.embank")
    writer.add_to_listing(
        "photos", "/p", _table(_row("a", banked={SPACE: True}), _row("b", banked={SPACE: True}))
    )
    writer.add_to_listing(
        "photos", "/q", _table(_row("a", banked={OTHER: True}), _row("b", "new bytes", banked={OTHER: True}))
    )
    listing = read_listing(_directory(tmp_path / "s.embank"))
    rows = _records(listing)
    assert listing is not None
    assert listing.location == "/q"
    assert (rows["a"][SPACE], rows["a"][OTHER]) == (True, True)
    assert (rows["b"][SPACE], rows["b"][OTHER]) == (False, True)


def test_many_small_files_are_replaced_by_one(tmp_path: Path) -> None:
    """A long run commits thousands; all their names stand in the one that supersedes them."""
    directory = _directory(tmp_path / "s.embank")
    superseded = [f"{number:06d}-{'a' * 32}.h5" for number in range(5000)]
    listing = Listing("photos", "/p", _table(_row("a")))
    commit_file(directory, "005001", ".h5", listing_image(listing, superseded))
    assert _records(read_listing(directory)).keys() == {"a"}


def test_files_are_merged_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """999999 comes before 1000000, which is not the order of the names."""
    for number in (1_000_000, 999_999):
        listing = Listing("photos", "/p", _table(_row("a", status=f"status {number}")))
        commit_file(tmp_path, f"{number:06d}", ".h5", listing_image(listing, []))
    assert _records(read_listing(tmp_path))["a"]["status"] == "status 1000000"


def test_superseded_files_that_were_not_removed_are_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a crash between the commit of the new file and the removal of the old ones."""
    path = tmp_path / "s.embank"
    writer = StoreWriter(path)
    writer.add_to_listing("photos", "/p", _table(_row("a", "old bytes", banked={SPACE: True})))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        writer.replace_listing("photos", "/p", _table(_row("a", "new bytes", banked={SPACE: False})))
    assert len(listing_files(_directory(path))) == 2
    listing = read_listing(_directory(path))
    assert listing is not None
    assert len(listing.files) == 1
    assert _records(listing)["a"]["hash"] == checksum(b"new bytes")


def test_two_writers_that_replace_at_once_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have read the same files before either commits; a third adds rows in between."""
    path = tmp_path / "s.embank"
    StoreWriter(path).add_to_listing("photos", "/p", _table(_row("old", banked={SPACE: True})))
    StoreWriter(path).add_to_listing("photos", "/p", _table(_row("older")))
    both_have_read = threading.Barrier(2)
    real = merge_listings

    def merge(listings: list[Listing]) -> Listing:
        both_have_read.wait(timeout=60)
        StoreWriter(path).add_to_listing("photos", "/p", _table(_row(f"between {listings[1].location}")))
        return real(listings)

    monkeypatch.setattr(store.writer, "merge_listings", merge)
    errors: list[BaseException] = []

    def replace(name: str) -> None:
        try:
            StoreWriter(path).replace_listing("photos", name, _table(_row(name, banked={OTHER: True})))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=replace, args=[name]) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    rows = _records(read_listing(_directory(path)))
    assert rows.keys() == {"old", "older", "one", "two", "between one", "between two"}
    assert rows["old"][SPACE]
    assert rows["two"][OTHER]


def test_a_replacement_does_not_bring_back_what_another_writer_changed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.embank"
    writer = StoreWriter(path)
    writer.add_to_listing("photos", "/p", _table(_row("a", status="could not be read")))
    real = merge_listings

    def merge(listings: list[Listing]) -> Listing:
        StoreWriter(path).add_to_listing("photos", "/p", _table(_row("a", banked={SPACE: True})))
        return real(listings)

    monkeypatch.setattr(store.writer, "merge_listings", merge)
    writer.replace_listing("photos", "/p", _table(_row("b")))
    assert _records(read_listing(_directory(path)))["a"]["status"] == OK


def test_a_replacement_while_a_reader_reads_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.embank"
    writer = StoreWriter(path)
    writer.add_to_listing("photos", "/p", _table(_row("a")))
    writer.add_to_listing("photos", "/p", _table(_row("b")))
    replaced: list[bool] = []

    def list_then_replace(directory: Path) -> list[Path]:
        files = listing_files(directory)
        if not replaced:
            replaced.append(True)
            writer.replace_listing("photos", "/p", _table(_row("c")))
        return files

    monkeypatch.setattr(store.listing, "listing_files", list_then_replace)
    assert _records(read_listing(_directory(path))).keys() == {"a", "b", "c"}


def test_a_full_disk_keeps_the_listing_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.embank"
    writer = StoreWriter(path)
    writer.add_to_listing("photos", "/p", _table(_row("a")))
    writer.add_to_listing("photos", "/p", _table(_row("b")))

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.write", refuse)
        with pytest.raises(StoreWriteError, match="No space left"):
            writer.replace_listing("photos", "/p", _table(_row("c")))
    assert _records(read_listing(_directory(path))).keys() == {"a", "b"}


def test_merging_is_the_later_row_for_each_key() -> None:
    one = Listing("photos", "/p", _table(_row("a"), _row("b")), ("1",))
    two = Listing("photos", "/p", _table(_row("b", status="gone")), ("2", "3"))
    merged = merge_listings(iter([one, two]))
    assert merged.files == ("1", "2", "3")
    assert merged.table["status"].tolist() == [OK, "gone"]
    assert merge_listings([one]) is one


@pytest.mark.parametrize("at", ["first", "middle", "last"])
def test_a_damaged_file_is_refused(tmp_path: Path, at: str) -> None:
    path = tmp_path / "s.embank"
    StoreWriter(path).add_to_listing("photos", "/p", _table(_row("a")))
    (file,) = listing_files(_directory(path))
    data = bytearray(file.read_bytes())
    data[{"first": 0, "middle": len(data) // 2, "last": -1}[at]] ^= 1
    file.write_bytes(data)
    with pytest.raises(StoreFormatError, match=rf"{re.escape(str(file))} is damaged: .*checksum.* Delete it"):
        read_listing(_directory(path))


@pytest.mark.parametrize(
    "change",
    [
        {"spaces": ["a", "b", "c"]}, {"spaces": 5}, {"supersedes": None}, {"key_end": np.array([1, 2])},
        {"hash": np.zeros((1, 8), np.uint8)}, {"bytes": np.zeros(2, np.int64)}, {"status": None},
        {"banked": np.zeros((1, 0), np.uint8)}, {"mtime": np.zeros(1, np.float64)}, {"source": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_file_of_another_shape_is_refused_though_its_checksum_is_right(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    image = io.BytesIO(listing_image(Listing("photos", "/p", _table(_row("a", banked={SPACE: True}))), []))
    with h5py.File(image, "r+") as file:
        about = json.loads(file["about"][()].tobytes())
        for name, value in change.items():
            holder = file if name in file else about
            del holder[name]
            if value is not None:
                holder[name] = value
        del file["about"]
        file["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    commit_file(tmp_path, "000001", ".h5", image.getvalue())
    with pytest.raises(StoreFormatError, match="damaged"):
        read_listing(tmp_path)


def test_other_files_of_the_directory_are_not_listings(tmp_path: Path) -> None:
    commit_file(tmp_path, "000001", ".h5", listing_image(Listing("photos", "/p", _table(_row("a"))), []))
    (tmp_path / ".tmp-00000000-1-00000000").write_bytes(b"half")
    (tmp_path / "000002.h5").write_bytes(b"")
    assert [bool(LISTING_NAME.fullmatch(path.name)) for path in listing_files(tmp_path)] == [True]
    assert _records(read_listing(tmp_path)).keys() == {"a"}


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "/etc", "a\\b", "-x", " x", "x ", "x.", "x" * 101, "a\nb"]
)
def test_a_name_that_could_leave_the_store_is_refused(tmp_path: Path, name: str) -> None:
    writer = StoreWriter(tmp_path / "s.embank")
    with pytest.raises(StoreError, match="cannot be the name of a source"):
        writer.add_to_listing(name, "/p", _table(_row("a")))
    assert [path.name for path in (tmp_path / "s.embank").iterdir()] == ["embank.json"]


def test_a_file_that_is_replaced_meanwhile_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look at the directory finds a file that a writer removes before it is read."""
    writer = StoreWriter(tmp_path)
    for number in range(3):
        writer.add_to_listing("photos", "/p", _table(_row(f"{number}")))
    directory = _directory(tmp_path)
    assert lost_listings(directory) == []
    files = listing_files(directory)
    looks = iter([[*files[1:], directory / f"000009-{'0' * 32}.h5"]])
    monkeypatch.setattr("store.listing.listing_files", lambda directory: next(looks, files))
    assert lost_listings(directory) == []
    monkeypatch.setattr("store.listing.listing_files", lambda _: files[2:])
    assert lost_listings(directory) == ["1 to 2"]
