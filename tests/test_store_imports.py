"""Imports: vectors that were made elsewhere, and input that does not fit."""

from __future__ import annotations

import io
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

import store.foreign_hdf5
import store.imports
from store import FeatureStore, StoreError, StoreWriter, export, import_vectors
from store.listing import OK
from store.verify import verify

KEYS = ["a/1.jpg", "b/2.jpg", "b/é 3.jpg"]
VECTORS = np.arange(12, dtype=np.float32).reshape(3, 4) / 7


def _save(path: Path, vectors: NDArray[Any] = VECTORS, **others: NDArray[Any]) -> Path:
    if path.suffix == ".npy":
        np.save(path, vectors)
    elif path.suffix == ".npz":
        np.savez(path, allow_pickle=False, features=vectors, **others)
    else:
        with h5py.File(path, "w") as file:
            for name, array in {"features": vectors, **others}.items():
                data = array.astype(object) if array.dtype.kind == "U" else array
                file.create_dataset(
                    name, data=data, dtype=h5py.string_dtype() if array.dtype.kind == "U" else None
                )
    return path


def _write_keys(path: Path) -> Path:
    if path.suffix == ".txt":
        path.write_text("\n".join(KEYS) + "\n", encoding="utf-8")
    elif path.suffix == ".csv":
        pd.DataFrame({"path": KEYS, "other": 1}).to_csv(path, index=False)
    elif path.suffix == ".npy":
        np.save(path, np.array(KEYS))
    else:
        _save(path, keys=np.array(KEYS))
    return path


@pytest.mark.parametrize("vectors", ["v.npy", "v.npz", "v.h5"])
@pytest.mark.parametrize("keys", ["k.txt", "k.csv", "k.npy", "k.npz", "k.h5"])
def test_any_kind_of_vectors_goes_with_any_kind_of_keys(tmp_path: Path, vectors: str, keys: str) -> None:
    path = tmp_path / "s.embank"
    report = import_vectors(path, _save(tmp_path / vectors), _write_keys(tmp_path / keys), "mine")
    opened = FeatureStore(path)
    assert (report.rows, report.new) == (3, 3)
    assert opened.images()["key"].tolist() == KEYS
    assert opened.images()["folder"].tolist() == ["a", "b", "b"]
    np.testing.assert_array_equal(opened.vectors(report.space), VECTORS)
    assert opened.space("imported").recipe["name"] == "mine"
    assert verify(path).damage == []


@settings(deadline=None, max_examples=25)
@given(
    vectors=hnp.arrays(
        st.sampled_from(["<f4", ">f4", "<f2", "<f8"]),
        st.tuples(st.integers(1, 9), st.integers(1, 5)),
        elements=st.floats(-100, 100, width=16),
    ),
    fortran=st.booleans(),
    rows=st.integers(1, 10),
)
def test_vectors_come_back_and_a_second_import_adds_nothing(
    tmp_path_factory: pytest.TempPathFactory, vectors: NDArray[Any], fortran: bool, rows: int
) -> None:
    folder = tmp_path_factory.mktemp("import")
    np.save(folder / "v.npy", np.asfortranarray(vectors) if fortran else vectors)
    keys = [f"{number:02d}" for number in range(len(vectors))]
    (folder / "k.txt").write_text("\n".join(keys))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store.imports, "_ROWS_BYTES", rows * 4 * vectors.shape[1])
        first = import_vectors(folder / "s.embank", folder / "v.npy", folder / "k.txt")
        again = import_vectors(folder / "s.embank", folder / "v.npy", folder / "k.txt")
    opened = FeatureStore(folder / "s.embank")
    np.testing.assert_array_equal(opened.vectors("imported"), vectors.astype(np.float32))
    assert opened.space("imported").dtype == ("float16" if vectors.dtype == np.float16 else "float32")
    assert (first.space, first.new, again.space, again.new) == (again.space, len(vectors), first.space, 0)


def test_other_vectors_are_another_space_of_the_same_images(tmp_path: Path) -> None:
    path, keys = tmp_path / "s.embank", _write_keys(tmp_path / "k.txt")
    first = import_vectors(path, _save(tmp_path / "v.npy"), keys)
    second = import_vectors(path, _save(tmp_path / "v.npy", VECTORS + 1), keys)
    opened = FeatureStore(path)
    assert len(opened.images()) == 3
    np.testing.assert_array_equal(opened.vectors(first.space) + 1, opened.vectors(second.space))
    other = import_vectors(path, _save(tmp_path / "w.npy"), keys)
    assert len(FeatureStore(path).images()) == 6  # the same keys of another source are other images
    assert other.space != first.space


