"""The commands that look after a store: what they print, and what they say of bad input."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from store import FeatureStore
from store.processes import this_machine

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


def _is_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("a file")


def _left_by_the_dead(path: Path) -> None:
    """A part half written, and a space and a source that nothing was written to yet."""
    (space,) = (path / "spaces").iterdir()
    (space / f".tmp-{this_machine()}-{2**22 + 1}-00000000").write_bytes(b"half")
    (path / "spaces" / "Xception-000000000000").mkdir()
    (path / "sources" / "new").mkdir()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_is_file, "s.embank is a file, not a store: a store is a directory, NAME.embank."),
        (lambda path: (path / "embank.json").write_text('{"format": 2}'), "is of format 2, this embank reads formats"),
        (lambda path: (path / "embank.json").write_text('{"for'), "embank.json is damaged: expected"),
        (lambda path: (path / "embank.json").unlink(), "is not a store: it has no embank.json. Check the path"),
        (lambda path: next(path.glob("spaces/*/recipe.json")).unlink(), "has no recipe.json. Delete it if it is there"),
        (shutil.rmtree, "there is no store at"),
    ],
    ids=["file", "newer", "damaged", "no embank.json", "no recipe", "gone"],
)  # fmt: skip
@pytest.mark.parametrize(
    "command", [["info"], ["export", "o.h5", "--space", "imported"], ["compact"], ["labels", "list"]]
)
def test_a_store_that_cannot_be_read_is_one_sentence(
    embank: Embank,
    vectors: Path,
    tmp_path: Path,
    spoil: Callable[[Path], object],
    sentence: str,
    command: list[str],
) -> None:
    path = tmp_path / "s.embank"
    embank("import", path, vectors, "--keys", tmp_path / "k.txt", "--name", "mine")
    spoil(path)
    ran = embank(command[0], path, *command[1:])
    assert (ran.code, ran.out) == (2, "")
    (line,) = ran.err.splitlines()
    assert sentence in line


def test_what_is_lost_of_a_store_is_said(embank: Embank, vectors: Path, tmp_path: Path) -> None:
    path, keys = tmp_path / "s.embank", tmp_path / "k.txt"
    embank("import", path, vectors, "--keys", keys, "--name", "mine")
    shutil.rmtree(path / "spaces")
    ran = embank("verify", path)
    assert ran.code == 1
    assert "that have no sound vectors there" in ran.out + ran.err
    ran = embank("export", path, tmp_path / "o.h5", "--space", "imported")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "has no space 'imported'; its spaces: none yet" in ran.err
    assert embank("import", path, vectors, "--keys", keys, "--name", "mine").code == 0
    assert embank("verify", path).code == 0


def test_what_a_dead_writer_left_is_passed_over_and_swept(
    embank: Embank, vectors: Path, tmp_path: Path
) -> None:
    path, keys = tmp_path / "s.embank", tmp_path / "k.txt"
    embank("import", path, vectors, "--keys", keys, "--name", "mine")
    _left_by_the_dead(path)
    for command in ("info", "verify", "compact"):
        assert embank(command, path).code == 0
    assert embank("import", path, vectors, "--keys", keys, "--name", "mine").code == 0
    assert not list(path.rglob(".tmp-*"))


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_store_that_cannot_be_written_is_one_sentence(
    embank: Embank, vectors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path, open_ = tmp_path / "s.embank", os.open

    def refuse(name: str | Path, flags: int, *rest: Any, **options: Any) -> int:
        if flags & os.O_CREAT and str(path) in str(name):
            raise OSError(number, os.strerror(number), str(name))
        return open_(name, flags, *rest, **options)

    embank("import", path, vectors, "--keys", tmp_path / "k.txt", "--name", "mine")
    monkeypatch.setattr("store.commit.os.open", refuse)
    ran = embank("import", path, vectors, "--keys", tmp_path / "k.txt", "--name", "other")
    assert ran.code == 1
    said = ran.err.splitlines()[-1]
    assert said.startswith(f"embank: could not write {path}")
    assert os.strerror(number) in said
    assert said.endswith("run the same command again.")
    assert "Traceback" not in ran.err
    monkeypatch.undo()
    assert list(FeatureStore(path).sources) == ["mine"]
