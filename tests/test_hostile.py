"""Stores and heads that strangers made to do harm: each is refused in a sentence, and nothing else is touched.

All sums and seals fit, as a stranger would make them. The commands run in one process of their own, which notes every
path that Python opens and every process that it starts; where there is strace, it notes what libraries open too.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import joblib  # type: ignore[import-untyped]
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import skops.io
from numpy.typing import NDArray
from sklearn.preprocessing import FunctionTransformer

from classifiers import RidgeHead, save_head
from classifiers.head_files import sealed
from store import StoreWriter, Vectors
from store.columns import hashes_from_hex
from store.commit import checksum, commit_file, file_checksum
from store.hdf import build_image
from store.labels import make_label_table
from store.listing import OK, Listing, listing_image
from store.part import PartRows, part_image
from store.recipes import space_id

RECIPE: dict[str, Any] = {"backbone": "ResNet50", "dtype": "float32"}
SPACE = space_id(RECIPE)
HASHES = hashes_from_hex([checksum(name.encode()) for name in "abc"])
VECTORS = np.arange(6, dtype=np.float32).reshape(3, 2)
Spoil = Callable[[Path, Path], object]  # given a sound store, and a folder outside of it
TOUCHED = "touched by foreign code"


def _rows() -> PartRows:
    return PartRows(HASHES, np.zeros(3, np.int16), VECTORS, ["a", "b", "c"], ["photos"] * 3)


def _table() -> pd.DataFrame:
    table = pd.DataFrame({"key": ["a", "b", "c"], "hash": [checksum(name.encode()) for name in "abc"]})
    return table.assign(bytes=1, mtime=2, width=3, height=4, status=OK, **{SPACE: True})


def make_store(path: Path) -> Path:
    """A small sound store."""
    writer = StoreWriter(path)
    writer.commit_part(RECIPE, _rows())
    writer.add_to_listing("photos", "/p", _table())
    writer.attach_labels(make_label_table("coat", pd.DataFrame({"key": ["a"], "coat": ["long"]}))[0])
    return path


def _one(store: Path, pattern: str) -> Path:
    (found,) = store.glob(pattern)
    return found


PART, LISTING, LABELS = "spaces/*/*.h5", "sources/photos/*.h5", "labels/coat/*.parquet"


def _replace(store: Path, pattern: str, data: bytes) -> None:
    """Puts these bytes in the place of a committed file, under a name that fits them."""
    old = _one(store, pattern)
    old.unlink()
    commit_file(old.parent, old.stem.rpartition("-")[0], old.suffix, data)


def _seal(image: bytes, start: int = 0, size: int = 0) -> bytes:
    return image + bytes.fromhex(file_checksum(image[:start], image[start + size :]))


def _hdf(fill: Callable[[h5py.File, Path], None], libver: str = "earliest") -> Spoil:
    """A part with sound columns, but for what `fill` puts there."""

    def spoil(store: Path, outside: Path) -> None:
        path = store / "new"
        about = {"format": 1, "recipe": RECIPE, "supersedes": []}
        with h5py.File(path, "w", libver=libver) as file:
            fill(file, outside)
            columns = {"about": np.frombuffer(json.dumps(about).encode(), np.uint8), "vectors": VECTORS}
            columns |= {"hash": HASHES, "view": np.zeros(3, np.int16)}
            for name, array in columns.items():
                if name not in file:
                    file[name] = array
        image = path.read_bytes()
        path.unlink()
        _replace(store, PART, _seal(image))

    return spoil


def _external_link(file: h5py.File, outside: Path) -> None:
    file["vectors"] = h5py.ExternalLink(str(outside / "canary.h5"), "/vectors")


def _soft_link(file: h5py.File, _: Path) -> None:
    file["other"] = VECTORS
    file["vectors"] = h5py.SoftLink("/other")


def _external_storage(file: h5py.File, outside: Path) -> None:
    file.create_dataset("vectors", (3, 2), "f4", external=[(str(outside / "canary"), 0, 24)])


def _virtual(file: h5py.File, outside: Path) -> None:
    layout = h5py.VirtualLayout((3, 2), "f4")
    layout[:] = h5py.VirtualSource(str(outside / "canary.h5"), "vectors", (3, 2))
    file.create_virtual_dataset("vectors", layout)


def _texts(file: h5py.File, _: Path) -> None:
    file.create_dataset("vectors", data=[["a", "b"]] * 3, dtype=h5py.string_dtype())


def _references(file: h5py.File, _: Path) -> None:
    file.create_dataset("vectors", (3, 2), np.dtype([("to", h5py.ref_dtype), ("x", "f4")]))


def _bomb(file: h5py.File, _: Path) -> None:
    file.create_dataset("vectors", (1 << 30, 2), "f4", chunks=(1 << 20, 2), compression="gzip")


def _attributes(file: h5py.File, _: Path) -> None:
    file["hash"] = HASHES
    for number in range(40):
        file["hash"].attrs[f"a{number}"] = np.zeros(60_000, np.uint8)


def _large_attribute(file: h5py.File, _: Path) -> None:
    file["hash"] = HASHES
    file["hash"].attrs["large"] = np.zeros(1 << 21, np.uint8)


def _named_type(file: h5py.File, _: Path) -> None:
    file["type"] = np.dtype("f4")
    file.create_dataset("vectors", data=VECTORS, dtype=file["type"])


def _group(file: h5py.File, outside: Path) -> None:
    _external_link(file.create_group("more"), outside)


def _image(change: Callable[[bytes], bytes]) -> Spoil:
    """The sound part with changed structures, sealed anew."""

    def spoil(store: Path, _: Path) -> None:
        image = part_image(_rows(), RECIPE)[:-16]
        start = image.index(VECTORS.tobytes())
        _replace(store, PART, _seal(change(image), start, VECTORS.nbytes))

    return spoil


def _swap(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(image: bytes) -> bytes:
        assert old in image
        return image.replace(old, new)

    return change


def _looping(image: bytes) -> bytes:
    at = image.index(b"TREE")
    return image[: at + 5] + b"\x05" + image[at + 6 : at + 32] + at.to_bytes(8, "little") + image[at + 40 :]


def _overlapping(image: bytes) -> bytes:
    """The vectors are said to lie where the hashes are."""
    place = image.index(VECTORS.tobytes()).to_bytes(8, "little")
    assert image.count(place) == 1
    return image.replace(place, (image.index(HASHES.tobytes())).to_bytes(8, "little"))


def _about(**about: object) -> Spoil:
    def spoil(store: Path, _: Path) -> None:
        columns: dict[str, NDArray[Any]] = {"vectors": VECTORS, "hash": HASHES, "view": np.zeros(3, np.int16)}
        image = build_image(columns, {"recipe": RECIPE, "supersedes": [], **about})
        _replace(store, PART, _seal(image, image.index(VECTORS.tobytes()), VECTORS.nbytes))

    return spoil


def _listed(**about: object) -> Spoil:
    """A listing that says this of itself."""

    def spoil(store: Path, _: Path) -> None:
        image = io.BytesIO(listing_image(Listing("photos", "/p", _table().assign(listed=5)), []))
        with h5py.File(image, "r+") as file:
            said = json.loads(file["about"][()].tobytes()) | about
            del file["about"]
            file["about"] = np.frombuffer(json.dumps(said).encode(), np.uint8)
        _replace(store, LISTING, image.getvalue())

    return spoil


def _listing_outside(store: Path, outside: Path) -> None:
    image = io.BytesIO(listing_image(Listing("photos", "/p", _table().assign(listed=5)), []))
    with h5py.File(image, "r+") as file:
        del file["key"]
        file.create_dataset("key", (3,), "u1", external=[(str(outside / "canary"), 0, 3)])
    _replace(store, LISTING, image.getvalue())


def _linked(pattern: str) -> Spoil:
    """A link out of the store to a copy that is sound."""

    def spoil(store: Path, outside: Path) -> None:
        found = _one(store, pattern)
        shutil.move(found, outside / found.name)
        found.symlink_to(outside / found.name)

    return spoil


def _linked_cache(store: Path, outside: Path) -> None:
    (store / "cache" / "spaces").mkdir(parents=True)
    (store / "cache" / "spaces" / SPACE).symlink_to(outside)


def _device_link(store: Path, _: Path) -> None:
    part = _one(store, PART)
    part.unlink()
    part.symlink_to("/dev/zero")


def _special(pattern: str, mode: int) -> Spoil:
    def spoil(store: Path, _: Path) -> None:
        found = _one(store, pattern)
        found.unlink()
        try:
            os.mknod(found, mode | 0o600, os.makedev(1, 5) if mode == stat.S_IFCHR else 0)
        except PermissionError:
            os.mkfifo(found)

    return spoil


def _file(pattern: str, data: bytes) -> Spoil:
    return lambda store, _: _one(store, pattern).write_bytes(data)


def _directory(store: Path, _: Path) -> None:
    (store / "embank.json").unlink()
    (store / "embank.json").mkdir()


def _parquet(table: pa.Table) -> bytes:
    about = json.dumps({"format": 1, "on": "key", "source": None}).encode()
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({b"embank": about}), buffer)
    return buffer.getvalue()


def _labels(make: Callable[[Path], pa.Table]) -> Spoil:
    return lambda store, outside: _replace(store, LABELS, _parquet(make(outside)))


def _text_bomb(_: Path) -> pa.Table:
    same = pa.DictionaryArray.from_arrays(pa.array(np.zeros(10_000, np.int32)), pa.array(["x" * (1 << 20)]))
    return pa.table({"key": [f"{number}" for number in range(10_000)], "text": same})


class Touch:
    """Whoever unpickles this runs code."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.path, TOUCHED)


