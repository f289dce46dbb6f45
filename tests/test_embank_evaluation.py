"""Figures, groups, named subsets, pairs and several labels an image on the command line."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from classifiers import Scheme, run_comparison
from embank.commands.predict import _rows
from store import FeatureStore

if TYPE_CHECKING:
    from tests.conftest import Embank, FakeEngines, WritePhoto

PHOTOS = 48


@pytest.fixture
def bank(embank: Embank, fake_engine: FakeEngines, write_photo: WritePhoto, tmp_path: Path) -> Path:
    """A store of photos in two folders, with a label table of tags and animals."""
    photos, store = tmp_path / "photos", tmp_path / "photos.embank"
    rows = []
    for number in range(PHOTOS):
        key = f"{('cats', 'dogs')[number % 2]}/{number}.jpg"
        write_photo(photos / key, number)
        tags = [name for name, divisor in (("even", 2), ("third", 3), ("fifth", 5)) if number % divisor == 0]
        rows.append({"key": key, "tags": "; ".join(tags) or "none", "animal": number // 4})
    pd.DataFrame(rows).to_csv(tmp_path / "tags.csv", index=False)
    recipe = ("--backbone", "MobileNetV2_0.35", "--weights", "none", "--image-size", "32")
    assert embank("embed", photos, store, *recipe).code == 0
    assert embank("labels", store, "add", tmp_path / "tags.csv", "--on", "key").code == 0
    (tmp_path / "schemes.yaml").write_text(
        "tags:\n  from: labels.tags\n  multilabel: true\n  drop: [none]\nfolder:\n  from: folder\n"
    )
    return store


def test_compare_gives_figures_pairs_and_groups(embank: Embank, bank: Path, tmp_path: Path) -> None:
    arguments = [
        "--heads",
        "ridge,svm",
        "--schemes",
        tmp_path / "schemes.yaml",
        "--group",
        "animal",
        "--cv",
        "3",
    ]
    ran = embank("compare", bank, *arguments, "--json", "--report", tmp_path / "board.html")
    assert "svm" in ran.err  # it takes one label an image
    rows = {(row["scheme"], row["head"]): row for row in ran.json["rows"]}
    assert set(rows) == {("tags", "ridge"), ("folder", "ridge"), ("folder", "svm")}
    folder, tags = rows["folder", "ridge"], rows["tags", "ridge"]
    assert folder["macro_f1_low"] <= folder["macro_f1"] <= folder["macro_f1_high"]
    assert folder["roc_auc"] is not None and rows["folder", "svm"]["roc_auc"] is None
    assert folder["average_precision"] is None and tags["average_precision"] is not None
    assert (tags["classes"], tags["n_test"]) == (
        3,
        PHOTOS - sum(1 for i in range(PHOTOS) if i % 2 and i % 3 and i % 5),
    )
    pair = ran.json["pairs"][0]
    assert {pair["head"], pair["other_head"]} == {"ridge", "svm"}
    assert pair["n"] == PHOTOS and 0 < pair["p_value"] <= 1
    assert "Average precision, macro" in (tmp_path / "board.html").read_text()


def test_train_and_evaluate_with_several_labels(embank: Embank, bank: Path, tmp_path: Path) -> None:
    head, schemes = tmp_path / "tags.head", tmp_path / "schemes.yaml"
    arguments = ["--scheme", "tags", "--schemes", schemes, "--head", "logistic", "--out", head]
    trained = embank("train", bank, *arguments, "--group", "animal", "--json").json
    assert trained["classes"] == ["even", "fifth", "third"]
    where = ["--where", "cats: folder == 'cats'", "--where", "width > 0"]
    ran = embank("evaluate", bank, head, *where, "--group", "animal", "--json")
    assert [row["subset"] for row in ran.json["rows"]] == ["overall", "cats", "width > 0"]
    assert [one["class"] for one in ran.json["rows"][0]["per_class"]] == ["even", "fifth", "third"]
    assert np.shape(ran.json["rows"][0]["confusion"]) == (3, 2, 2)
    shown = embank("evaluate", bank, head, *where)
    assert "micro F1" in shown.out and "cats" in shown.out


def test_an_unknown_group_is_one_sentence(embank: Embank, bank: Path) -> None:
    ran = embank("compare", bank, "--heads", "ridge", "--group", "anmal")
    assert ran.code == 2
    assert "there is no column 'anmal' to group by. Known are" in ran.err


def test_a_dense_head_takes_several_labels(bank: Path) -> None:
    pytest.importorskip("tensorflow")
    tags = Scheme("tags", "tags", drop=["none"], multilabel=True)
    comparison = run_comparison(FeatureStore(bank), [tags], ["dense(epochs=2, output='sigmoid')"])
    assert not comparison.errors
    assert comparison.results[0].predicted.shape[1] == 3


def test_rows_of_several_labels() -> None:
    head: Any = SimpleNamespace(
        multilabel=True, classes=("a", "b", "c"), scheme=Scheme("t", "t", multilabel=True)
    )
    scores = {0: np.array([0.9, 0.2, 0.6]), 1: np.array([0.3, 0.1, 0.2])}
    entries: Any = [SimpleNamespace(key=name) for name in ("x", "y", "z")]
    rows = _rows(head, scores, entries, [None, None, "broken"], 1)
    assert [(row["label"], row["score"]) for row in rows] == [("a;c", 0.6), ("", 0.7), (None, None)]
    top = _rows(head, scores, entries[:2], [None, None], 2)
    assert [row["label"] for row in top] == ["a", "c", "a", "c"]
