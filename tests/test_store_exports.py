"""Exports are what the store says, read by programs that know nothing of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

import store.exports
from store import FeatureStore, StoreError, StoreWriteError, StoreWriter, export
from store.columns import hashes_from_hex
from store.commit import checksum
from store.labels import make_label_table
from store.listing import OK
from store.part import PartRows
from store.recipes import space_id

RECIPE: dict[str, Any] = {"backbone": "ResNet50", "dtype": "float16", "views": 2}
SPACE = space_id(RECIPE)
KEYS = ["train/käfer/1.jpg", "train/bee/2.jpg", "val/bee/3.jpg", "loose.jpg"]
DIM = 5


@pytest.fixture
def opened(tmp_path: Path) -> FeatureStore:
    """Two sources that share keys, one image without a vector, labels of several types with gaps."""
    writer = StoreWriter(tmp_path / "s.embank")
    rng = np.random.default_rng(0)
    for source in ("a", "b"):
        hashes = [checksum(f"{source}{key}".encode()) for key in KEYS]
        rows = hashes_from_hex([*hashes[:3], *hashes[:3]])  # the last one is not banked
        writer.commit_part(
            RECIPE,
            PartRows(
                hash=rows,
                view=np.repeat(np.arange(2, dtype=np.int16), 3),
                vectors=rng.standard_normal((6, DIM)).astype(np.float16),
                key=KEYS[:3] * 2,
                source=[source] * 6,
            ),
        )
        listing = pd.DataFrame({"key": KEYS, "hash": hashes, "bytes": 1, "mtime": 2, "width": 3, "height": 4})
        writer.add_to_listing(
            source, "/" + source, listing.assign(status=OK, **{SPACE: [True] * 3 + [False]})
        )
    table = pd.DataFrame({"path": KEYS[:2], "legs": [6, 4], "wing/s": [True, False], "": ["x\0y", "z"]})
    labels, _ = make_label_table("t", table)
    writer.attach_labels(labels)
    return FeatureStore(writer.path)


def _expected(opened: FeatureStore, view: int = 0) -> tuple[pd.DataFrame, NDArray[np.float32]]:
    images = opened.images()
    images = images[images["key"] != "loose.jpg"].reset_index(drop=True)
    return images, np.asarray(opened.vectors(SPACE, images, view=view))


def test_h5_is_read_with_plain_h5py(opened: FeatureStore, tmp_path: Path) -> None:
    assert export(opened, tmp_path / "o.h5", SPACE) == 6
    images, vectors = _expected(opened)
    with h5py.File(tmp_path / "o.h5") as file:
        assert file["features"].dtype == np.float32
        assert file["features"].chunks is None
        np.testing.assert_array_equal(file["features"][()], vectors)
        assert file["keys"].asstr()[()].tolist() == images["key"].tolist()
        assert file["source"].asstr()[()].tolist() == images["source"].tolist()
        assert file["split"].asstr()[()].tolist() == images["split"].fillna("").tolist()
        np.testing.assert_array_equal(file["labels.legs"][()], images["labels.legs"])
        assert file["labels.wing_s"].asstr()[()].tolist() == ["False", "True", ""] * 2
        assert file["labels."].asstr()[()].tolist() == ["z", "x\ufffdy", ""] * 2
        assert json.loads(file.attrs["recipe"]) == RECIPE
        assert file.attrs["space"] == SPACE


def test_npz_is_read_without_pickle(opened: FeatureStore, tmp_path: Path) -> None:
    export(opened, tmp_path / "o.npz", "ResNet50", source="b")
    images, vectors = _expected(opened)
    of_b = images["source"] == "b"
    with np.load(tmp_path / "o.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["features"], vectors[of_b])
        assert archive["keys"].tolist() == images.loc[of_b, "key"].tolist()
        assert archive["folder"].tolist() == images.loc[of_b, "folder"].tolist()
        assert json.loads(str(archive["recipe"])) == RECIPE


def test_parquet_has_vectors_of_a_fixed_size(opened: FeatureStore, tmp_path: Path) -> None:
    export(opened, tmp_path / "o.parquet", SPACE, view=1)
    images, vectors = _expected(opened, view=1)
    table = pq.read_table(tmp_path / "o.parquet")
    assert table.schema.field("features").type.list_size == DIM
    np.testing.assert_array_equal(np.stack(table["features"].to_numpy()), vectors)
    assert table["key"].to_pylist() == images["key"].tolist()
    assert table["split"].to_pylist() == ["train", "train", "val"] * 2
    assert json.loads(table.schema.metadata[b"recipe"]) == RECIPE


def test_blocks_come_in_order(opened: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.exports, "_BLOCK_BYTES", 4 * DIM * 4)  # four rows, then two
    shown: list[tuple[int, int]] = []
    _, vectors = _expected(opened)
    for ending in (".h5", ".npz", ".parquet", ".h5ad"):
        export(
            opened, tmp_path / f"o{ending}", SPACE, progress=lambda done, total: shown.append((done, total))
        )
    assert shown == [(4, 6), (6, 6)] * 4
    with h5py.File(tmp_path / "o.h5") as plain, h5py.File(tmp_path / "o.h5ad") as anndata:
        np.testing.assert_array_equal(plain["features"][()], vectors)
        np.testing.assert_array_equal(anndata["X"][()], vectors)
    with np.load(tmp_path / "o.npz") as archive:
        np.testing.assert_array_equal(archive["features"], vectors)
    np.testing.assert_array_equal(
        np.stack(pd.read_parquet(tmp_path / "o.parquet")["features"].to_list()), vectors
    )


def test_h5ad_says_what_it_is_as_the_specification_asks(opened: FeatureStore, tmp_path: Path) -> None:
    export(opened, tmp_path / "o.h5ad", SPACE)
    images, _ = _expected(opened)
    with h5py.File(tmp_path / "o.h5ad") as file:
        encoded: dict[str, str] = {"/": file.attrs["encoding-type"]}
        file.visititems(lambda name, thing: encoded.update({name: thing.attrs["encoding-type"]}))
        assert encoded["/"] == "anndata"
        assert (encoded["X"], encoded["obs"], encoded["var"]) == ("array", "dataframe", "dataframe")
        assert encoded["uns/embank/recipe"] == "string"
        names = file["obs"][file["obs"].attrs["_index"]].asstr()[()].tolist()
        assert names == (images["source"] + "/" + images["key"]).tolist()  # keys alone repeat
        for column in file["obs"].attrs["column-order"]:
            assert f"obs/{column}" in encoded
        assert file["var/_index"].shape == (DIM,)
        assert file["obs/split/codes"][()].tolist() == [0, 0, 1, 0, 0, 1]


_READ_H5AD = """
import json, sys, anndata
read = anndata.read_h5ad(sys.argv[1])
print(json.dumps({
    "X": read.X.tolist(), "names": read.obs_names.tolist(), "folder": read.obs["folder"].tolist(),
    "legs": read.obs["labels.legs"].isna().tolist(), "recipe": json.loads(read.uns["embank"]["recipe"]),
}))
"""


def test_h5ad_opens_in_anndata(opened: FeatureStore, tmp_path: Path) -> None:
    """In a Python of its own: anndata up to 0.12 needs pandas before 3, which embank does not."""
    python = os.environ.get("EMBANK_ANNDATA_PYTHON") or sys.executable
    if subprocess.run([python, "-c", "import anndata"], capture_output=True).returncode:
        pytest.skip("anndata is not there (EMBANK_ANNDATA_PYTHON names a Python that has it)")
    export(opened, tmp_path / "o.h5ad", SPACE, source="a")
    images, vectors = _expected(opened)
    command = [python, "-c", _READ_H5AD, str(tmp_path / "o.h5ad")]
    read = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    np.testing.assert_array_equal(np.array(read["X"], np.float32), vectors[:3])
    assert read["names"] == images["key"][:3].tolist()
    assert read["folder"] == images["folder"][:3].tolist()
    assert read["legs"] == [False, False, True]
    assert read["recipe"] == RECIPE


@pytest.mark.parametrize(
    ("out", "options", "sentence"),
    [
        ("o.csv", {}, r"o\.csv: expected a file name ending in \.h5, \.npz, \.parquet, \.h5ad"),
        ("s.embank/o.h5", {}, "is inside the store"),
        ("o.h5", {"source": "c"}, "no source 'c'; its sources: a, b"),
        ("o.h5", {"space": "Xception"}, "no space 'Xception'"),
        ("o.h5", {"view": 7}, "no listed image has a vector .* view 7"),
    ],
)
def test_what_cannot_be_exported_is_said(
    opened: FeatureStore, tmp_path: Path, out: str, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(StoreError, match=sentence):
        export(opened, tmp_path / out, **({"space": SPACE} | options))
    assert not (tmp_path / out).exists()


@pytest.mark.parametrize("ending", [".h5", ".npz", ".parquet", ".h5ad"])
def test_an_export_that_fails_leaves_the_earlier_file_and_no_rest(
    opened: FeatureStore, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "exports" / f"o{ending}"
    with pytest.raises(StoreWriteError, match=f"could not write .*o{ending}: No such file"):
        export(opened, out, SPACE)
    out.parent.mkdir()
    out.write_bytes(b"earlier")

    def fail(self: object, rows: object, out: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("store.space.Space.read", fail)
    with pytest.raises(StoreWriteError, match="No space left on device"):
        export(opened, out, SPACE)
    assert [file.name for file in out.parent.iterdir()] == [out.name]
    assert out.read_bytes() == b"earlier"