def test_an_import_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.imports, "_ROWS_BYTES", 16)  # a row a part

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    arguments = tmp_path / "s.embank", _save(tmp_path / "v.npy"), _write_keys(tmp_path / "k.txt")
    with pytest.raises(KeyboardInterrupt):
        import_vectors(*arguments, progress=stop)
    report = import_vectors(*arguments)
    assert (report.rows, report.new) == (3, 1)
    np.testing.assert_array_equal(FeatureStore(arguments[0]).vectors("imported"), VECTORS)


@pytest.mark.parametrize("ending", [".h5", ".npz"])
def test_an_export_is_imported(tmp_path: Path, ending: str) -> None:
    import_vectors(tmp_path / "s.embank", _save(tmp_path / "v.npz", keys=np.array(KEYS)))
    export(FeatureStore(tmp_path / "s.embank"), tmp_path / f"o{ending}", "imported")
    import_vectors(tmp_path / "t.embank", tmp_path / f"o{ending}")
    np.testing.assert_array_equal(FeatureStore(tmp_path / "t.embank").vectors("imported"), VECTORS)
    assert FeatureStore(tmp_path / "t.embank").images()["key"].tolist() == KEYS


def _with(vectors: NDArray[Any]) -> Callable[[Path], tuple[Path, Path | str | None]]:
    return lambda folder: (_save(folder / "v.npy", vectors), _write_keys(folder / "k.txt"))


def _keys(text: str | bytes) -> Callable[[Path], tuple[Path, Path | str | None]]:
    def make(folder: Path) -> tuple[Path, Path | str | None]:
        (folder / "k.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
        return _save(folder / "v.npy"), folder / "k.txt"

    return make


def _raw(name: str, data: bytes) -> Callable[[Path], tuple[Path, Path | str | None]]:
    def make(folder: Path) -> tuple[Path, Path | str | None]:
        (folder / name).write_bytes(data)
        return folder / name, None

    return make


def _objects(folder: Path) -> tuple[Path, None]:
    np.save(folder / "v.npy", np.array([{"a": 1}], object), allow_pickle=True)
    return folder / "v.npy", None


def _linked(folder: Path) -> tuple[Path, None]:
    _save(folder / "real.h5", keys=np.array(KEYS))
    with h5py.File(folder / "v.h5", "w") as file:
        file["features"] = h5py.ExternalLink(str(folder / "real.h5"), "features")
    return folder / "v.h5", None


def _endless(folder: Path) -> tuple[Path, None]:
    """Texts whose heap has an object of no size: HDF5 1.14.6 looks for the next one for ever."""
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        file["features"] = VECTORS
        file.create_dataset("keys", data=KEYS, dtype=h5py.string_dtype())
        file.attrs["a"] = "hello"
    data = bytearray(image.getvalue())
    size_of_rest = data.index(b"hello") + 16
    data[size_of_rest : size_of_rest + 8] = bytes(8)
    (folder / "v.h5").write_bytes(data)
    return folder / "v.h5", None


def _vast(folder: Path) -> tuple[Path, None]:
    with h5py.File(folder / "v.h5", "w") as file:
        file.create_dataset("features", (1 << 40, 4), "f4", chunks=(64, 4))
        file["keys"] = ["a"]
    return folder / "v.h5", None


def _vast_member(folder: Path) -> tuple[Path, None]:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 1 << 10)}
    )
    with zipfile.ZipFile(folder / "v.npz", "w") as archive:
        archive.writestr("features.npy", header.getvalue())
    return folder / "v.npz", None


def _broken_member(folder: Path) -> tuple[Path, None]:
    np.savez_compressed(folder / "v.npz", features=np.zeros((1000, 4)), keys=np.array(["a"]))
    data = bytearray((folder / "v.npz").read_bytes())
    data[60:90] = bytes(30)
    (folder / "v.npz").write_bytes(data)
    return folder / "v.npz", None


def _pipe(folder: Path) -> tuple[Path, None]:
    os.mkfifo(folder / "v.npy")
    return folder / "v.npy", None