def _width_bomb(_: Path) -> pa.Table:
    """Small in the file, where each row names the one value; no row is small in memory."""
    width = 1 << 20
    value = pa.array([b"x" * width], pa.binary(width))
    texts = pa.chunked_array([value.take(pa.array(np.zeros(64, np.int32)))] * 80)
    return pa.table({"key": [f"{number}" for number in range(len(texts))], "text": texts})


def _canary(**said: object) -> Spoil:
    return lambda store, _: commit_file(_one(store, "spaces/*"), "canary", ".json", json.dumps(said).encode())


def _pickled(outside: Path) -> pa.Table:
    metadata = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickle.dumps(Touch(outside / "canary")),
    }
    field = pa.field("coat", pa.list_(pa.int64()), metadata=metadata)
    return pa.table([["a"], [[1]]], schema=pa.schema([pa.field("key", pa.string()), field]))


STORES: dict[str, Spoil] = {
    "external link": _hdf(_external_link),
    "soft link": _hdf(_soft_link),
    "external storage": _hdf(_external_storage),
    "virtual dataset": _hdf(_virtual, "latest"),
    "texts of variable length": _hdf(_texts),
    "compound with references": _hdf(_references),
    "gzip bomb": _hdf(_bomb),
    "too many attributes": _hdf(_attributes),
    "oversized attribute": _hdf(_large_attribute, "latest"),
    "committed type": _hdf(_named_type),
    "nested group": _hdf(_group),
    "shape beyond the file": _image(
        _swap((3).to_bytes(8, "little") + (2).to_bytes(8, "little"), (1 << 40).to_bytes(8, "little") * 2)
    ),
    "looping metadata": _image(_looping),
    "overlapping data": _image(_overlapping),
    "part of a newer format": _about(format=2),
    "part that is no object": _image(_swap(b'{"format":1,', b'["format",1,')),
    "deep recipe in a part": _about(recipe=json.loads('{"a":' * 500 + "1" + "}" * 500)),
    "listing with external storage": _listing_outside,
    "listing of a source ../x": _listed(source="../x"),
    "listing whose space is called key": _listed(spaces=["key"]),
    "listing with fewer spaces": _listed(spaces=[]),
    "listing whose spaces are lists": _listed(spaces=[["a"]]),
    "link of a part": _linked(PART),
    "link of a space": _linked("spaces/*"),
    "link of all spaces": _linked("spaces"),
    "link of a recipe": _linked("spaces/*/recipe.json"),
    "link of a source": _linked("sources/photos"),
    "link of a listing": _linked(LISTING),
    "link of a label table": _linked("labels/coat"),
    "link of a label table's file": _linked(LABELS),
    "link of embank.json": _linked("embank.json"),
    "link in the cache": _linked_cache,
    "link to a device": _device_link,
    "part that is a pipe": _special(PART, stat.S_IFIFO),
    "part that is a device": _special(PART, stat.S_IFCHR),
    "listing that is a pipe": _special(LISTING, stat.S_IFIFO),
    "label table that is a pipe": _special(LABELS, stat.S_IFIFO),
    "recipe that is a pipe": _special("spaces/*/recipe.json", stat.S_IFIFO),
    "embank.json that is a pipe": _special("embank.json", stat.S_IFIFO),
    "embank.json that is a directory": _directory,
    "embank.json that is huge": _file("embank.json", b'{"format": 1, "x": "' + b"x" * (1 << 24) + b'"}'),
    "embank.json that is deep": _file("embank.json", b'{"format": ' + b"[" * 100_000),
    "embank.json that is no JSON": _file("embank.json", b"\xff\xfe"),
    "recipe that is huge": _file("spaces/*/recipe.json", b'{"x": "' + b"x" * (1 << 24) + b'"}'),
    "recipe that is deep": _file("spaces/*/recipe.json", b'{"backbone": ' + b'{"a":' * 900 + b"1" + b"}" * 901),
    "recipe that is no object": _file("spaces/*/recipe.json", b'["backbone"]'),
    "text bomb in a label table": _labels(_text_bomb),
    "bomb of fixed width in a label table": _labels(_width_bomb),
    "canary of other types": _canary(
        made_by={"engine": 1, "processor": 2, "libraries": 3}, images="x", mean=[], worst={}
    ),
    "canary made by a list": _canary(made_by=["engine"], images=1, mean=1.0, worst=1.0),
    "pickle in a label table": _labels(_pickled),
    "nested label table": _labels(lambda _: pa.table({"key": ["a"], "x": [[1, 2]]})),
    "label table with a key twice": _labels(lambda _: pa.table({"key": ["a", "a"], "x": [1, 2]})),
}  # fmt: skip


