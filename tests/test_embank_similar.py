"""`embank similar`: by key, by hash and by file, on the terminal, as JSON and as a gallery."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from embedder import Recipe, embed
from embedder.images import decode
from store import FeatureStore

if TYPE_CHECKING:
    from tests.conftest import Embank, FakeEngines, WritePhoto

RECIPE = Recipe("ResNet50", weights="none", image_size=32)


@pytest.fixture
def banked(photos: Path, tmp_path: Path, fake_engine: FakeEngines, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of the eight photos, of which `dogs/1.jpg` lies under a second name."""
    shutil.copy(photos / "dogs" / "1.jpg", photos / "cats" / "same.jpg")
    embed(photos, tmp_path / "x.embank", RECIPE)

    def open_for(frozen: object, *settings: object) -> object:
        opened = fake_engine.open(RECIPE, batch_size=1)
        assert opened.recipe == frozen
        return opened

    monkeypatch.setattr("embedder.engines.open_engine_for", open_for)
    return tmp_path / "x.embank"


def test_by_key_it_is_as_by_the_vectors(banked: Path, embank: Embank, fake_engine: FakeEngines) -> None:
    opened = len(fake_engine.opened)
    ran = embank("similar", banked, "cats/2.jpg", "--top", 3, "--json")
    assert ran.code == 0
    store = FeatureStore(banked)
    images = store.images().drop_duplicates("hash")
    X = np.asarray(store.vectors("ResNet50", images), np.float64)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    similar = X @ X[images["key"].tolist().index("cats/2.jpg")]
    order = [n for n in np.argsort(-similar, kind="stable") if images["key"].iloc[n] != "cats/2.jpg"][:3]
    rows = ran.json["rows"]
    assert [row["key"] for row in rows] == images["key"].iloc[order].tolist()
    np.testing.assert_allclose([row["similarity"] for row in rows], similar[order], atol=1e-6)
    assert rows[0]["folder"] in ("cats", "dogs")
    assert (ran.json["image"], ran.json["left_out"]) == ("cats/2.jpg", [])
    by_hash = embank("similar", banked, images.set_index("key")["hash"]["cats/2.jpg"], "--top", 3, "--json")
    assert by_hash.json["rows"] == rows
    assert by_hash.json["left_out"] == ["cats/2.jpg"]
    assert len(fake_engine.opened) == opened  # what is banked is not embedded


def test_a_file_of_banked_bytes_needs_no_backbone_and_finds_others(
    banked: Path, photos: Path, embank: Embank, fake_engine: FakeEngines
) -> None:
    opened = len(fake_engine.opened)
    by_key = embank("similar", banked, "dogs/1.jpg", "--json").json
    by_file = embank("similar", banked, photos / "dogs" / "1.jpg", "--json").json
    assert len(fake_engine.opened) == opened
    assert by_file["rows"] == by_key["rows"]
    assert len(by_key["rows"]) == 7
    assert (by_key["left_out"], by_file["left_out"]) == (["cats/same.jpg"], ["cats/same.jpg", "dogs/1.jpg"])
    ran = embank("similar", banked, "dogs/1.jpg", "--top", 2)
    assert "Left out, as it has the same bytes: cats/same.jpg." in ran.err
    assert "cats/same.jpg" not in ran.out
    other = embank("similar", banked, "cats/2.jpg", "--json").json["rows"]
    assert {row["key"]: row["copies"] for row in other}["cats/same.jpg"] == 2


def test_a_new_file_is_embedded_by_the_recipe(
    banked: Path, tmp_path: Path, embank: Embank, fake_engine: FakeEngines, write_photo: WritePhoto
) -> None:
    new = write_photo(tmp_path / "new.jpg", seed=2, quality=60)
    ran = embank("similar", banked, new, "--json", "--top", 1)
    assert [row["key"] for row in ran.json["rows"]] == ["cats/2.jpg"]
    assert "random weights" in ran.err
    vector = fake_engine.vector(RECIPE, new.read_bytes()).astype(np.float64)
    old = np.asarray(FeatureStore(banked).vectors("ResNet50"))[1].astype(np.float64)
    cosine = vector @ old / np.linalg.norm(vector) / np.linalg.norm(old)
    assert ran.json["rows"][0]["similarity"] == pytest.approx(cosine, abs=1e-6)


