"""Archives: the same keys as the unpacked folder, members read in place, and nothing hostile gets far."""

from __future__ import annotations

import gzip
import io
import os
import stat
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from embedder.errors import ImageError, SourceError
from embedder.sources import Source, files_as_entries, open_source, read_entry, reader_at

Names = dict[str, bytes]
Pack = Callable[[Path, Names], Path]
TAR_MODES = {".tar": "w:", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}
SUFFIXES = (".zip", *TAR_MODES)


def pack(path: Path, members: Names) -> Path:
    """An archive of the kind that its name says, with these members in their order."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(zipfile.ZipInfo(name, (2020, 5, 6, 7, 8, 10)), data, zipfile.ZIP_DEFLATED)
        return path
    mode = next(mode for suffix, mode in TAR_MODES.items() if path.name.endswith(suffix))
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1588748890
            tar.addfile(info, io.BytesIO(data))
    return path


def keys(source: Source) -> list[str]:
    return [entry.key for entry in source.entries]


def problem(source: Source, key: str) -> str:
    """Why an image cannot be read."""
    with pytest.raises(ImageError) as told:
        read_entry(next(entry for entry in source.entries if entry.key == key))
    return str(told.value)


PETS = {
    "pets/train/cat/2.jpg": b"two" * 99,
    "pets/readme.txt": b"",
    "pets/train/dog/ö.png": b"\0" * 5000,
    "pets/val/cat/1.jpg": b"one",
    "pets/val/.hidden.jpg": b"",
    "__MACOSX/pets/._1.jpg": b"",
}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_archive_has_the_keys_and_bytes_of_its_folder(tmp_path: Path, suffix: str) -> None:
    source = open_source(pack(tmp_path / f"my pets{suffix}", PETS))
    assert keys(source) == ["train/cat/2.jpg", "train/dog/ö.png", "val/cat/1.jpg"]
    assert (source.name, source.location, source.complete) == (
        "my pets",
        str(tmp_path / f"my pets{suffix}"),
        True,
    )
    assert [entry.bytes for entry in source.entries] == [297, 5000, 3]
    for entry in source.entries:
        assert entry.mtime // 10**9 == 1588748890
        assert read_entry(entry) == PETS[f"pets/{entry.key}"]
    notes = " ".join(source.notes)
    assert "1 files of" in notes
    assert ("temporary file" in notes) == (suffix not in (".zip", ".tar"))
    read = reader_at(source.location)
    assert read("val/cat/1.jpg") == b"one"
    with pytest.raises(ImageError, match="no longer in its archive"):
        read("val/cat/7.jpg")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_second_listing_says_that_nothing_has_changed(tmp_path: Path, suffix: str) -> None:
    path = pack(tmp_path / f"a{suffix}", PETS)
    first = open_source(path).entries
    time.sleep(0.01)
    assert open_source(path).entries == first


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz"])
def test_a_change_is_seen_where_an_archive_has_no_times(tmp_path: Path, suffix: str) -> None:
    def packed(data: bytes, year: int) -> Path:
        path = tmp_path / f"a{suffix}"
        if suffix == ".zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr(zipfile.ZipInfo("a.jpg"), data)
        else:
            with tarfile.open(path, TAR_MODES[suffix]) as tar:  # type: ignore[call-overload]
                info = tarfile.TarInfo("a.jpg")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        os.utime(path, ns=(year, year))
        return path

    before = open_source(packed(b"old", 1_000)).entries
    after = open_source(packed(b"new", 2_000)).entries
    assert before[0].bytes == after[0].bytes
    assert before[0].mtime != after[0].mtime


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.jpg", "b/c.jpg"], ["a.jpg", "b/c.jpg"]),
        (["x/a.jpg", "x/b/c.jpg"], ["a.jpg", "b/c.jpg"]),
        (["x/y/a.jpg"], ["y/a.jpg"]),
        (["train/cat/a.jpg", "train/dog/b.jpg"], ["train/cat/a.jpg", "train/dog/b.jpg"]),
        (["./x/a.jpg", "x//b.jpg", "readme/notes.txt"], ["a.jpg", "b.jpg"]),
    ],
    ids=["no top", "one top", "once only", "a split", "several spellings"],
)
def test_the_top_folder_is_in_no_key(tmp_path: Path, names: list[str], expected: list[str]) -> None:
    assert keys(open_source(pack(tmp_path / "a.tar", dict.fromkeys(names, b"x")))) == expected


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_names_that_lead_out_of_the_archive_are_passed_over(tmp_path: Path, suffix: str) -> None:
    bad = ["../a.jpg", "/etc/b.jpg", "C:/c.jpg", "x/../../d.jpg", "x/.."]
    source = open_source(pack(tmp_path / f"a{suffix}", dict.fromkeys([*bad, "ok/..e.jpg", "f..g.jpg"], b"x")))
    assert keys(source) == ["f..g.jpg"]
    assert any("5 members of" in note and "'../a.jpg'" in note for note in source.notes)


def test_windows_tools_write_backslashes(tmp_path: Path) -> None:
    source = open_source(
        pack(tmp_path / "a.zip", {"cat\\1.jpg": b"1", "dog\\2.jpg": b"2", "..\\3.jpg": b"3"})
    )
    assert keys(source) == ["cat/1.jpg", "dog/2.jpg"]
    assert [read_entry(entry) for entry in source.entries] == [b"1", b"2"]


def test_names_that_are_not_utf_8_are_those_of_the_unpacked_folder(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {"aa.jpg": b"latin", "bb.jpg": b"utf-8"})
    path.write_bytes(path.read_bytes().replace(b"aa.jpg", b"\xff_.jpg").replace(b"bb.jpg", "ä.jpg".encode()))
    source = open_source(path)
    assert {entry.key: read_entry(entry) for entry in source.entries} == {
        "\\xff_.jpg": b"latin",
        "ä.jpg": b"utf-8",
    }
    with tarfile.open(tmp_path / "b.tar", "w", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("\udcff\\.jpg"))
    assert keys(open_source(tmp_path / "b.tar")) == ["\\xff\\\\.jpg"]


def test_links_and_devices_are_passed_over(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            info = tarfile.TarInfo(f"{kind!r}.jpg")
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
        tar.addfile(tarfile.TarInfo("a.jpg"))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        link = zipfile.ZipInfo("link.jpg")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("a.jpg", b"")
    for name, count in (("a.tar", 4), ("a.zip", 1)):
        source = open_source(tmp_path / name)
        assert keys(source) == ["a.jpg"]
        assert source.notes == (f"{count} links or devices in {tmp_path / name} were passed over.",)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_of_two_members_of_one_name_the_last_counts(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for data in (b"old", b"newer"):
                archive.writestr("a.jpg", data)
    else:
        with tarfile.open(path, "w") as tar:
            for name, data in (("a.jpg", b"old"), ("./a.jpg", b"newer")):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    source = open_source(path)
    assert [(entry.key, entry.bytes, read_entry(entry)) for entry in source.entries] == [
        ("a.jpg", 5, b"newer")
    ]
    assert "1 members" in source.notes[0]


def test_a_damaged_member_has_its_reason_and_others_go_on(tmp_path: Path) -> None:
    stored = {f"{number}.jpg": bytes([number]) * 100 for number in range(1, 4)}
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in stored.items():
            archive.writestr(name, data)
    path.write_bytes(path.read_bytes().replace(b"\2" * 100, b"\2" * 99 + b"!"))
    source = open_source(path)
    assert "is damaged in its archive (Bad CRC-32" in problem(source, "2.jpg")
    assert [read_entry(source.entries[place]) for place in (0, 2)] == [stored["1.jpg"], stored["3.jpg"]]


def test_members_that_cannot_be_read_safely_have_their_reasons(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("lzma.jpg", b"\0" * 10_000, zipfile.ZIP_LZMA)
        archive.writestr("locked.jpg", b"secret")
        archive.writestr("large.jpg", b"")
        archive.writestr("liar.jpg", b"\0" * 10_000_000, zipfile.ZIP_DEFLATED)
        locked, large, liar = (archive.getinfo(f"{name}.jpg") for name in ("locked", "large", "liar"))
        locked.flag_bits |= 1
        large.file_size = (1 << 30) + 1
        liar.file_size = 100
    source = open_source(path)
    assert "other than deflate" in problem(source, "lzma.jpg")
    assert "encrypted" in problem(source, "locked.jpg")
    assert problem(source, "large.jpg") == "larger than 1 GiB"
    assert "is damaged" in problem(source, "liar.jpg")


def test_a_bomb_takes_no_more_memory_than_it_declares(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.jpg", bytes(200_000_000), zipfile.ZIP_DEFLATED)
        archive.getinfo("a.jpg").file_size = 1000
    source = open_source(path)
    import tracemalloc  # here: it slows down what it watches

    tracemalloc.start()
    try:
        assert "is damaged" in problem(source, "a.jpg")
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("damage", ["cut", "html", "empty"])
def test_a_damaged_archive_is_one_sentence(tmp_path: Path, suffix: str, damage: str) -> None:
    data = pack(tmp_path / f"a{suffix}", {**PETS, "z.jpg": os.urandom(30_000)}).read_bytes()
    broken = {"cut": data[: len(data) * 2 // 3], "html": b"<html>" * 500, "empty": b""}[damage]
    (tmp_path / f"a{suffix}").write_bytes(broken)
    with pytest.raises(
        SourceError, match=rf"a{suffix} is damaged, or no archive of its kind \(.+\): download"
    ):
        open_source(tmp_path / f"a{suffix}")


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tar", {f"{number}.jpg": bytes(600) for number in range(5)})
    data = bytearray(path.read_bytes())
    data[2 * 1536 + 150] ^= 1  # in the checksum of the third header
    path.write_bytes(data)
    with pytest.raises(SourceError, match="no header at byte 3072"):
        open_source(path)
    path.write_bytes(
        path.read_bytes()[: 2 * 1536]
    )  # without the zeros at the end, which some tools leave out
    assert keys(open_source(path)) == ["0.jpg", "1.jpg"]


def test_tar_headers_cannot_make_the_library_read_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def header(size: bytes, kind: bytes) -> bytes:
        block = bytearray(tarfile.TarInfo("a.jpg").tobuf(tarfile.USTAR_FORMAT))
        block[124:136], block[156:157] = size, kind
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        return bytes(block)

    (tmp_path / "back.tar").write_bytes(header(b"\xff" * 10 + struct.pack(">h", -1024), tarfile.REGTYPE))
    (tmp_path / "large.tar").write_bytes(header(b"%011o\0" % (3 << 20), tarfile.XHDTYPE) + bytes(3 << 20))
    for name in ("back.tar", "large.tar"):
        with pytest.raises(SourceError, match="a header of"):
            open_source(tmp_path / name)


def test_an_archive_without_images(tmp_path: Path) -> None:
    for suffix in (".zip", ".tar.gz"):
        path = pack(tmp_path / f"a{suffix}", {"notes.txt": b"", "inner.zip": b""})
        with pytest.raises(SourceError, match=r"no image in .* \(2 other files\)"):
            open_source(path)


def test_a_tar_that_is_cut_while_it_is_read(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tar", {"a.jpg": b"x" * 5000})
    source = open_source(path)
    os.truncate(path, 1000)
    assert problem(source, "a.jpg") == "its archive ends within it"


def test_decompressing_never_fills_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack(tmp_path / "a.tar.gz", {"a.jpg": bytes(3_000_000)})
    monkeypatch.setattr("embedder.temporary_files._LEAVE_FREE", 1 << 60)
    with pytest.raises(SourceError, match=r"a\.tar\.gz does not fit into the temporary folder .*TMPDIR"):
        open_source(path)


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.xz"])
def test_many_threads_may_read_at_once(tmp_path: Path, suffix: str) -> None:
    members = {f"{number:03}.jpg": bytes([number]) * (5000 + number) for number in range(200)}
    source = open_source(pack(tmp_path / f"a{suffix}", members))
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            assert list(pool.map(read_entry, source.entries)) == list(members.values())


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files in /proc")
def test_archives_leave_no_file_open(tmp_path: Path) -> None:
    paths = [pack(tmp_path / f"a{suffix}", PETS) for suffix in SUFFIXES]
    (tmp_path / "bad.zip").write_bytes(b"bad")
    (tmp_path / "bad.tgz").write_bytes(gzip.compress(b"bad"))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in paths:
        assert read_entry(open_source(path).entries[-1]) == b"one"
    for name in ("bad.zip", "bad.tgz"):
        with pytest.raises(SourceError):
            open_source(tmp_path / name)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_nothing_is_written_beside_an_archive(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", PETS)
    for entry in open_source(path).entries:
        read_entry(entry)
    assert list(tmp_path.iterdir()) == [path]


def test_a_zip_with_an_impossible_date_is_read(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {"a.jpg": b"x"})
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\3\4", 12), (b"PK\1\2", 14)):
        place = data.index(signature) + offset
        data[place : place + 2] = b"\0\0"
    path.write_bytes(data)
    (entry,) = open_source(path).entries
    assert (entry.mtime, read_entry(entry)) == (zlib.crc32(b"x") % 10**9, b"x")


def test_archives_that_a_person_names_beside_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack(tmp_path / "a.zip", {"x/1.jpg": b"1", "y/2.jpg": b"2"})
    monkeypatch.chdir(tmp_path)
    entries = files_as_entries(["a.zip"])
    assert [(entry.key, read_entry(entry)) for entry in entries] == [
        ("a.zip/x/1.jpg", b"1"),
        ("a.zip/y/2.jpg", b"2"),
    ]


def test_only_archives_that_can_be_read_are_taken_for_such(tmp_path: Path) -> None:
    (tmp_path / "a.tar.zst").write_bytes(b"x")
    with pytest.raises(SourceError, match=r"a\.tar\.zst is no source: expected .*\.zip, \.tar"):
        open_source(tmp_path / "a.tar.zst")
