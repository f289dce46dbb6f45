"""The commands that look after a store: what they print, and what they say of bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest

from store import FeatureStore

if TYPE_CHECKING:
    from tests.conftest import Embank


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    """Vectors of four images and, beside them, their names."""
    np.save(tmp_path / "v.npy", np.arange(12, dtype=np.float32).reshape(4, 3))
    (tmp_path / "k.txt").write_text("a/1.jpg\na/2.jpg\nb/3.jpg\nb/4.jpg\n")
    return tmp_path / "v.npy"


def test_vectors_come_in_and_go_out_again(embank: Embank, vectors: Path, tmp_path: Path) -> None:
    path, keys = tmp_path / "s.embank", tmp_path / "k.txt"
    ran = embank("import", path, vectors, "--keys", keys, "--name", "mine")
    assert (ran.code, ran.out.endswith("4 images, 4 of them new.\n")) == (0, True)
    again = embank("import", path, vectors, "--keys", keys, "--name", "mine", "--json")
    space = FeatureStore(path).space("imported").id
    assert json.loads(again.out) == {"space": space, "rows": 4, "new": 0}
    assert embank("info", path).code == 0
    assert embank("verify", path).code == 0

    ran = embank("export", path, tmp_path / "o.h5", "--space", "imported", "--json")
    assert json.loads(ran.out) == {"out": str(tmp_path / "o.h5"), "space": space, "rows": 4, "dim": 3}
    with h5py.File(tmp_path / "o.h5") as file:
        assert file["keys"].asstr()[()].tolist() == keys.read_text().split()

    report = json.loads(embank("compact", path, "--json").out)
    assert (report["parts_before"], report["parts_after"]) == (1, 1)


def test_merging_and_removing(embank: Embank, vectors: Path, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.embank", tmp_path / "theirs.embank"
    for path, name in ((ours, "one"), (theirs, "two")):
        embank("import", path, vectors, "--keys", tmp_path / "k.txt", "--name", name)
    ran = embank("merge", ours, theirs, "--rename", "two=three")
    assert ran.code == 0
    assert "1 part with 4 rows copied, 1 source and 0 label tables" in ran.out
    assert sorted(FeatureStore(ours).sources) == ["one", "three"]
    assert embank("rm", ours, "--source", "one").code == 0
    assert list(FeatureStore(ours).sources) == ["three"]
    (space,) = FeatureStore(theirs).spaces
    ran = embank("rm", ours, "--space", space)
    assert (ran.code, space in ran.out, space in FeatureStore(ours).spaces) == (0, True, False)
    assert embank("verify", ours).code == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["rm", "s.embank"], "either --source NAME or --space ID"),
        (["rm", "s.embank", "--source", "a", "--space", "b"], "either --source NAME or --space ID"),
        (["rm", "s.embank", "--source", "none"], "no source 'none'; its sources: mine"),
        (["merge", "s.embank", "s.embank", "--rename", "x"], "expected OLD=NEW"),
        (["merge", "s.embank", "s.embank"], "the same store"),
        (["merge", "s.embank", "none"], "no store at none"),
        (["export", "s.embank", "o.csv", "--space", "imported"], "ending in .h5, .npz, .parquet, .h5ad"),
        (["export", "s.embank", "o.h5", "--space", "ResNet50"], "no space 'ResNet50'"),
        (["import", "s.embank", "v.npy"], "no array called keys"),
        (["import", "s.embank", "none.npy", "--keys", "k.txt"], "there is no file none.npy"),
        (["compact", "none"], "no store at none"),
    ],
)
def test_bad_input_is_one_sentence(
    embank: Embank,
    vectors: Path,
    tmp_path: Path,
    arguments: list[str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    embank("import", "s.embank", vectors, "--keys", "k.txt", "--name", "mine")
    ran = embank(*arguments)
    assert ran.code == 2
    assert sentence in " ".join(ran.err.replace("│", " ").split())
    assert "Traceback" not in ran.err