def test_where_says_among_which_images(banked: Path, embank: Embank) -> None:
    ran = embank("similar", banked, "cats/2.jpg", "--where", "folder == 'dogs'", "--json")
    assert {row["folder"] for row in ran.json["rows"]} == {"dogs"}
    ran = embank("similar", banked, "cats/2.jpg", "--where", "folder == 'cows'")
    assert ran.code == 2
    assert "no image to search for" in ran.err


def test_a_page_to_look_at_is_one_file(banked: Path, photos: Path, tmp_path: Path, embank: Embank) -> None:
    (photos / "dogs" / "3.jpg").unlink()
    (photos / "cats" / "<b>0.jpg").write_bytes((photos / "cats" / "0.jpg").read_bytes())
    out = tmp_path / "alike.html"
    ran = embank("similar", banked, photos / "cats" / "<b>0.jpg", "--gallery", out)
    assert ran.code == 0
    page = out.read_text()
    assert page.count("data:image/jpeg;base64,") == 1 + 6
    assert page.count("its file is gone") == 1
    assert "&lt;b&gt;0.jpg" in page
    assert "<b>0.jpg" not in page
    assert not re.search(r"(src|href)=.?(http|/)", page)


def test_a_contact_sheet_to_look_at(banked: Path, photos: Path, tmp_path: Path, embank: Embank) -> None:
    (photos / "dogs" / "3.jpg").unlink()
    out = tmp_path / "alike.jpg"
    assert embank("similar", banked, "cats/0.jpg", "--gallery", out).code == 0
    with Image.open(out) as sheet:
        assert sheet.format == "JPEG"
        assert sheet.width > 6 * 160
        assert sheet.height > 2 * 160
    assert decode(out.read_bytes(), set()).width > 6 * 160
    ran = embank("similar", banked, "cats/0.jpg", "--gallery", tmp_path / "none" / "alike.jpg")
    assert ran.code == 2
    assert "cannot be written" in ran.err


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("cats/02.jpg", "no image of .*by key or hash, and no file. Did you mean cats/2.jpg"),
        ("elsewhere/3.JPG", "Did you mean dogs/3.jpg"),
        ("zzzzzzzzzzzzzzzzzz", "A key looks like cats/0.jpg"),
        ("{folder}/text.txt", "cannot be searched for: not an image"),
        ("{folder}/empty.jpg", "cannot be searched for: the file is empty"),
        ("{folder}/photos", "no image of"),
    ],
)
def test_what_is_no_image_is_said(
    banked: Path, tmp_path: Path, embank: Embank, image: str, said: str
) -> None:
    (tmp_path / "text.txt").write_text("no image")
    (tmp_path / "empty.jpg").touch()
    ran = embank("similar", banked, image.format(folder=tmp_path))
    assert ran.code == 2
    assert re.search(said, ran.err), ran.err
    assert "Traceback" not in ran.err


def test_several_spaces_and_several_sources_are_asked_about(
    banked: Path, photos: Path, tmp_path: Path, embank: Embank, write_photo: WritePhoto
) -> None:
    write_photo(tmp_path / "others" / "cats" / "2.jpg", seed=77)
    embed(tmp_path / "others", banked, RECIPE)
    ran = embank("similar", banked, "cats/2.jpg")
    assert ran.code == 2
    assert (
        "different images called cats/2.jpg in others, photos: say which, such as others:cats/2.jpg"
        in ran.err
    )
    found = embank("similar", banked, "others:cats/2.jpg", "--json")
    assert found.json["left_out"] == []
    assert "cats/2.jpg" in {row["key"] for row in found.json["rows"]}
    embed(photos, banked, Recipe("MobileNetV2", weights="none", image_size=32))
    ran = embank("similar", banked, "dogs/1.jpg")
    assert ran.code == 2
    assert "MobileNetV2-" in ran.err
    assert "ResNet50-" in ran.err
    assert embank("similar", banked, "dogs/1.jpg", "--space", "MobileNetV2").code == 0
    ran = embank("similar", banked, "others:cats/2.jpg", "--space", "MobileNetV2")
    assert ran.code == 2
    assert "no vector in MobileNetV2" in ran.err


def test_an_empty_store_and_a_gallery_of_an_unknown_kind(
    tmp_path: Path, banked: Path, embank: Embank
) -> None:
    empty = tmp_path / "empty.embank"
    empty.mkdir()
    (empty / "embank.json").write_text('{"format": 1}')
    ran = embank("similar", empty, "a.jpg")
    assert ran.code == 2
    assert "none yet" in ran.err
    ran = embank("similar", banked, "cats/0.jpg", "--gallery", "alike.gif")
    assert ran.code == 2
    assert ".jpg" in ran.err