def _cached(name: str, place: int) -> Spoil:
    """An index in the cache whose part lies elsewhere."""

    def spoil(store: Path, _: Path) -> None:
        numbers = {"rows": [3], "vectors_at": [place], "itemsize": [4], "order": [9, 1, 2]}
        columns = {key: np.array(values, np.int64) for key, values in numbers.items()}
        image = build_image(
            {**columns, "hash": HASHES, "view": np.zeros(3, np.int16)}, {"names": [name], "dim": 2}
        )
        of = file_checksum(_one(store, PART).name.encode())
        commit_file(store / "cache" / "spaces" / SPACE, of, ".h5", image)

    return spoil


def _cached_pipe(store: Path, _: Path) -> None:
    cache = store / "cache" / "spaces" / SPACE
    cache.mkdir(parents=True)
    os.mkfifo(cache / f"{file_checksum(_one(store, PART).name.encode())}-{'0' * 32}.h5")


# What may stay there: it is ignored, and leads nowhere.
HARMLESS: dict[str, Spoil] = {
    "sound store": lambda store, outside: None,
    "listing that supersedes ../../x": _listed(supersedes=["../../canary", "../../../outside/canary"]),
    "part that supersedes ../../x": lambda store, _: _replace(
        store, PART, part_image(_rows(), RECIPE, ["../../../outside/canary.h5", "/etc/passwd"])
    ),
    "cache of a file elsewhere": _cached("../../../outside/canary", 0),
    "cache that points before the file": _cached("x", -8),
    "pipe in the cache": _cached_pipe,
}  # fmt: skip


