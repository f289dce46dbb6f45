"""`embank curve` and `embank regroup` on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from classifiers import load_schemes

if TYPE_CHECKING:
    from tests.conftest import Embank, FakeEngines, WritePhoto


@pytest.fixture
def bank(embank: Embank, fake_engine: FakeEngines, write_photo: WritePhoto, tmp_path: Path) -> Path:
    """A store of photos in four class folders, whose vectors say something of them."""
    photos, store = tmp_path / "photos", tmp_path / "photos.embank"
    for number in range(120):
        write_photo(photos / ("ant", "bee", "cat", "dog")[number % 4] / f"{number}.jpg", number)
    recipe = ("--backbone", "MobileNetV2_0.35", "--weights", "none", "--image-size", "32")
    assert embank("embed", photos, store, *recipe).code == 0
    (tmp_path / "schemes.yaml").write_text(
        "kind:\n  from: folder\n"
        "size:\n  from: kind\n  groups: {small: [ant, bee], large: rest}\n"
        "broken:\n  from: nothing\n"
    )
    return store


def test_curve_answers_how_many(embank: Embank, bank: Path, tmp_path: Path) -> None:
    ran = embank(
        "curve",
        bank,
        "--scheme",
        "folder",
        "--target",
        "0.05",
        "--target",
        "0.99",
        "--csv",
        tmp_path / "c.csv",
    )
    assert ran.code == 0
    assert "images" in ran.out and "95 % band" in ran.out
    assert "Fitted: " in ran.out
    assert "5.0 % is reached with" in ran.out and "99.0 % is" in ran.out
    table = pd.read_csv(tmp_path / "c.csv")
    assert table["n_train"].is_monotonic_increasing and table["accuracy"].between(0, 1).all()


def test_curve_as_json_and_a_broken_scheme(embank: Embank, bank: Path, tmp_path: Path) -> None:
    schemes = ("--schemes", tmp_path / "schemes.yaml")
    ran = embank("curve", bank, *schemes, "--json", "--target", "0.99", "--draws", "2", "--head", "logistic")
    assert ran.code == 1
    assert [one["scheme"] for one in ran.json["curves"]] == ["kind", "size"]
    assert [one["scheme"] for one in ran.json["errors"]] == ["broken"]
    kind = ran.json["curves"][0]
    assert {"n_train", "accuracy", "lowest", "highest", "law", "law_low", "law_high"} <= set(kind["rows"][0])
    assert np.shape(kind["draws"]) == (len(kind["rows"]), 2)
    assert {"ceiling", "scale", "exponent"} <= set(kind["law"])
    assert kind["targets"][0]["sentence"].startswith("99.0 % is")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--scheme", "foldr"), "has no scheme 'foldr'. Did you mean 'folder'?"),
        (("--sizes", "10,many"), "--sizes are numbers such as 50,100,200; got '10,many'"),
        (("--sizes", "10,1000"), "the number of training images; got [10, 1000]"),
        (("--head", "rigde"), "there is no head 'rigde'. Did you mean 'ridge'?"),
        (("--space", "VGG16"), "VGG16"),
    ],
)
def test_curve_says_what_is_wrong(
    embank: Embank, bank: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    ran = embank("curve", bank, *arguments)
    assert ran.code == 2
    assert sentence in ran.err


def test_regroup_shows_and_writes_what_compare_reads(embank: Embank, bank: Path, tmp_path: Path) -> None:
    out, splits = tmp_path / "merged.yaml", tmp_path / "splits.csv"
    schemes = ("--schemes", tmp_path / "schemes.yaml")
    ran = embank("regroup", bank, "--scheme", "kind", *schemes, "--cv", "3", "--out", out, "--splits", splits)
    assert ran.code == 0
    for heading in ("One merge alone", "Merge after merge", "Clusters inside classes", "What says most"):
        assert heading in ran.out
    assert "'broken'" in ran.err
    assert list(load_schemes(out)) == ["kind", "kind_3", "kind_2"]
    board = embank("compare", bank, "--schemes", out, "--heads", "ridge", "--json")
    assert [row["classes"] for row in board.json["rows"]] == [4, 3, 2]
    table = pd.read_csv(splits)
    assert list(table) == ["key", "kind_split"] and len(table) == 120
    assert table["kind_split"].str.match("(ant|bee|cat|dog)").all()
    assert embank("labels", bank, "add", splits, "--on", "key").code == 0


def test_regroup_as_json(embank: Embank, bank: Path, tmp_path: Path) -> None:
    out = tmp_path / "three.yaml"
    ran = embank("regroup", bank, "--scheme", "folder", "--json", "--classes", "3", "--out", out)
    assert ran.code == 0
    found = ran.json
    assert [one["classes"] for one in found["path"]] == [3, 2]
    assert [len(one["groups"]) for one in found["path"]] == [3, 2]
    assert {"classes", "accuracy", "gain", "low", "high", "entropy"} <= set(found["merges"][0])
    assert [one["class"] for one in found["clusters"]] == ["ant", "bee", "cat", "dog"]
    assert found["clusters"][0]["silhouette"] is None and "too few" in found["clusters"][0]["reason"]
    assert len(found["front"]) == 3
    assert list(load_schemes(out)) == ["folder", "folder_3"]


def test_regroup_says_what_is_wrong(embank: Embank, bank: Path, tmp_path: Path) -> None:
    schemes = ("--schemes", tmp_path / "schemes.yaml")
    ran = embank("regroup", bank, "--scheme", "broken", *schemes)
    assert ran.code == 2 and "'nothing'" in ran.err
    ran = embank("regroup", bank, "--scheme", "folder", "--out", tmp_path / "o.yaml", "--classes", "9")
    assert ran.code == 2 and "from 4 classes to 2; 9 were asked for" in ran.err
    ran = embank("regroup", bank, "--scheme", "size", *schemes, "--out", tmp_path / "o.yaml")
    assert ran.code == 2 and "'size' has two classes: there is nothing to merge" in ran.err
