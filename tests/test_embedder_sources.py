"""Sources: what is listed, under which key, in which order; and that nothing odd in a folder stops a job."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import fsspec
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedder import Recipe, embed
from embedder.entries import key_of
from embedder.errors import ImageError, SourceError
from embedder.folder_source import file_below
from embedder.sources import (
    Entry,
    Source,
    files_as_entries,
    may_be_there,
    open_source,
    read_entry,
    reader_at,
    sample_entries,
)
from embedder.thumbnails import thumbnails
from store import FeatureStore

if TYPE_CHECKING:
    from tests.conftest import FakeEngines, WritePhoto

any_bytes_names = pytest.mark.skipif(
    sys.platform != "linux", reason="file names need not be UTF-8 on Linux only"
)


def keys(source: Source) -> list[str]:
    return [entry.key for entry in source.entries]


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())


def test_a_folder_is_listed_to_any_depth_in_order_of_keys(tmp_path: Path) -> None:
    names = [
        "b/2.jpg",
        "b/10.JPG",
        "a.png",
        "b/c/d/e.TIFF",
        "Z.webp",
        "b.jpg",
        "ä/ö.gif",
        "a b/c.bmp",
        "f.jpeg",
    ]
    touch(tmp_path, *names)
    source = open_source(tmp_path)
    assert keys(source) == sorted(names)
    assert source.location == str(tmp_path)
    assert source.notes == ()
    for entry in source.entries:
        status = (tmp_path / entry.key).stat()
        assert (entry.bytes, entry.mtime) == (status.st_size, status.st_mtime_ns)
        assert read_entry(entry) == entry.key.encode()
        assert file_below(source.location, entry.key) == entry.path


def test_hidden_files_are_passed_over_and_others_counted(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", ".b.jpg", ".git/c.jpg", "d/.e/f.jpg", "notes.txt", "d/Thumbs.db", "jpg")
    source = open_source(tmp_path)
    assert keys(source) == ["a.jpg"]
    assert "3 files" in source.notes[0]


def test_a_source_is_called_like_its_folder_or_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "pets/a.jpg")
    (tmp_path / "list.csv").write_text("path\npets/a.jpg\n")
    assert open_source(tmp_path / "pets").name == "pets"
    assert open_source(str(tmp_path / "list.csv")).name == "list"
    assert open_source(tmp_path / "pets", name="other").name == "other"
    monkeypatch.chdir(tmp_path / "pets")
    relative = open_source(".")
    assert (relative.name, relative.location) == ("pets", str(tmp_path / "pets"))
    assert keys(relative) == ["a.jpg"]


def test_links_are_followed_once(tmp_path: Path) -> None:
    touch(tmp_path, "photos/a/1.jpg", "elsewhere/2.jpg", "3.jpg")
    photos = tmp_path / "photos"
    (photos / "a" / "back").symlink_to(photos)
    (photos / "itself").symlink_to("itself")
    (photos / "linked").symlink_to(tmp_path / "elsewhere")
    (photos / "linked" / "there").symlink_to(tmp_path / "elsewhere")
    (photos / "one.jpg").symlink_to(tmp_path / "3.jpg")
    source = open_source(photos)
    assert keys(source) == ["a/1.jpg", "linked/2.jpg", "one.jpg"]
    assert read_entry(source.entries[2]) == b"3.jpg"
    assert "1 files" in source.notes[0]


@any_bytes_names
def test_names_of_any_bytes_get_their_own_reversible_keys(tmp_path: Path) -> None:
    names = [
        b"\xff.jpg",
        b"\\xff.jpg",
        b"a\\b.jpg",
        b"a\\\\b.jpg",
        b"\xe4\\x41.jpg",
        "ÿ.jpg".encode(),
        b"c\xff\\d/e.jpg",
    ]
    for name in names:
        path = os.path.join(os.fsencode(tmp_path), name)  # noqa: PTH118
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(name)
    source = open_source(tmp_path)
    assert len(set(keys(source))) == len(names)
    assert sorted(map(read_entry, source.entries)) == sorted(names)
    for entry in source.entries:
        entry.key.encode("utf-8")
        assert file_below(source.location, entry.key) == entry.path
        assert entry.key == key_of(read_entry(entry))


@any_bytes_names
@given(
    st.lists(st.binary(min_size=1).filter(lambda name: not set(name) & set(b"\0/")), min_size=1, unique=True)
)
def test_keys_are_distinct_and_reversible(names: list[bytes]) -> None:
    written = [key_of(name) for name in names]
    assert len(set(written)) == len(names)
    for name, key in zip(names, written, strict=True):
        if name != b"..":  # which no folder lists
            assert os.fsencode(file_below("/", key)) == b"/" + name
        if name.isascii() and b"\\" not in name:
            assert key == name.decode()


@pytest.mark.parametrize("folder", ["missing", "a/b/missing"])
def test_a_missing_folder(tmp_path: Path, folder: str) -> None:
    with pytest.raises(SourceError, match=rf"there is no folder, table or archive at .*{folder}"):
        open_source(tmp_path / folder)


def test_a_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"there is no image in .*\.jpg"):
        open_source(tmp_path)
    touch(tmp_path, "a.txt", "b/c.mp4")
    with pytest.raises(SourceError, match="2 other files"):
        open_source(tmp_path)


def test_a_file_is_no_source(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.xlsx")
    for name in ("a.jpg", "b.xlsx"):
        with pytest.raises(SourceError, match=rf"{name} is no source: expected a folder"):
            open_source(tmp_path / name)


@pytest.fixture
def refuse_to_list(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes folders of this name another user's; root could list them all the same."""
    scandir = os.scandir

    def refuse(name: str) -> None:
        def refusing(path: bytes) -> object:
            if path.endswith(name.encode()):
                raise PermissionError(13, "Permission denied", path)
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refusing)

    return refuse


