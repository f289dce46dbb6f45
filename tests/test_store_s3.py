"""Stores on S3, as a server that the tests start speaks it: the requests that are made, writers that are killed."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import numpy as np
import pandas as pd
import pytest

from store import FeatureStore, StoreError, StoreWriteError, StoreWriter, compact
from store.claims import Claims
from store.columns import hashes_from_hex
from store.commit import CHECKSUM_BYTES, commit_file, file_checksum
from store.errors import StoreReadError
from store.object_path import ObjectPath, store_path
from store.part import PartRows, part_pieces
from store.recipes import space_id
from store.space import part_files
from store.verify import verify
from tests.small_banks import RECIPE, small_bank

if TYPE_CHECKING:
    from tests.conftest import Embank, FakeEngines, WritePhoto

s3fs = pytest.importorskip("s3fs", reason="the extra embank[s3] is not installed")
pytest.importorskip("moto.server", reason="moto, which stands for S3, is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

ROOT = Path(__file__).parents[1]
MANY = 10_000
KEYS = [f"{'cats' if number % 2 else 'dogs'}/{number}.jpg" for number in range(40)]
VECTORS = np.random.default_rng(1).normal(size=(40, 8)).astype(np.float32)


class Requests(logging.Handler):
    """The requests that the server answered, as `GET /bucket/key?query`."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        if "HTTP/1.1" in line:
            self.lines.append(line.partition('"')[2].partition(" HTTP/1.1")[0].removeprefix("\x1b[33m"))

    def of(self, verb: str, text: str = "") -> int:
        return sum(f"{verb} /" in line and text in line for line in self.lines)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Where the server listens."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectPath]:
    """A new bucket, and the settings by which s3fs finds its server."""
    import boto3

    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "someone",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    name = f"bucket-{os.urandom(4).hex()}"
    boto3.client("s3").create_bucket(Bucket=name)
    yield ObjectPath(f"s3://{name}")
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def requests() -> Iterator[Requests]:
    """Those of this test."""
    log, handler = logging.getLogger("werkzeug"), Requests()
    level = log.level
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    yield handler
    log.removeHandler(handler)
    log.setLevel(level)


def _rows(first: int, count: int) -> PartRows:
    hashes = np.random.default_rng(first).integers(0, 256, (count, 16), dtype=np.uint8)
    vectors = np.random.default_rng(first + 1).normal(size=(count, 8)).astype(np.float32)
    names = [f"{first + number}.jpg" for number in range(count)]
    return PartRows(hashes, np.zeros(count, np.int16), vectors, names, ["photos"] * count)


def test_what_is_banked_is_read_back(bucket: ObjectPath) -> None:
    store = small_bank(bucket / "a.embank", KEYS, [VECTORS])
    images = store.images().sample(frac=1, random_state=0)
    assert np.array_equal(store.vectors("Fake", images), VECTORS[[KEYS.index(key) for key in images["key"]]])
    assert verify(store.path).ok
    assert compact(store.path).parts_after == 1
    assert verify(store.path).rows == 40
    assert np.array_equal(
        FeatureStore(str(store.path)).vectors("Fake", images), store.vectors("Fake", images)
    )


def test_ten_thousand_parts_are_opened_with_a_few_dozen_requests(
    bucket: ObjectPath, requests: Requests
) -> None:
    """They are made and indexed in memory and put into the server from behind: 10,000 real puts take minutes."""
    from moto.s3.models import s3_backends

    files = fsspec.filesystem("memory")
    files.store.clear()
    made = StoreWriter("memory://made/many.embank")
    made.open_space(RECIPE)
    hashes = _fabricate(made.path / "spaces" / space_id(RECIPE))
    assert FeatureStore(made.path).space("Fake").rows == MANY
    path = bucket / "many.embank"
    backend: Any = next(iter(s3_backends["123456789012"].values()))
    for name, file in files.store.items():
        backend.put_object(bucket.name, name.removeprefix("/made/"), file.getvalue())
    files.store.clear()

    requests.lines.clear()
    space = FeatureStore(path).space("Fake")
    assert space.rows == MANY
    gets = requests.of("GET") - requests.of("GET", "list-type")
    assert len(requests.lines) <= 36
    assert gets <= 3, "embank.json, the recipe and the index"
    assert (space.find(hashes) >= 0).all()

    requests.lines.clear()
    out = np.zeros((5, 8), np.float32)
    space.read(space.find(hashes[[0, 17, 5000, 9999, 17]]), out)
    assert requests.of("GET") == 4 and len(requests.lines) == 4, "one ranged read for each of four parts"

    fresh = _rows(77_777, 3)
    StoreWriter(path).commit_part(RECIPE, fresh)
    requests.lines.clear()
    space = FeatureStore(path).space("Fake")
    assert space.rows == MANY + 3 and (space.find(fresh.hash) >= 0).all()
    assert len(requests.lines) <= 36 + 1, "the new part is one more"


