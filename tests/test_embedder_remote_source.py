"""Sources at URLs: in memory, and behind a web server of this machine that can misbehave."""

from __future__ import annotations

import http.server
import io
import os
import socket
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest

from embedder import remote_files
from embedder.errors import ImageError, SourceError
from embedder.remote_files import entry_of_info, without_password
from embedder.remote_source import name_of_url, url_of_key
from embedder.sources import Source, files_as_entries, open_source, read_entry, reader_at
from store.object_path import is_url

fsspec = pytest.importorskip("fsspec", reason="sources at URLs need fsspec")


def keys(source: Source) -> list[str]:
    return [entry.key for entry in source.entries]


class Site(NamedTuple):
    """A web server. failures: how many more requests of a path end with this status, or with 0 in silence."""

    folder: Path
    url: str
    failures: dict[str, tuple[int, int]]
    asked: Counter[str]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Serves the folder `site`, like any plain web server: with lists of links, without ranges."""
    failures: dict[str, tuple[int, int]] = {}
    asked: Counter[str] = Counter()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            asked[self.path] += 1
            left, status = failures.get(self.path, (0, 0))
            if not left:
                super().do_GET()
                return
            failures[self.path] = (left - 1, status)
            if status:
                self.send_error(status)
            else:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    monkeypatch.setattr(remote_files, "_PAUSES_S", (0.0, 0.0))
    folder = tmp_path / "site"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield Site(folder, f"http://127.0.0.1:{server.server_port}", failures, asked)
        server.shutdown()
        thread.join()


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), name)
    return buffer.getvalue()


def test_a_folder_in_memory(memory: Any) -> None:
    names = ["a.jpg", "b/2.png", "b/c/ä ö%20.jpg", "b/.hidden.jpg", "notes.txt"]
    for name in names:
        memory.pipe_file(f"/pets/{name}", name.encode())
    source = open_source("memory://pets")
    assert (source.name, source.location, source.complete) == ("pets", "memory://pets", True)
    assert keys(source) == ["a.jpg", "b/2.png", "b/c/ä ö%20.jpg"]
    assert "1 files of memory://pets" in source.notes[0]
    read = reader_at(source.location)
    for entry in source.entries:
        assert entry.bytes == len(entry.key.encode())
        assert entry.mtime > 0
        assert read_entry(entry) == read(entry.key) == entry.key.encode()
    assert open_source("memory://pets").entries == source.entries
    memory.pipe_file("/pets/a.jpg", b"other")
    assert open_source("memory://pets").entries[0] != source.entries[0]


def test_a_web_folder(site: Site) -> None:
    touch(
        site.folder, "pets/a b.jpg", "pets/cat/ö%41.jpg", "pets/cat/.x.jpg", "pets/notes.txt", "outside.jpg"
    )
    source = open_source(f"{site.url}/pets")
    assert keys(source) == ["a b.jpg", "cat/ö%41.jpg"]
    read = reader_at(source.location)
    for entry in source.entries:
        status = (site.folder / "pets" / entry.key).stat()
        assert (entry.bytes, entry.mtime // 10**9) == (status.st_size, int(status.st_mtime))
        assert read_entry(entry) == read(entry.key) == f"pets/{entry.key}".encode()
    assert open_source(f"{site.url}/pets/").entries == source.entries
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(read_entry, source.entries * 20))) == 2


def test_a_folder_below_that_cannot_be_listed_is_a_note(site: Site) -> None:
    touch(site.folder, "pets/a.jpg", "pets/locked/b.jpg")
    site.failures["/pets/locked"] = (9, 403)
    source = open_source(f"{site.url}/pets")
    assert keys(source) == ["a.jpg"]
    assert not source.complete
    assert f"1 folder could not be listed: {site.url}/pets/locked" in source.notes[0]
    assert "403" in source.notes[0]
    assert site.asked["/pets/locked"] == 1  # a refusal is not asked again


@pytest.mark.parametrize("status", [0, 500, 503, 429])
def test_what_a_connection_may_be_blamed_for_is_tried_twice_more(site: Site, status: int) -> None:
    touch(site.folder, "a.jpg")
    (entry,) = open_source(site.url).entries
    site.failures["/a.jpg"] = (2, status)
    assert read_entry(entry) == b"a.jpg"
    site.failures["/a.jpg"] = (99, status)
    with pytest.raises(ImageError, match=r"could not be read \(.+\)"):
        read_entry(entry)
    assert status == 0 or site.failures["/a.jpg"][0] == 96  # the library itself asks again after silence


def test_a_file_that_vanishes_after_it_was_listed(site: Site) -> None:
    touch(site.folder, "a.jpg")
    (entry,) = open_source(site.url).entries
    (site.folder / "a.jpg").unlink()
    with pytest.raises(ImageError, match="there is no such file"):
        read_entry(entry)
    assert site.asked["/a.jpg"] == 1


def test_a_server_that_falls_silent_does_not_hold_a_job_up(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_files, "_SILENCE_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        entry = entry_of_info("a", f"http://127.0.0.1:{silent.getsockname()[1]}/a.jpg", {})
        with pytest.raises(ImageError, match=r"could not be read \(.*(no answer in time|[Tt]imeout).*\)"):
            read_entry(entry)


def test_a_server_that_is_not_there(site: Site) -> None:
    with pytest.raises(SourceError, match=r"cannot be listed: could not be read \(Cannot connect"):
        open_source("http://127.0.0.1:1/pets")
    with pytest.raises(SourceError, match="nothing cannot be listed: there is no such file"):
        open_source(f"{site.url}/nothing")
    touch(site.folder, "empty/notes.txt")
    with pytest.raises(SourceError, match=r"no image in .*empty \(1 other files\)"):
        open_source(f"{site.url}/empty")


@pytest.mark.parametrize("where", ["memory", "http"])
def test_archives_at_urls(memory: Any, site: Site, where: str) -> None:
    data = zipped("x/cat/1.jpg", "x/dog/2.jpg")
    memory.pipe_file("/sets/pets.zip", data)
    (site.folder / "pets.zip").write_bytes(data)
    url = "memory://sets/pets.zip" if where == "memory" else f"{site.url}/pets.zip"
    source = open_source(url)
    assert (source.name, source.location) == ("pets", url)
    assert [(entry.key, read_entry(entry)) for entry in source.entries] == [
        ("cat/1.jpg", b"x/cat/1.jpg"),
        ("dog/2.jpg", b"x/dog/2.jpg"),
    ]
    assert open_source(url).entries == source.entries


def test_an_archive_whose_transfer_fails_is_fetched_again(site: Site) -> None:
    (site.folder / "pets.zip").write_bytes(zipped("1.jpg"))
    site.failures["/pets.zip"] = (2, 500)
    assert keys(open_source(f"{site.url}/pets.zip")) == ["1.jpg"]
    site.failures["/pets.zip"] = (9, 500)
    with pytest.raises(SourceError, match=r"could not read .*pets\.zip: could not be read \(500"):
        open_source(f"{site.url}/pets.zip")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_at_a_url_names_images_beside_it(memory: Any, suffix: str) -> None:
    paths = ["b/2.jpg", "../1.jpg", "missing.jpg", "memory://far/3.jpg"]
    table = pd.DataFrame({"path": paths, "breed": ["cat", "dog", "cat", "fox"]})
    buffer = io.BytesIO()
    table.to_parquet(buffer) if suffix == ".parquet" else table.to_csv(buffer, index=False)
    memory.pipe_file(f"/pets/tables/list{suffix}", buffer.getvalue())
    for place in ("/pets/tables/b/2.jpg", "/pets/1.jpg", "/far/3.jpg"):
        memory.pipe_file(place, place.encode())
    source = open_source(f"memory://pets/tables/list{suffix}")
    assert keys(source) == sorted(paths)
    read = reader_at(source.location)
    found = {entry.key: entry for entry in source.entries}
    assert read_entry(found["b/2.jpg"]) == read("b/2.jpg") == b"/pets/tables/b/2.jpg"
    assert read_entry(found["../1.jpg"]) == read("../1.jpg") == b"/pets/1.jpg"
    assert read_entry(found["memory://far/3.jpg"]) == read("memory://far/3.jpg") == b"/far/3.jpg"
    with pytest.raises(ImageError, match="there is no such file"):
        read_entry(found["missing.jpg"])
    assert source.labels is not None
    assert source.labels.table.set_index("key")["breed"].to_dict() == dict(
        zip(table["path"], table["breed"], strict=True)
    )


def test_a_table_on_this_machine_may_name_urls(site: Site, tmp_path: Path) -> None:
    touch(site.folder, "a.jpg", "b c.jpg")
    touch(tmp_path, "local.jpg")
    (tmp_path / "list.csv").write_text(f"path\n{site.url}/a.jpg\n{site.url}/b c.jpg\nlocal.jpg\n")
    source = open_source(tmp_path / "list.csv")
    assert [read_entry(entry) for entry in source.entries] == [b"a.jpg", b"b c.jpg", b"local.jpg"]
    assert [entry.bytes for entry in source.entries] == [5, 7, 9]


def test_a_table_from_elsewhere_reads_no_file_of_this_machine(memory: Any, tmp_path: Path) -> None:
    touch(tmp_path, "secret.jpg")
    rows = [
        str(tmp_path / "secret.jpg"),
        f"file://{tmp_path}/secret.jpg",
        f"local://{tmp_path}/secret.jpg",
        "zork://x",
    ]
    memory.pipe_file("/list.csv", "\n".join(["path", *rows]).encode())
    for entry in open_source("memory://list.csv").entries:
        with pytest.raises(ImageError):
            read_entry(entry)


def test_tables_at_urls_that_cannot_be_used(memory: Any) -> None:
    memory.pipe_file("/list.csv", b"file\na.jpg\n")
    with pytest.raises(SourceError, match=r"memory://list\.csv has no column 'path'"):
        open_source("memory://list.csv")
    with pytest.raises(SourceError, match=r"could not read memory://none\.csv: there is no such file"):
        open_source("memory://none.csv")


def test_kinds_of_urls_that_need_a_package_or_do_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(url: str) -> None:
        raise ImportError("Install s3fs to access S3")

    with pytest.raises(
        SourceError, match=r"zork://a/b is a URL of an unknown kind \(Protocol not known: zork\)"
    ):
        open_source("zork://a/b")
    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(SourceError, match="s3://a/b cannot be opened: Install s3fs to access S3, with pip"):
        open_source("s3://a/b")


def test_a_password_is_stored_and_shown_nowhere(site: Site) -> None:
    touch(site.folder, "a.jpg")
    source = open_source(site.url.replace("://", "://me:secret@"))
    assert source.location == site.url
    with pytest.raises(SourceError) as told:
        open_source("http://me:secret@127.0.0.1:1/pets")
    assert "secret" not in str(told.value)
    assert without_password("abfs://box@account/x@y:z@") == "abfs://box@account/x@y:z@"
    assert without_password("https://token@host/x@y") == "https://host/x@y"
    assert without_password("sftp://me@host/x") == "sftp://me@host/x"


@pytest.mark.parametrize(
    ("info", "stamp"),
    [
        ({"mtime": 12.5}, 12_500_000_000),
        ({"LastModified": pd.Timestamp("1970-01-02", tz="UTC").to_pydatetime()}, 86_400 * 10**9),
        ({"created": pd.Timestamp("1970-01-02").to_pydatetime()}, 86_400 * 10**9),
        ({"updated": "1970-01-02T00:00:00.5Z"}, 86_400 * 10**9 + 500_000_000),
        ({"Last-Modified": "Fri, 02 Jan 1970 00:00:00 GMT"}, 86_400 * 10**9),
        ({"Last-Modified": "yesterday"}, 0),
        ({}, 0),
    ],
)
def test_the_time_of_a_remote_file(info: dict[str, Any], stamp: int) -> None:
    entry = entry_of_info("a", "memory://a", info)
    assert (entry.bytes, entry.mtime) == (-1, stamp)


def test_without_a_time_the_checksum_says_whether_a_file_has_changed() -> None:
    one, other = (entry_of_info("a", "u", {"ETag": tag, "size": 1}).mtime for tag in ('"x"', '"y"'))
    assert one != other
    assert 0 < one < 1 << 63


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("s3://bucket/pets/", "pets"), ("https://host.org", "host.org"), ("https://host/a/pets.tar.gz?x=/y", "pets"),
        ("memory://list.csv", "list"), ("gs://bucket/v1.2", "v1.2"), ("https://host/my%20pets", "my_20pets"),
    ],
)  # fmt: skip
def test_a_source_is_called_like_the_end_of_its_url(url: str, name: str) -> None:
    assert name_of_url(url) == name


@pytest.mark.parametrize(
    ("location", "key", "url"),
    [
        ("s3://bucket/pets", "a b/1.jpg", "s3://bucket/pets/a b/1.jpg"),
        ("s3://bucket/pets/list.csv", "../1.jpg", "s3://bucket/1.jpg"),
        ("s3://bucket/list.csv", "../../../1.jpg", "s3://bucket/1.jpg"),
        ("https://host/pets/", "a b#.jpg", "https://host/pets/a%20b%23.jpg"),
        ("https://host/x/list.csv?key=/1", "/y/1.jpg", "https://host/y/1.jpg"),
        ("memory://pets", "1.jpg", "memory://pets/1.jpg"),
    ],
)
def test_the_url_of_a_key(location: str, key: str, url: str) -> None:
    assert url_of_key(location, key) == url


def test_what_counts_as_a_url(tmp_path: Path) -> None:
    assert is_url("s3://a")
    assert is_url("https://a/b.zip")
    for text in ("a/b", "C://photos", "tfds:mnist", "file:///a", "://a", "a://"):
        assert not is_url(text)
    touch(tmp_path, "a.jpg")
    assert open_source(f"file://{tmp_path}").location == str(tmp_path)


def test_images_at_urls_that_a_person_names(site: Site) -> None:
    touch(site.folder, "a.jpg", "pets/b.jpg")
    entries = files_as_entries([f"{site.url}/a.jpg", f"{site.url}/pets"])
    assert [entry.key for entry in entries] == [f"{site.url}/a.jpg", f"{site.url}/pets/b.jpg"]
    assert [read_entry(entry) for entry in entries] == [b"a.jpg", b"pets/b.jpg"]


def test_a_file_larger_than_memory_should_hold_is_not_fetched(site: Site) -> None:
    with (site.folder / "a.jpg").open("wb") as file:
        os.truncate(file.fileno(), (1 << 30) + 1)
    (entry,) = open_source(site.url).entries
    with pytest.raises(ImageError, match="larger than 1 GiB"):
        read_entry(entry)
    assert site.asked["/a.jpg"] == 0