def test_a_folder_below_that_cannot_be_listed_is_a_note(
    tmp_path: Path, refuse_to_list: Callable[[str], None]
) -> None:
    touch(tmp_path, "a.jpg", "locked/b.jpg", "open/c.jpg", "open/locked/d.jpg")
    assert open_source(tmp_path).complete
    refuse_to_list("locked")
    source = open_source(tmp_path)
    assert keys(source) == ["a.jpg", "open/c.jpg"]
    assert not source.complete
    assert source.notes == (
        f"2 folders could not be listed: {tmp_path}/locked (Permission denied), "
        f"{tmp_path}/open/locked (Permission denied).",
    )


def test_a_folder_that_cannot_be_listed_is_said(
    tmp_path: Path, refuse_to_list: Callable[[str], None]
) -> None:
    touch(tmp_path, "photos/locked/b.jpg")
    refuse_to_list("locked")
    with pytest.raises(SourceError, match=r"no image in .*photos: 1 folder could not be listed.*locked"):
        open_source(tmp_path / "photos")
    refuse_to_list("photos")
    with pytest.raises(SourceError, match="photos cannot be listed: Permission denied"):
        open_source(tmp_path / "photos")


def test_a_link_into_a_folder_that_may_not_be_entered_is_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a.jpg")
    (tmp_path / "link.jpg").symlink_to("/elsewhere")
    status = os.stat

    def refusing(path: str | bytes | int, **options: bool) -> os.stat_result:
        if os.fspath(path).endswith(b"link.jpg" if isinstance(path, bytes) else "link.jpg"):  # type: ignore[arg-type]
            raise PermissionError(13, "Permission denied", path)
        return status(path, **options)

    monkeypatch.setattr(os, "stat", refusing)
    assert keys(open_source(tmp_path)) == ["a.jpg", "link.jpg"]


def test_odd_names_are_listed_and_read(tmp_path: Path) -> None:
    names = [
        "new\nline.jpg",
        "a" * 251 + ".jpg",
        " .jpg",
        "*?[].jpg",
        "'\".jpg",
        "\u202e.jpg",
        "\u00e9.jpg",
        "e\u0301.jpg",
    ]
    touch(tmp_path, *names)
    source = open_source(tmp_path)
    assert set(keys(source)) == {name.replace("\\", "\\\\") for name in names}
    assert {read_entry(entry) for entry in source.entries} == {name.encode() for name in names}


def test_a_very_deep_folder_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = "d/" * 1100
    monkeypatch.chdir(tmp_path)
    for _ in range(1100):
        Path("d").mkdir()
        os.chdir("d")
    Path("x.jpg").write_bytes(b"deep")
    os.chdir(tmp_path)
    try:
        assert keys(open_source(tmp_path)) == [f"{deep}x.jpg"]
    finally:  # what clears temporary folders up would not get so deep
        Path(deep, "x.jpg").unlink()
        for depth in range(1100, 0, -1):
            Path("d/" * depth).rmdir()


