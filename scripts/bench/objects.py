"""Requests that a store on S3 takes, beside a plain .npy file there that is read whole.

Run: python scripts/bench/objects.py [--parts 100] [--rows 64] [--dim 1280] [--wanted 50]
It starts a local server that speaks S3 (moto). Requests and bytes are those of any S3; seconds would be those of the
server, and are not told.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
from collections.abc import Callable

import numpy as np

from store import FeatureStore, StoreWriter
from store.object_path import store_path
from store.part import PartRows
from store.recipes import space_id

RECIPE = {"backbone": "Random", "dtype": "float32"}
BUCKET = "bench"


class Requests(logging.Handler):
    """How many requests the server answered."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Counts one."""
        self.count += "HTTP/1.1" in record.getMessage()


def main() -> None:
    """Prints one line a figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", type=int, default=100)
    parser.add_argument("--rows", type=int, default=64, help="of a part")
    parser.add_argument("--dim", type=int, default=1280)
    parser.add_argument("--wanted", type=int, default=50)
    options = parser.parse_args()
    requests = start_server()
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 256, (options.parts, options.rows, 16), dtype=np.uint8)
    url = f"s3://{BUCKET}/bench.embank"

    def told(what: str, work: Callable[[], object]) -> None:
        before = requests.count
        work()
        print(f"{what:<40}{requests.count - before:>8} requests", flush=True)

    def write() -> None:
        writer = StoreWriter(url)
        names, views = [str(row) for row in range(options.rows)], np.zeros(options.rows, np.int16)
        for each in hashes:
            vectors = rng.normal(size=(options.rows, options.dim)).astype(np.float32)
            writer.commit_part(RECIPE, PartRows(each, views, vectors, names, ["bench"] * options.rows))

    told(f"write {options.parts} parts", write)
    told("open without an index", lambda: FeatureStore(url).spaces)
    told("open with the index", lambda: FeatureStore(url).spaces)
    space = FeatureStore(url).spaces[space_id(RECIPE)]
    wanted = rng.choice(space.rows, options.wanted, replace=False)
    out = np.empty((options.wanted, options.dim), np.float32)
    told(f"read {options.wanted} random rows", lambda: space.read(wanted, out))
    everything = np.empty((space.rows, options.dim), np.float32)
    told("read all rows", lambda: space.read(np.arange(space.rows), everything))
    buffer = io.BytesIO()
    np.save(buffer, everything)
    whole = store_path(f"s3://{BUCKET}/whole.npy") / "data"
    whole.put(buffer.getvalue())  # type: ignore[attr-defined]
    told(f"a .npy read whole ({len(buffer.getvalue()) / 1e6:.0f} MB)", whole.read_bytes)


def start_server() -> Requests:
    """A server on a free port of this machine, with an empty bucket, where s3fs finds it."""
    import boto3
    from moto.server import ThreadedMotoServer

    requests, log = Requests(), logging.getLogger("werkzeug")
    log.setLevel(logging.INFO)
    log.addHandler(requests)
    log.propagate = False
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    return requests


if __name__ == "__main__":
    main()