def _fabricate(directory: Path) -> Any:
    """MANY parts of one row, which differ by its hash; the hashes (n, 16) uint8."""
    hashes = np.random.default_rng(5).integers(0, 256, (MANY, 16), dtype=np.uint8)
    frame, vectors, _ = part_pieces(_rows(0, 1), dict(RECIPE))
    first = _rows(0, 1).hash.tobytes()
    assert frame.count(first) == 1
    for number, hash_ in enumerate(hashes):
        mine = frame.replace(first, hash_.tobytes())
        ending = bytes.fromhex(file_checksum(mine))
        assert len(ending) == CHECKSUM_BYTES
        commit_file(directory, f"{number + 1:06d}-00000000", ".h5", mine, vectors, ending)
    return hashes


def test_without_an_index_each_part_takes_one_ranged_read(bucket: ObjectPath, requests: Requests) -> None:
    writer = StoreWriter(bucket / "a.embank")
    paths = [writer.commit_part(RECIPE, _rows(first, 3)) for first in range(0, 400, 10)]
    requests.lines.clear()
    assert FeatureStore(writer.path).space("Fake").rows == 120
    assert requests.of("GET", ".h5") == len(paths) == 40
    assert requests.of("PUT", "/cache/spaces/") == 1, "the next reader finds an index"


def test_a_job_banks_there_what_it_banks_here(
    bucket: ObjectPath, embank: Embank, photos: Path, fake_engine: FakeEngines, tmp_path: Path
) -> None:
    url, local = f"{bucket}/pets.embank", tmp_path / "pets.embank"
    for store in (url, local):
        ran = embank("embed", photos, store, "--backbone", "MobileNetV2", "--weights", "none", "--json")
        assert (ran.code, ran.json["embedded"]) == (0, 8), ran.err
    again = embank("embed", photos, url, "--backbone", "MobileNetV2", "--weights", "none", "--json")
    assert (again.code, again.json["skipped"], again.json["embedded"]) == (0, 8, 0)
    theirs, ours = FeatureStore(url), FeatureStore(local)
    pd.testing.assert_frame_equal(theirs.images(), ours.images())
    (space,) = ours.spaces
    assert np.array_equal(theirs.vectors(space), ours.vectors(space))
    assert embank("verify", url).code == 0
    assert embank("info", url, "--json").json["images"] == 8
    assert embank("compare", url, "--heads", "ridge", "--cv", "2").code == 0
    assert embank("compact", url).code == 0


WORKER = """
import json, sys, time
import embedder.bank, embedder.engine_set
from embedder import Recipe, embed
from embedder.settings import JobSettings
from store import StoreWriter
from tests.conftest import FakeEngines

engines = FakeEngines()
engines.before_batch = lambda count: time.sleep(0.05)
embedder.engine_set.open_engine, embedder.engine_set.is_known = engines.open, lambda *_: True
embedder.bank.COMMIT_ROWS = 4
commit = StoreWriter.commit_part

def told(writer, recipe, rows, supersedes=()):
    path = commit(writer, recipe, rows, supersedes)
    print(json.dumps([bytes(row).hex() for row in rows.hash]), flush=True)
    return path

StoreWriter.commit_part = told
settings = JobSettings(batch_size=4, workers=2)
report = embed(sys.argv[1], sys.argv[2], Recipe("MobileNetV2", weights="none", image_size=32), settings=settings)
print(json.dumps({"embedded": report.embedded, "failed": report.failed}), flush=True)
"""