# Heads


def save_sound_head(path: Path) -> Path:
    """A small sound head."""
    x = Vectors.of(np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32), SPACE, RECIPE)
    save_head(path, RidgeHead().fit(x, np.array(["a", "b", "c"] * 4)))
    return path


def _members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def _zip(members: list[tuple[str | zipfile.ZipInfo, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, data in members:
            file.writestr(name, data)
    return buffer.getvalue()


def _changed(description: dict[str, Any] | None = None, **members: bytes) -> Callable[[Path, Path], bytes]:
    """A head with other members (`__` stands for a dot), whose digests fit."""

    def make(path: Path, _: Path) -> bytes:
        found = _members(path) | {name.replace("__", "."): data for name, data in members.items()}
        said = json.loads(found.pop("head.json")) | (description or {})
        said["digests"] = {name: checksum(data) for name, data in found.items()}
        return _zip([("head.json", json.dumps(sealed(said)).encode()), *found.items()])

    return make


def _array(array: object, shape: tuple[int, ...] | None = None) -> bytes:
    buffer = io.BytesIO()
    if shape is None:
        np.save(buffer, np.asarray(array), allow_pickle=True)
    else:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()


def _skops(compression: int, *others: tuple[str, bytes]) -> bytes:
    """A model that would call os.system when it is loaded."""
    nothing = {
        "__class__": "tuple",
        "__module__": "builtins",
        "__loader__": "TupleNode",
        "content": [],
        "__id__": 2,
    }
    call = {
        "__class__": "system",
        "__module__": "os",
        "__loader__": "OperatorFuncNode",
        "__id__": 1,
        "attrs": nothing,
    }
    return _zip(
        [("schema.json", json.dumps({**call, "protocol": 2, "_skops_version": "0.13"}).encode()), *others],
        compression,
    )


def _pickle(_: Path, outside: Path) -> bytes:
    return pickle.dumps(Touch(outside / "canary"))


def _joblib(path: Path, outside: Path) -> bytes:
    joblib.dump(Touch(outside / "canary"), path)
    return path.read_bytes()


def _keras(_: Path, __: Path) -> bytes:
    layer = {"class_name": "Lambda", "config": {"function": "import os; os.system('true')"}}
    return _zip(
        [("config.json", json.dumps(layer).encode()), ("model.weights.h5", b""), ("metadata.json", b"{}")]
    )


def _twice(path: Path, _: Path) -> bytes:
    members = list(_members(path).items())
    with pytest.warns(UserWarning, match="Duplicate name"):
        return _zip([*members, members[0]])


def _member_link(path: Path, outside: Path) -> bytes:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    return _zip([*_members(path).items(), (link, str(outside / "canary").encode())])


_SKLEARN = {"kind": "sklearn"}
HEADS: dict[str, Callable[[Path, Path], bytes]] = {
    "pickle": _pickle,
    "joblib": _joblib,
    "skops that calls os.system": _changed(_SKLEARN, model__skops=_skops(zipfile.ZIP_STORED)),
    "skops that names a function": _changed(
        _SKLEARN, model__skops=skops.io.dumps(FunctionTransformer(func=shutil.rmtree))
    ),
    "skops that is a bomb": _changed(_SKLEARN, model__skops=_skops(zipfile.ZIP_DEFLATED, ("x.npy", bytes(1 << 24)))),
    "path out of the zip": lambda _, __: _zip([("../../outside/canary", TOUCHED.encode())]),
    "absolute path": lambda _, __: _zip([("/tmp/canary", TOUCHED.encode())]),  # noqa: S108
    "zip bomb": lambda _, __: _zip([("head.json", bytes(1 << 24))], zipfile.ZIP_DEFLATED),
    "Keras with a lambda": _keras,
    "member twice": _twice,
    "member that is a link": _member_link,
    "array of objects": _changed(coef__npy=_array(np.array([[print, 1]], object))),
    "array of an absurd shape": _changed(coef__npy=_array(None, (1 << 40, 1 << 40))),
    "array of another shape": _changed(coef__npy=_array(np.zeros((9, 9), np.float32))),
    "description of other classes": _changed({"classes": [["a"], {"b": 1}, None]}),
    "description of another kind": _changed({"kind": "../../x", "state": []}),
    "description that is deep": lambda path, _: _zip([("head.json", b'{"format": ' + b"[" * 100_000)]),
    "description that is a list": lambda path, _: _zip([("head.json", b"[1, 2]")]),
    "cut": lambda path, _: path.read_bytes()[:-30],
}  # fmt: skip


# Runs each command in one process; prints for each what it left and what it opened.
_RUNNER = """
import contextlib, io, json, os, signal, sys
_, cases, results_file = sys.argv
cases = json.load(open(cases))
opened, started = [], []
def audit(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        opened.append(os.fsdecode(arguments[0]))
    elif event in ("os.listdir", "os.scandir") and isinstance(arguments[0], (str, os.PathLike)):
        opened.append(os.fspath(arguments[0]))
    elif event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect"):
        started.append(event)
from embank.cli import main
import classifiers, store.labels, store.exports, pyarrow.parquet, skops.io, sklearn.linear_model  # noqa: F401
def stop(*_): raise TimeoutError("it hangs")
sys.addaudithook(audit)
results = []
for name, arguments in cases:
    signal.signal(signal.SIGALRM, stop)
    signal.alarm(30)
    opened.clear(); started.clear()
    sys.argv = ["embank", *arguments]
    out, err = io.StringIO(), io.StringIO()
    os.write(2, f"case {name}\\n".encode())
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try: main()
        except SystemExit as ended: code = ended.code
        except BaseException as error: code = repr(error)
    signal.alarm(0)
    results.append([name, arguments, code, out.getvalue(), err.getvalue(), sorted(set(opened)), sorted(set(started))])
json.dump(results, open(results_file, "w"))
"""


class Result(NamedTuple):
    """What a command left."""

    arguments: list[str]
    code: object
    out: str
    err: str
    opened: list[str]
    started: list[str]


class Ran(NamedTuple):
    """All that ran: results by case, and what strace wrote."""

    base: Path
    results: dict[str, list[Result]]
    traced: str | None


def _run_all(base: Path) -> dict[str, list[list[str]]]:
    """Makes everything; returns the commands of each case."""
    commands: dict[str, list[list[str]]] = {}
    np.save(base / "mine.npy", VECTORS)
    (base / "keys.txt").write_text("x\ny\nz\n")
    imports = [str(base / "mine.npy"), "--keys", str(base / "keys.txt"), "--name", "photos"]
    for number, (name, spoil) in enumerate((STORES | HARMLESS).items()):
        place = base / f"{number:02d}"
        store, outside = make_store(place / "s.embank"), place / "outside"
        outside.mkdir()
        (outside / "canary").write_bytes(b"canary")
        (outside / "canary.h5").write_bytes(build_image({"vectors": VECTORS}, {}))
        (outside / f"{'1' * 32}-{'1' * 32}.h5").write_bytes(b"the index of another program")
        spoil(store, outside)
        commands[name] = [
            ["info", str(store)],
            ["verify", str(store), "--json"],
            ["compact", str(store)],
            ["merge", str(place / "new.embank"), str(store)],
            ["import", str(store), *imports],
        ]
        make_store(place / "new.embank")
    for number, (name, make) in enumerate(HEADS.items()):
        place = base / f"head{number:02d}"
        store, outside = make_store(place / "s.embank"), place / "outside"
        outside.mkdir()
        (outside / "canary").write_bytes(b"canary")
        path = save_sound_head(place / "s.embank" / "heads" / "a.head")
        path.write_bytes(make(path, outside))
        commands[f"head: {name}"] = [["evaluate", str(store), str(path)]]
    pipe = base / "head-pipe"
    os.mkfifo(pipe)
    commands["head: pipe"] = [["evaluate", str(store), str(pipe)]]
    commands["head: device"] = [["evaluate", str(store), "/dev/zero"]]
    return commands


def _tree(base: Path) -> dict[str, bytes | str]:
    """Everything outside of stores, and what it holds."""
    found: dict[str, bytes | str] = {}
    for path in sorted(base.glob("*/outside/**/*")):
        found[str(path)] = path.read_bytes() if stat.S_ISREG(path.lstat().st_mode) else "special"
    return found


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """All commands on all cases, run once."""
    base = tmp_path_factory.mktemp("hostile")
    commands = _run_all(base)
    before = _tree(base)
    (base / "cases.json").write_text(
        json.dumps([(name, one) for name, all_ in commands.items() for one in all_])
    )
    python = [sys.executable, "-c", _RUNNER, str(base / "cases.json"), str(base / "results.json")]
    trace = [
        "strace",
        "-f",
        "-qq",
        "--seccomp-bpf",
        "-e",
        "trace=open,openat,openat2,creat,execve",
        "-o",
        str(base / "trace"),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    can_trace = (
        shutil.which("strace") and not subprocess.run([*trace, "true"], capture_output=True).returncode
    )
    done = subprocess.run(
        [*trace, *python] if can_trace else python, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr[-300:]
    assert _tree(base) == before, "something outside of a store was changed"
    results: dict[str, list[Result]] = {}
    for name, *rest in json.loads((base / "results.json").read_text()):
        results.setdefault(name, []).append(Result(*rest))
    return Ran(base, results, (base / "trace").read_text() if can_trace else None)


def _assert_one_sentence(result: Result) -> None:
    assert result.code in (0, 1, 2), (result.arguments, result.code, result.err)
    said = [line for line in result.err.splitlines() if line.startswith("embank")]
    assert "Traceback" not in result.err
    assert "failed unexpectedly" not in result.err
    assert len(said) <= 1
    assert not said or said[0].endswith((".", ". ")), said


def _assert_nothing_outside(ran: Ran, results: list[Result]) -> None:
    for result in results:
        assert result.started == []
        inside = Path(
            next((argument for argument in result.arguments if argument.endswith("s.embank")), "")
        ).parent
        for path in result.opened:
            assert not path.startswith("/etc/passwd")
            if Path(path).is_relative_to(ran.base):
                assert "outside" not in Path(path).parts
                assert Path(path).is_relative_to(inside) or path in result.arguments


def test_there_are_enough_of_them() -> None:
    assert len(STORES) >= 15
    assert len(HEADS) >= 10


@pytest.mark.parametrize("name", STORES)
def test_a_hostile_store_is_refused(ran: Ran, name: str) -> None:
    results = ran.results[name]
    for result in results:
        _assert_one_sentence(result)
    _assert_nothing_outside(ran, results)
    info, verify = results[:2]
    assert info.code in (1, 2), info.out
    assert verify.code in (1, 2), verify.out
    assert verify.err or json.loads(verify.out)["damage"]


@pytest.mark.parametrize("name", HARMLESS)
def test_what_leads_nowhere_is_ignored(ran: Ran, name: str) -> None:
    results = ran.results[name]
    for result in results:
        _assert_one_sentence(result)
    _assert_nothing_outside(ran, results)
    assert results[0].code == 0, results[0].err
    assert results[1].code == 0, results[1].out


@pytest.mark.parametrize("name", [*HEADS, "pipe", "device"])
def test_a_hostile_head_is_refused(ran: Ran, name: str) -> None:
    (result,) = ran.results[f"head: {name}"]
    _assert_one_sentence(result)
    _assert_nothing_outside(ran, [result])
    assert result.code == 2
    assert re.search(r"a\.head|head-pipe|/dev/zero", result.err)


def test_libraries_open_nothing_outside_either(ran: Ran) -> None:
    if ran.traced is None:
        pytest.skip("strace is not there, or may not trace: only what Python opens was noted")
    paths = re.findall(r'(?:open|openat|openat2|creat|execve)\([^"]*"([^"]*)"', ran.traced)
    assert len(paths) > 100
    assert [path for path in paths if "/outside" in path or path == "/etc/passwd"] == []


def test_the_canary_would_sing(tmp_path: Path) -> None:
    """The same payload does run where somebody unpickles it."""
    pickle.loads(pickle.dumps(Touch(tmp_path / "canary")))  # noqa: S301
    assert (tmp_path / "canary").read_text() == TOUCHED