def test_a_file_that_vanishes_or_changes_after_it_was_listed(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    gone, changed, device = open_source(tmp_path).entries
    (tmp_path / "a.jpg").unlink()
    (tmp_path / "b.jpg").write_bytes(b"longer than it was")
    (tmp_path / "c.jpg").unlink()
    (tmp_path / "c.jpg").symlink_to("/dev/zero")
    with pytest.raises(ImageError, match="there is no such file"):
        read_entry(gone)
    assert read_entry(changed) == b"longer than it was"
    with pytest.raises(ImageError, match="not a regular file"):
        read_entry(device)


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "tar.gz", "url"])
def test_a_job_embeds_every_kind_once(
    photos: Path, tmp_path: Path, fake_engine: FakeEngines, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    spec = str(photos)
    if kind == "zip":
        spec = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "photos")
    elif kind.startswith("tar"):
        form = "gztar" if kind == "tar.gz" else "tar"
        spec = shutil.make_archive(str(tmp_path / "packed"), form, tmp_path, "photos")
    elif kind == "url":
        spec = "memory://photos"
        fsspec.filesystem("memory").put(str(photos), "/photos", recursive=True)
    recipe = Recipe("ResNet50", weights="none", image_size=32)
    assert embed(spec, tmp_path / "x.embank", recipe).embedded == 8
    store = FeatureStore(tmp_path / "x.embank")
    assert store.images()["folder"].tolist() == ["cats"] * 4 + ["dogs"] * 4
    assert None not in thumbnails(store, store.images())

    def refuse(entry: Entry) -> bytes:
        raise AssertionError(f"{entry} was read again")

    monkeypatch.setattr("embedder.pipeline.read_entry", refuse)
    again = embed(spec, tmp_path / "x.embank", recipe)
    assert (again.embedded, again.skipped) == (0, 8)


def test_a_sample_is_random_seeded_and_stable() -> None:
    entries = [Entry(f"{folder}/{number}.jpg", "", 0, 0) for folder in "abcd" for number in range(100)]
    ten, twenty = (sample_entries(entries, limit, seed=1) for limit in (10, 20))
    assert len(ten) == 10
    assert ten == sorted(ten, key=lambda entry: entry.key)
    assert set(ten) < set(twenty)
    assert ten != sample_entries(entries, 10, seed=2)
    assert {entry.key[0] for entry in twenty} == set("abcd")
    assert sample_entries(entries, 400, seed=1) == sample_entries(entries, None, seed=1) == entries
    fewer = [entry for entry in entries if entry in twenty or entry.key.startswith("a")]
    assert sample_entries(fewer, 20, seed=1) == twenty


def test_the_way_back_from_a_store_to_an_image(tmp_path: Path) -> None:
    touch(tmp_path, "photos/a b/1.jpg", "photos/back\\slash.jpg")
    (tmp_path / "list.csv").write_text("path\nphotos/a b/1.jpg\n")
    for spec in (tmp_path / "photos", tmp_path / "list.csv"):
        source = open_source(spec)
        read = reader_at(source.location)
        assert [read(entry.key) for entry in source.entries] == [
            read_entry(entry) for entry in source.entries
        ]
        with pytest.raises(ImageError, match="there is no such file"):
            read("other.jpg")
    for location in ("tfds:beans", "https://host/a.zip"):
        with pytest.raises(ImageError, match="only be had with all others"):
            reader_at(location)("train/000000")
        assert may_be_there(location)
    assert may_be_there(str(tmp_path / "photos"))
    assert not may_be_there(str(tmp_path / "moved"))