def _start(photos: Path, store: Path) -> subprocess.Popen[str]:
    paths = [str(ROOT), str(ROOT / "scripts"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(photos), str(store)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
    )


def _photos(folder: Path, write_photo: WritePhoto, count: int) -> Path:
    for number in range(count):
        write_photo(folder / ("cats", "dogs")[number % 2] / f"{number}.jpg", number)
    return folder


def test_a_killed_writer_loses_nothing_that_it_told(
    bucket: ObjectPath, tmp_path: Path, write_photo: WritePhoto
) -> None:
    photos, path = _photos(tmp_path / "photos", write_photo, 48), bucket / "a.embank"
    told: list[str] = []
    for lines in (1, 3, 2):
        process = _start(photos, path)
        assert process.stdout
        for _ in range(lines):
            told += json.loads(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        told += [hash_ for line in process.stdout.read().splitlines() for hash_ in json.loads(line)]
        assert process.wait() == -signal.SIGKILL
        assert verify(path).ok
        (space,) = FeatureStore(path).spaces.values()
        assert (space.find(hashes_from_hex(pd.Series(told))) >= 0).all()
    out, _ = _start(photos, path).communicate()
    done = json.loads(out.splitlines()[-1])
    store = FeatureStore(path)
    (space,) = store.spaces.values()
    assert done["failed"] == 0 and 0 < done["embedded"] < 48
    assert len(store.images()) == space.rows == 48
    assert verify(path).ok


def test_two_writers_at_once_bank_each_image(
    bucket: ObjectPath, tmp_path: Path, write_photo: WritePhoto
) -> None:
    photos, path = _photos(tmp_path / "photos", write_photo, 40), bucket / "a.embank"
    writers = [_start(photos, path) for _ in range(2)]
    reports = [json.loads(writer.communicate()[0].splitlines()[-1]) for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    store = FeatureStore(path)
    (space,) = store.spaces.values()
    assert len(store.images()) == space.rows == 40
    assert sum(report["embedded"] for report in reports) >= 40
    assert verify(path).ok


def test_one_of_many_claims_a_unit(bucket: ObjectPath) -> None:
    path = StoreWriter(bucket / "a.embank").path
    claims = [Claims(path, "photos", ["a-1"]) for _ in range(8)]
    taken: list[bool] = []
    threads = [
        threading.Thread(target=lambda one: taken.append(one.take("unit")), args=(one,)) for one in claims
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken.count(True) == 1 and len(taken) == 8


def test_a_claim_of_a_dead_writer_is_followed(bucket: ObjectPath, monkeypatch: pytest.MonkeyPatch) -> None:
    path = StoreWriter(bucket / "a.embank").path
    monkeypatch.setattr("store.claims.this_machine", lambda: "another0")
    assert Claims(path, "photos", ["a-1"]).take("unit")
    monkeypatch.undo()
    assert not Claims(path, "photos", ["a-1"]).take("unit")
    monkeypatch.setattr("store.claims.EXPIRES_S", 0.0)
    assert Claims(path, "photos", ["a-1"]).take("unit")


def test_a_large_part_is_read_by_ranges(
    bucket: ObjectPath, requests: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.object_file._HEAD", 1 << 16)
    vectors = np.random.default_rng(0).normal(size=(3000, 512)).astype(np.float32)
    hashes = np.random.default_rng(0).integers(0, 256, (3000, 16), dtype=np.uint8)
    writer = StoreWriter(bucket / "a.embank")
    names = [f"{number}.jpg" for number in range(3000)]
    part = PartRows(hashes, np.zeros(3000, np.int16), vectors, names, ["photos"] * 3000)
    writer.commit_part(RECIPE, part)
    requests.lines.clear()
    space = FeatureStore(writer.path).space("Fake")
    assert requests.of("GET", ".h5") <= 3, (
        "its beginning, the rest of what stands before the vectors, its end"
    )
    requests.lines.clear()
    wanted = np.array([2999, 4, 5, 6, 1500])
    out = np.zeros((5, 512), np.float32)
    space.read(wanted, out)
    assert np.array_equal(out, vectors[wanted])
    assert len(requests.lines) == 3, "rows that are neighbours come together"


def test_what_s3_refuses_is_one_sentence(bucket: ObjectPath, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreWriteError, match=r"bucket does not exist.*Make the bucket first"):
        StoreWriter("s3://there-is-no-such-bucket/a.embank")
    store = small_bank(bucket / "a.embank", KEYS, [VECTORS])
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(StoreReadError, match=r"Unable to locate credentials.*run the same command again"):
        FeatureStore(str(store.path))


def test_a_server_that_is_gone_is_one_sentence(bucket: ObjectPath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("s3fs.core.S3FileSystem.retries", 1)
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(StoreError, match=r"could not be read: .*127\.0\.0\.1:9.*the network"):
        FeatureStore(store_path(f"s3://{bucket.name}/other.embank"))


def test_parts_are_listed_in_order(bucket: ObjectPath) -> None:
    writer = StoreWriter(bucket / "a.embank")
    paths = [writer.commit_part(RECIPE, _rows(first, 1)) for first in range(5)]
    assert part_files(writer.path / "spaces" / space_id(RECIPE)) == paths
