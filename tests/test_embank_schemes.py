"""`embank schemes` and `embank labels`: what they print, what they refuse, and that one broken scheme stops none."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from embank.contact_sheets import EDGE
from embedder import Recipe, embed
from store import FeatureStore

if TYPE_CHECKING:
    from tests.conftest import Embank, FakeEngines

SCHEMES = """
pet: {from: folder}
width: {from: width, bins: [42, 44]}
typo: {from: folder, groups: {a: [cat], b: rest}}
broken: {fro: folder}
thing: {from: labels.thing}
"""


@pytest.fixture
def bank(photos: Path, tmp_path: Path, fake_engine: FakeEngines) -> Path:
    """Eight photos, cats and dogs, of which two have a row in a label table."""
    path = tmp_path / "pets.embank"
    embed(photos, path, Recipe("MobileNetV2", weights="none", image_size=32))
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "things.csv"
    path.write_text("file,thing\n0.jpg,ball\n1.jpg,bone\n9.jpg,bone\n")
    return path


@pytest.fixture
def schemes(tmp_path: Path) -> Path:
    path = tmp_path / "schemes.yaml"
    path.write_text(SCHEMES)
    return path


def test_classes_and_what_matches_on_neither_side(
    embank: Embank, bank: Path, schemes: Path, table: Path
) -> None:
    assert embank("labels", bank, "add", table, "--on", "name").code == 0
    ran = embank("schemes", bank, schemes, "--json")
    assert ran.code == 1
    found = {one["scheme"]: one for one in ran.json["schemes"]}
    assert list(found) == ["pet", "width", "thing"]
    assert [(one["name"], one["images"]) for one in found["width"]["classes"]] == [
        ("< 42", 2), ("42–44", 2), ("≥ 44", 4),
    ]  # fmt: skip
    assert (found["thing"]["labelled"], found["thing"]["unlabelled"]) == (2, 6)
    assert [one["scheme"] for one in ran.json["errors"]] == ["broken", "typo"]
    (join,) = ran.json["tables"]
    assert (join["matched"], len(join["images_without_row"]), join["rows_without_image"]) == (2, 6, ["9.jpg"])
    assert f"{schemes}, line 5, scheme 'broken': there is no option 'fro'. Did you mean 'from'?" in ran.err
    assert f"{schemes}, line 4, scheme 'typo': group 'a' names 'cat'" in ran.err

    printed = embank("schemes", bank, schemes)
    assert re.search(r"^pet \(from folder\): 2 classes, 8 images$", printed.out, re.M)
    assert re.search(r"^ cats +4 +50\.0 %$", printed.out, re.M)
    assert "rows without an image: 1, for instance 9.jpg" in printed.out


def test_schemes_without_a_file_and_of_one_name(embank: Embank, bank: Path, schemes: Path) -> None:
    assert [one["scheme"] for one in embank("schemes", bank, "--json").json["schemes"]] == ["folder"]
    ran = embank("schemes", bank, schemes, "--scheme", "pet", "--json")
    assert (ran.code, [one["scheme"] for one in ran.json["schemes"]]) == (0, ["pet"])
    assert embank("schemes", bank, schemes, "--scheme", "broken").code == 2
    ran = embank("schemes", bank, schemes, "--scheme", "pets")
    assert (ran.code, "Did you mean 'pet'?" in ran.err) == (2, True)
    (schemes.parent / "list.yaml").write_text("- a\n")
    ran = embank("schemes", bank, schemes.parent / "list.yaml")
    assert (ran.code, "holds no schemes" in ran.err) == (2, True)


def test_the_contact_sheet_has_a_row_of_pictures_for_each_class(
    embank: Embank, bank: Path, photos: Path, tmp_path: Path
) -> None:
    (photos / "dogs" / "1.jpg").unlink()
    page, picture = tmp_path / "sheet.html", tmp_path / "sheet.png"
    assert embank("schemes", bank, "--contact-sheet", page).code == 0
    text = page.read_text()
    assert text.count("data:image/jpeg;base64,") == 7
    assert text.count("<i>gone</i>") == 1
    assert re.findall(r'<th scope="row">(\w+)<small>([\w ]+)<', text) == [
        ("cats", "4 images"),
        ("dogs", "4 images"),
    ]
    assert embank("schemes", bank, "--contact-sheet", picture, "--pictures", 2).code == 0
    with Image.open(io.BytesIO(picture.read_bytes())) as sheet:
        assert sheet.width < 2 * EDGE + 300
        assert sheet.height > 2 * EDGE
        assert len(np.unique(np.asarray(sheet))) > 50
    assert embank("schemes", bank, "--contact-sheet", tmp_path / "sheet.gif").code == 2


def test_the_json_schema_is_printed_without_a_store(embank: Embank) -> None:
    assert json.loads(embank("schemes", "--schema").out)["title"] == "embank label schemes"


def test_broken_schemes_are_among_the_errors_of_a_board(embank: Embank, bank: Path, schemes: Path) -> None:
    ran = embank("compare", bank, "--schemes", schemes, "--heads", "ridge", "--json")
    assert ran.code == 1
    assert {row["scheme"] for row in ran.json["rows"]} == {"pet", "width"}
    assert {one["scheme"] for one in ran.json["errors"]} == {"broken", "typo", "thing"}
    schemes.write_text("broken: {fro: folder}\n")
    assert embank("compare", bank, "--schemes", schemes, "--heads", "ridge").code == 2


def test_a_head_of_quantiles_keeps_its_edges(
    embank: Embank, bank: Path, schemes: Path, tmp_path: Path
) -> None:
    schemes.write_text("wide: {from: width, quantiles: 2}\nbroken: {fro: folder}\n")
    head = tmp_path / "wide.head"
    ran = embank(
        "train", bank, "--schemes", schemes, "--scheme", "wide", "--head", "ridge", "--out", head, "--json"
    )
    assert ran.json["classes"] == ["< 44", "≥ 44"]
    from classifiers import load_head

    kept = load_head(head).scheme
    assert kept is not None
    assert (kept.bins, kept.quantiles) == ((44.0,), None)
    ran = embank("train", bank, "--schemes", schemes, "--scheme", "broken", "--head", "ridge", "--out", head)
    assert (ran.code, "there is no option 'fro'" in ran.err) == (2, True)


def test_rows_that_contradict_each_other_are_refused_by_number(
    embank: Embank, bank: Path, table: Path
) -> None:
    with table.open("a") as file:
        file.write("0.jpg,ball\n0.jpg,bowl\n")
    ran = embank("labels", bank, "add", table, "--on", "name")
    assert ran.code == 2
    assert "rows 1 and 5 below the header are both for the name '0.jpg'" in ran.err
    assert "differ in 'thing': 'ball' and 'bowl'" in ran.err
    assert not FeatureStore(bank).label_tables
    report = embank("labels", bank, "add", table, "--on", "name", "--keep-first", "--json").json
    assert (report["repeated"], report["conflicting"]) == (1, ["0.jpg"])
    assert "ball" in FeatureStore(bank).images()["labels.thing"].tolist()


def test_tables_that_share_a_column_and_names_that_several_images_have(
    embank: Embank, bank: Path, photos: Path, table: Path, tmp_path: Path
) -> None:
    embank("labels", bank, "add", table, "--on", "name")
    other = tmp_path / "again.csv"
    other.write_text("path,thing\ncats/0.jpg,bowl\ndogs/1.jpg,bone\n")
    ran = embank("labels", bank, "add", other)
    assert "the table 'things' has 'thing' too, and says otherwise of 1 image." in ran.err
    assert "labels.again.thing is this one's" in ran.err
    (photos / "birds").mkdir()
    (photos / "birds" / "0.jpg").write_bytes((photos / "cats" / "2.jpg").read_bytes())
    embed(photos, bank, Recipe("MobileNetV2", weights="none", image_size=32))
    report = embank("labels", bank, "add", table, "--on", "name", "--json").json
    assert report["ambiguous"] == ["0.jpg"]


def test_encodings_and_marks_for_nothing(embank: Embank, bank: Path, tmp_path: Path) -> None:
    table = tmp_path / "food.csv"
    table.write_bytes("path;food\ncats/0.jpg;Käse\ndogs/1.jpg;NA\n".encode("cp1252"))
    ran = embank("labels", bank, "add", table)
    assert (ran.code, "line 2 is not UTF-8" in ran.err) == (2, True)
    assert embank("labels", bank, "add", table, "--encoding", "cp1252", "--missing", "NA").code == 0
    food = FeatureStore(bank).images().set_index("key")["labels.food"]
    assert food["cats/0.jpg"] == "Käse"
    assert food.isna().sum() == 7
