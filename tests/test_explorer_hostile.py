"""The explorer against other pages, other names, other files and odd requests."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from embank.explorer.security import LARGEST_JSON
from embedder import Recipe, embed
from store import FeatureStore, StoreWriter
from store.columns import hashes_from_hex
from store.commit import checksum
from store.part import PartRows
from tests.conftest import Embank, FakeEngines, draw
from tests.explorers import HOST, TOKEN, Explorer, bank, explorer

ROOT = Path(__file__).parents[1]
EDIT = b'{"class": 0, "name": "mine"}'
PATHS = ("/", "/static/main.js", "/api/state", "/thumb/0", "/large/0", "/nowhere")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Explorer:
    """One session for all tests: what is refused changes nothing."""
    return explorer(bank(tmp_path_factory.mktemp("hostile") / "pets.embank", each=10))


@pytest.fixture
def at(opened: Explorer) -> Iterator[Explorer]:
    revision = opened.session.shown.revision
    yield Explorer(opened.app, opened.session)
    assert opened.session.shown.revision == revision


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "cookie", [None, "embank-8000=", "embank-8000=wrong", "embank-9=" + TOKEN, "=;;\x00=("]
)
def test_nothing_is_answered_without_the_token(at: Explorer, path: str, cookie: str | None) -> None:
    at.headers = {"host": HOST} if cookie is None else {"host": HOST, "cookie": cookie}
    answer = at.raw("GET", path)
    assert answer.status == 403 and "open the address" in answer.json["error"]
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("other", ['a={"b":1}', "a[b]=1", "a b=c d", 'a="', "=;;(", "a"])
def test_cookies_of_other_programs_do_not_matter(at: Explorer, other: str) -> None:
    for cookies in (f"{other}; embank-8000={TOKEN}", f"embank-8000={TOKEN}; {other}"):
        at.headers = {"host": HOST, "cookie": cookies}
        assert at.raw("GET", "/api/state").status == 200


def test_the_token_is_taken_from_the_first_address_alone(at: Explorer) -> None:
    at.headers = {"host": HOST}
    answer = at.raw("GET", f"/?token={TOKEN}")
    assert answer.status == 200 and b"<html" in answer.body
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"embank-8000={TOKEN};")
    assert {"HttpOnly", "SameSite=Strict"} <= {part.strip() for part in cookie.split(";")}
    assert at.raw("GET", f"/api/state?token={TOKEN}").status == 403
    assert at.raw("GET", f"/?token={TOKEN}x").status == 403
    assert at.raw("POST", f"/api/undo?token={TOKEN}", b"{}", origin=f"http://{HOST}").status == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1", "127.0.0.1:80", "[::1]:8000", ""]
)
def test_another_name_of_the_server_is_refused(at: Explorer, host: str) -> None:
    answer = at.raw("GET", "/api/state", host=host)
    assert answer.status == 403 and "name of the server" in answer.json["error"]
    assert at.raw("GET", f"/?token={TOKEN}", host=host).status == 403


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "http://evil.example",
        "https://127.0.0.1:8000",
        "http://127.0.0.1:9000",
        "http://127.0.0.1",
    ],
)
def test_changes_are_taken_from_the_page_alone(at: Explorer, origin: str | None) -> None:
    headers = {"content_type": "application/json"} | ({} if origin is None else {"origin": origin})
    assert at.raw("POST", "/api/rename", EDIT, **headers).status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_requests_of_other_pages_are_refused(at: Explorer, site: str) -> None:
    for path in ("/api/state", "/thumb/0", "/"):
        assert at.raw("GET", path, sec_fetch_site=site).status == 403
    headers = {"origin": f"http://{HOST}", "content_type": "application/json", "sec_fetch_site": site}
    assert at.raw("POST", "/api/rename", EDIT, **headers).status == 403
    assert at.raw("GET", f"/?token={TOKEN}", sec_fetch_site=site).status == 200  # a link with the token


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_edits_are_json(at: Explorer, kind: str) -> None:
    assert at.raw("POST", "/api/rename", EDIT, origin=f"http://{HOST}", content_type=kind).status == 415


def test_a_get_changes_nothing(at: Explorer) -> None:
    for name in ("rename", "undo", "merge", "save", "relabel"):
        assert at.raw("GET", f"/api/{name}?class=0&name=x").status == 405
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        assert at.raw(method, "/api/rename", origin=f"http://{HOST}").status == 405


@pytest.mark.parametrize("path", [*PATHS, "/thumb/0/../..", "/api/images?kind=x"])
def test_every_answer_has_the_headers(at: Explorer, path: str) -> None:
    for headers in (at.headers, {"host": "evil"}):
        answer = Explorer(at.app, at.session, dict(headers)).raw("GET", path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] in ("no-store", "private, max-age=31536000, immutable")
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static//etc/passwd",
        "/static/%2fetc/passwd",
        "/static/",
        "/thumb/../../etc/passwd",
        "/thumb/-1",
        "/thumb/40",
        "/thumb/99999999999999999999",
        "/thumb/0.5",
        "/thumb/photos",
        "/large/%2e%2e",
    ],
)
def test_no_other_file_is_served(at: Explorer, path: str) -> None:
    answer = at.raw("GET", path)
    assert answer.status == 404 and answer.headers["content-type"] == "application/json"
    assert "error" in answer.json


def test_too_large_requests_are_refused_with_and_without_their_length(at: Explorer) -> None:
    own = {"origin": f"http://{HOST}", "content_type": "application/json"}
    assert at.raw("POST", "/api/rename", b"x" * (LARGEST_JSON + 1), **own).status == 413

    def pieces() -> Iterator[bytes]:
        for _ in range(LARGEST_JSON // 65536 + 2):
            yield b"x" * 65536

    assert at.raw("POST", "/api/rename", pieces(), **own).status == 413
    assert at.raw("POST", "/api/rename", b"{}", **own, content_length="many").status == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'"x"',
        b"1e999",
        b'{"class": NaN, "name": "x"}',
    ],
)
def test_odd_bodies_are_answered_in_a_sentence(at: Explorer, body: bytes) -> None:
    answer = at.posted("rename", body)
    assert answer.status == 400 and answer.json["error"].endswith(".")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("merge", {"classes": [0, 1]}),
        ("merge", {"classes": "01", "name": "x"}),
        ("merge", {"classes": [0, True], "name": "x"}),
        ("merge", {"classes": [0, -1], "name": "x"}),
        ("merge", {"classes": [0, 1.5], "name": "x"}),
        ("merge", {"classes": [0, 10**30], "name": "x"}),
        ("merge", {"classes": [[0], 1], "name": "x"}),
        ("rename", {"class": 0, "name": ["x"]}),
        ("rename", {"class": 0, "name": "x" * 5000}),
        ("rename", {"class": {"a": 1}, "name": "x"}),
        ("rename", {"class": 99, "name": "x"}),
        ("split", {"class": 0}),
        ("split", {"class": 0, "clusters": 10**9}),
        ("split", {"class": 0, "column": "__class__"}),
        ("split", {"class": 0, "where": "__import__('os').system('true')"}),
        ("split", {"class": 0, "where": "key.__class__ == 1"}),
        ("relabel", {"ids": [], "label": "x"}),
        ("relabel", {"ids": [100], "label": "x"}),
        ("relabel", {"ids": [0]}),
        ("relabel", {"ids": [0], "label": 5}),
        ("relabel", {"ids": [0], "label": "x\u0000"}),
        ("restore", {"name": "nobody"}),
        ("start", {"from": "/etc/passwd"}),
        ("start", {"from": None}),
        ("save", {"name": "../../x"}),
        ("save", {"name": "/etc/x"}),
        ("save", {}),
    ],
)
def test_odd_edits_are_refused_and_change_nothing(at: Explorer, path: str, body: dict[str, object]) -> None:
    answer = at.posted(path, body)
    assert 400 <= answer.status < 500 and len(answer.json["error"]) > 10, answer.body


@pytest.mark.parametrize(
    "query",
    [
        "kind=class",
        "kind=class&code=-1",
        "kind=class&code=9",
        "kind=cell&truth=0",
        "kind=where&where=(((",
        "kind=where&where=" + "(" * 3000,
        "kind=where&where=().__class__",
        "kind=similar&id=1e3",
        "kind=all&offset=-5",
        "kind=all&limit=x",
        "kind=__init__",
        "",
    ],
)
def test_odd_questions_are_answered_in_a_sentence(at: Explorer, query: str) -> None:
    answer = at.raw("GET", f"/api/images?{query}")
    assert 400 <= answer.status < 500 and len(answer.json["error"]) > 10


def test_what_is_no_image_is_not_searched_for(at: Explorer) -> None:
    own = {"origin": f"http://{HOST}", "content_type": "application/octet-stream"}
    for data in (b"", b"\x00" * 1000, b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a"):
        answer = at.raw("POST", "/api/similar", data, **own)
        assert answer.status == 400 and answer.json["error"].endswith(".")


def test_labels_from_a_stranger_stay_text(tmp_path: Path) -> None:
    at, name = explorer(bank(tmp_path / "own.embank", each=5)), "<script>alert(1)</script>"
    at.post("rename", **{"class": 0, "name": name})
    answer = at.raw("GET", "/api/state")
    assert answer.headers["content-type"] == "application/json"
    assert name in answer.json["classes"][0]["name"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A store of real photos, beside a secret picture that is not in its source."""
    folder = tmp_path / "photos"
    for number in range(8):
        path = folder / ("cats", "dogs")[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        comment = b"a comment that nobody should see"
        draw(number, (800, 600)).save(path, comment=comment)
    draw(99).save(tmp_path / "secret.jpg")
    engines = FakeEngines()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("embedder.engine_set.open_engine", engines.open)
        patch.setattr("embedder.engine_set.is_known", lambda *_: True)
        embed(folder, tmp_path / "p.embank", Recipe("MobileNetV2", weights="none", image_size=32))
    return tmp_path / "p.embank"


def test_pictures_are_encoded_anew_and_small(photos: Path) -> None:
    at = explorer(FeatureStore(photos))
    original = (photos.parent / "photos/cats/0.jpg").read_bytes()
    assert b"a comment that nobody should see" in original
    for path, edge in (("/thumb/0", 160), ("/large/0", 640)):
        answer = at.raw("GET", path)
        assert answer.status == 200 and answer.headers["content-type"] == "image/jpeg"
        assert b"comment" not in answer.body
        assert max(Image.open(io.BytesIO(answer.body)).size) == edge


def test_a_file_that_is_gone_or_another_one_is_not_shown(photos: Path) -> None:
    at = explorer(FeatureStore(photos))
    (photos.parent / "photos/cats/0.jpg").unlink()
    draw(50).save(photos.parent / "photos/cats/2.jpg")
    for row in (0, 1):
        for path in ("thumb", "large"):
            answer = at.raw("GET", f"/{path}/{row}")
            assert answer.status == 404 and "gone" in answer.json["error"]
    assert at.raw("GET", "/thumb/3").status == 200


@pytest.mark.parametrize("key", ["../secret.jpg", "cats/../../secret.jpg"])
def test_a_key_that_leads_out_of_its_source_is_not_followed(photos: Path, key: str) -> None:
    store = FeatureStore(photos)
    (listing,) = store.sources.values()
    table = listing.table.drop(columns="listed", errors="ignore").copy()
    secret = checksum((photos.parent / "secret.jpg").read_bytes())
    wrong = table["key"] == "cats/0.jpg"
    (space,) = store.spaces
    rows = store.vectors(space, store.images().iloc[[0]])
    view = np.zeros(1, np.int16)
    part = PartRows(hashes_from_hex([secret]), view, np.asarray(rows), [key], [listing.source])
    StoreWriter(photos).commit_part(store.spaces[space].recipe, part)
    table.loc[wrong, ["key", "hash"]] = [key, secret]
    StoreWriter(photos).replace_listing(listing.source, listing.location, table)
    at = explorer(FeatureStore(photos))
    row = next(i for i, one in enumerate(at.session.keys) if one == key)
    for path in ("thumb", "large"):
        assert at.raw("GET", f"/{path}/{row}").status == 404


def test_a_run_ends_on_an_interrupt_with_its_labels_kept(tmp_path: Path) -> None:
    store = bank(tmp_path / "pets.embank").path
    path = os.pathsep.join([str(ROOT), str(ROOT / "scripts")])
    command = [sys.executable, "-m", "embank", "explore", str(store), "--no-browser"]
    environment = os.environ | {"PYTHONPATH": path}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{40,}", address)
        parts = urlsplit(address)
        connection = HTTPConnection(parts.netloc, timeout=30)
        connection.request("GET", f"{parts.path}?{parts.query}")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200 and answer.headers.get("server") is None
        headers = {
            "Cookie": str(answer.headers["set-cookie"]).split(";")[0],
            "Origin": f"http://{parts.netloc}",
            "Content-Type": "application/json",
        }
        connection.request("POST", "/api/relabel", b'{"ids": [0], "label": "wasp"}', headers)
        assert connection.getresponse().read()
        connection.close()
        with pytest.raises(OSError):
            HTTPConnection("127.0.0.2", parts.port, timeout=2).request("GET", "/")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in said and "Interrupted" in said
    assert FeatureStore(store).images()["labels.folder-edited"][0] == "wasp"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--scheme", "foldr"], "folder"),
        (["--space", "ResNet50"], "no space"),
        (["--where", "width > 9999"], "no images"),
        (["--where", "colour == 1"], "colour"),
        (["--schemes", "nowhere.yaml"], "nowhere.yaml"),
        (["--port", "99999"], "65535"),
    ],
)
def test_wrong_options_end_with_a_sentence(
    tmp_path: Path, options: list[str], said: str, embank: Embank
) -> None:
    store = bank(tmp_path / "pets.embank", each=5).path
    result = embank("explore", store, "--no-browser", *options)
    assert result.code == 2 and said in result.err