def test_what_cannot_be_read_has_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate((1 << 30) + 1)
    touch(tmp_path, "locked.jpg", "fine.jpg")
    opened = os.open

    def refusing(path: str, flags: int) -> int:
        if path.endswith("locked.jpg"):
            raise PermissionError(13, "Permission denied")
        return opened(path, flags)

    monkeypatch.setattr(os, "open", refusing)
    reasons = {}
    for entry in open_source(tmp_path).entries:
        try:
            read_entry(entry)
        except ImageError as error:
            reasons[entry.key] = str(error)
    assert reasons == {
        "pipe.jpg": "not a regular file",
        "gone.jpg": "there is no such file",
        "huge.jpg": "larger than 1 GiB",
        "locked.jpg": "could not be read (Permission denied)",
        "loop.jpg": "could not be read (Too many levels of symbolic links)",
    }


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files in /proc")
def test_a_folder_named_as_an_image_is_refused_and_leaves_no_file_open(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(ImageError, match="directory"):
            read_entry(Entry("folder.jpg", str(tmp_path / "folder.jpg"), -1, -1))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.fixture
def table() -> pd.DataFrame:
    """Paths out of order, with labels of three kinds."""
    paths = ["b/2.jpg", "a.jpg", "b/1.jpg"]
    return pd.DataFrame({"path": paths, "breed": ["cat", "dog", "NA"], "age": [1, 2, 3]})


def write_table(table: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_a_table_names_images_and_brings_labels(tmp_path: Path, table: pd.DataFrame, suffix: str) -> None:
    touch(tmp_path, "a.jpg", "b/1.jpg", "b/2.jpg")
    source = open_source(write_table(table, tmp_path / f"list{suffix}"))
    assert keys(source) == ["a.jpg", "b/1.jpg", "b/2.jpg"]
    assert [read_entry(entry) for entry in source.entries] == [b"a.jpg", b"b/1.jpg", b"b/2.jpg"]
    assert [file_below(source.location, key) for key in keys(source)] == [
        entry.path for entry in source.entries
    ]
    assert source.labels is not None
    assert (source.labels.on, source.labels.source) == ("key", "list")
    labels = source.labels.table.set_index("key").sort_index()
    assert labels["breed"].tolist() == ["dog", "NA", "cat"]
    assert labels["age"].tolist() == [2, 3, 1]


def test_paths_may_be_absolute_and_written_in_several_ways(tmp_path: Path) -> None:
    touch(tmp_path, "tables/a.jpg", "far/b.jpg", "back\\slash.jpg")
    far = tmp_path / "far" / "b.jpg"
    rows = ["./a.jpg", "a.jpg", "..//far/b.jpg", str(far), "../back\\slash.jpg"]
    pd.DataFrame({"path": rows, "n": [1, 1, 2, 3, 4]}).to_csv(tmp_path / "tables" / "list.csv", index=False)
    source = open_source(tmp_path / "tables" / "list.csv")
    assert keys(source) == sorted(["a.jpg", "../far/b.jpg", str(far), "../back\\\\slash.jpg"])
    assert {entry.key: read_entry(entry) for entry in source.entries} == {
        "a.jpg": b"tables/a.jpg",
        "../far/b.jpg": b"far/b.jpg",
        str(far): b"far/b.jpg",
        "../back\\\\slash.jpg": b"back\\slash.jpg",
    }
    assert source.labels is not None
    assert set(source.labels.table["key"]) == set(keys(source))


def test_an_image_named_twice_is_listed_once_and_conflicts_are_said(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "list.csv").write_text("path,breed\na.jpg,cat\nb.jpg,dog\na.jpg,cat\nb.jpg,fox\n")
    source = open_source(tmp_path / "list.csv")
    assert keys(source) == ["a.jpg", "b.jpg"]
    assert len(source.notes) == 1
    assert "1 images" in source.notes[0]
    assert "b.jpg" in source.notes[0]
    assert source.labels is not None
    assert source.labels.table["breed"].tolist() == ["cat", "dog"]


def test_a_table_of_paths_alone_has_no_labels(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(" path \nb.jpg\n\na.jpg\n")
    source = open_source(tmp_path / "list.csv")
    assert keys(source) == ["a.jpg", "b.jpg"]
    assert source.labels is None
    assert [(entry.bytes, entry.mtime) for entry in source.entries] == [(-1, -1)] * 2
    with pytest.raises(ImageError, match="there is no such file"):
        read_entry(source.entries[0])


def test_rows_without_a_path_are_noted(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("path,breed\na.jpg,cat\n,dog\n")
    source = open_source(tmp_path / "list.csv")
    assert keys(source) == ["a.jpg"]
    assert "1 rows" in source.notes[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("file,breed\na.jpg,cat\n", "no column 'path'.*file, breed"),
        ("path,breed\n", "names no image"),
        ("path,breed\n,cat\n", "names no image"),
        ("", "list.csv"),
        ("path,breed\na.jpg,cat,dog,fox\n", "list.csv"),
    ],
    ids=["no path", "no rows", "no values", "empty", "ragged"],
)
def test_tables_that_cannot_be_used(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(SourceError, match=told):
        open_source(tmp_path / "list.csv")


def test_files_and_folders_that_a_person_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_photo: WritePhoto
) -> None:
    write_photo(tmp_path / "b.jpg")
    write_photo(tmp_path / "folder" / "2.jpg")
    write_photo(tmp_path / "folder" / "1.jpg")
    monkeypatch.chdir(tmp_path)
    entries = files_as_entries(["folder/", "b.jpg", str(tmp_path / "b.jpg")])
    assert [entry.key for entry in entries] == [
        "folder/1.jpg",
        "folder/2.jpg",
        "b.jpg",
        str(tmp_path / "b.jpg"),
    ]
    assert all(read_entry(entry) for entry in entries)
    with pytest.raises(SourceError, match=r"there is no image at nothing\.jpg"):
        files_as_entries(["b.jpg", "nothing.jpg"])