_BAD: dict[str, tuple[Callable[[Path], tuple[Path, Path | str | None]], str]] = {
    "objects": (_objects, r"v\.npy cannot be read as plain arrays: it holds Python objects"),
    "link": (_linked, r"v\.h5 has several arrays: it has none"),
    "not finite": (_with(np.where(VECTORS[1, 2] == VECTORS, np.nan, VECTORS)), "row 1 is not finite"),
    "too large": (_with(VECTORS.astype(np.float64) * 1e300), "row 0 is not finite as float32"),
    "one row": (_with(VECTORS[0]), r"shape \(4,\); expected \(images, dimensions\)"),
    "no rows": (_with(VECTORS[:0]), r"shape \(0, 4\)"),
    "integers": (_with(VECTORS.astype(np.int64)), r"of type int64.*astype\('float32'\)"),
    "complex": (_with(VECTORS.astype(np.complex64)), "of type complex64"),
    "fewer keys": (_keys("a\nb\n"), r"k\.txt has 2 keys for 3 vectors"),
    "key twice": (_keys("a\nb\na\n"), "the key 'a' more than once"),
    "no key": (_keys("a\n\nc\n"), "the key of row 1 is empty"),
    "not text": (_keys(b"\xff\xfea\n"), "no UTF-8 text"),
    "no keys": (lambda folder: (_save(folder / "v.npz"), None), "no array called keys"),
    "missing keys": (lambda folder: (_save(folder / "v.npy"), folder / "no.txt"), r"no\.txt: No such file"),
    "keys of vectors": (
        lambda folder: (_save(folder / "v.npz", keys=VECTORS), None), r"keys have the shape \(3, 4\)"
    ),
    "other ending": (_raw("v.pkl", b"x"), r"v\.pkl: expected a file ending in \.npy"),
    "not npy": (_raw("v.npy", b"no array"), r"v\.npy cannot be read"),
    "not zip": (_raw("v.npz", b"PK\x03\x04 no"), r"v\.npz cannot be read"),
    "not hdf": (_raw("v.h5", b"no"), r"v\.h5 cannot be read"),
    "endless": (_endless, r"v\.h5(: the HDF5 library stood still on it| cannot be read)"),
    "vast": (_vast, r"'features' says that it has 17,592,186,044,416 bytes, far more than the file"),
    "vast member": (_vast_member, r"v\.npz cannot be read as plain arrays"),
    "broken member": (_broken_member, r"v\.npz cannot be read as plain arrays"),
    "pipe": (_pipe, r"v\.npy is no file"),
    "missing": (lambda folder: (folder / "none.npy", None), r"there is no file .*none\.npy"),
}  # fmt: skip


@pytest.mark.parametrize("case", _BAD)
def test_what_does_not_fit_is_said_in_a_sentence_and_nothing_is_made(tmp_path: Path, case: str) -> None:
    make, sentence = _BAD[case]
    vectors, keys = make(tmp_path)
    with pytest.raises(StoreError, match=sentence) as refused:
        import_vectors(tmp_path / "s.embank", vectors, keys, patience_s=4)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "s.embank").exists()


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (
            "import time; time.sleep(600)",
            r"v\.h5: the HDF5 library stood still on it for 0\.5 seconds and was stopped",
        ),
        ("import os; os.close(1); import time; time.sleep(600)", "stood still"),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            r"v\.h5: the HDF5 library crashed on it \(SIGSEGV\)",
        ),
        ("import sys; sys.exit(7)", r"crashed on it \(status 7\)"),
    ],
    ids=["hangs", "hangs without a word", "crashes", "fails"],
)
def test_a_library_that_hangs_or_crashes_takes_only_a_child_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, sentence: str
) -> None:
    vectors = _save(tmp_path / "v.h5", keys=np.array(KEYS))
    monkeypatch.setattr(store.foreign_hdf5, "_CHILD", [sys.executable, "-c", script])
    with pytest.raises(StoreError, match=sentence):
        import_vectors(tmp_path / "s.embank", vectors, patience_s=0.5)


def test_a_child_that_shows_signs_of_life_has_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = _save(tmp_path / "v.h5", keys=np.array(KEYS))
    script = "import time\nfor _ in range(8): print('.', end='', flush=True); time.sleep(0.5)"
    monkeypatch.setattr(store.foreign_hdf5, "_CHILD", [sys.executable, "-c", script])
    assert import_vectors(tmp_path / "s.embank", vectors, patience_s=3).new == 3


def test_a_source_of_real_images_is_not_mixed_with(tmp_path: Path) -> None:
    listing = {
        "key": ["x"],
        "hash": ["1" * 32],
        "bytes": 1,
        "mtime": 1,
        "width": 1,
        "height": 1,
        "status": OK,
    }
    StoreWriter(tmp_path / "s.embank").add_to_listing("v", "/photos", pd.DataFrame(listing))
    with pytest.raises(StoreError, match=r"a source called 'v' already, from /photos.*--name"):
        import_vectors(tmp_path / "s.embank", _save(tmp_path / "v.npy"), _write_keys(tmp_path / "k.txt"))
    with pytest.raises(StoreError, match=r"'\.\./v' cannot be the name of a source"):
        import_vectors(
            tmp_path / "s.embank", _save(tmp_path / "v.npy"), _write_keys(tmp_path / "k.txt"), "../v"
        )
