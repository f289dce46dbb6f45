"""FeatureStore: images and vectors in the order asked for, and one sentence for what is not there."""

import pickle
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import (
    FeatureStore,
    StoreFormatError,
    StoreNotFoundError,
    StoreWriter,
    UnknownImageError,
    UnknownSpaceError,
    Vectors,
)
from store.columns import hashes_from_hex
from store.commit import checksum
from store.labels import make_label_table
from store.listing import GONE, OK
from store.part import PartRows
from store.recipes import space_id

RECIPE: dict[str, Any] = {"backbone": "ResNet50", "dtype": "float32", "image_size": 224}
SMALLER = RECIPE | {"image_size": 160}
OTHER = RECIPE | {"backbone": "Xception"}
COLUMNS = ["key", "source", "hash", "folder", "split", "width", "height", "bytes", "mtime"]


def _vector(content: str, view: int = 0) -> list[float]:
    return [float(ord(content[0])), float(len(content)), float(view)]


def _bank(
    writer: StoreWriter, contents: Sequence[str], recipe: dict[str, Any] = RECIPE, view: int = 0
) -> None:
    """Commits a part with a vector for each of these images, each content once."""
    writer.open_space(recipe)
    rows = PartRows(
        hash=hashes_from_hex([checksum(content.encode()) for content in contents]),
        view=np.full(len(contents), view, np.int16),
        vectors=np.array([_vector(content, view) for content in contents], np.float32).reshape(-1, 3),
        key=list(contents),
        source=["photos"] * len(contents),
    )
    writer.commit_part(recipe, rows)


def _list(writer: StoreWriter, source: str, rows: Sequence[tuple[str, str, str]]) -> None:
    """Lists images given as (key, content, status)."""
    table = pd.DataFrame(
        {
            "key": [key for key, _, _ in rows],
            "hash": [checksum(content.encode()) for _, content, _ in rows],
            "bytes": 10, "mtime": 20, "width": 30, "height": 40,
            "status": [status for _, _, status in rows],
            space_id(RECIPE): [status == OK for _, _, status in rows],
        }
    )  # fmt: skip
    writer.add_to_listing(source, f"/{source}", table)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two sources, a bad image, one that is gone, and one content under three keys."""
    writer = StoreWriter(tmp_path / "pets.embank")
    _bank(writer, ["cat", "dog"])
    _bank(writer, ["owl"])
    _list(writer, "wild", [("owl.jpg", "owl", OK), ("also a cat.jpg", "cat", OK)])
    photos = [
        ("val/dogs/1.jpg", "dog", OK), ("train/cats/2.jpg", "cat", OK), ("train/cats/1.jpg", "cat", OK),
        ("train/cats/0.jpg", "", "not an image"), ("val/dogs/0.jpg", "emu", GONE),
    ]  # fmt: skip
    _list(writer, "photos", photos)
    return writer.path


def test_images_are_the_sound_ones_by_source_and_key(path: Path) -> None:
    images = FeatureStore(path).images()
    assert images.columns.tolist() == COLUMNS
    assert images[["source", "key", "folder"]].to_numpy().tolist() == [
        ["photos", "train/cats/1.jpg", "cats"],
        ["photos", "train/cats/2.jpg", "cats"],
        ["photos", "val/dogs/1.jpg", "dogs"],
        ["wild", "also a cat.jpg", ""],
        ["wild", "owl.jpg", ""],
    ]
    assert images["split"].fillna("none").tolist() == ["train", "train", "val", "none", "none"]
    assert images["hash"].tolist() == [checksum(c.encode()) for c in ("cat", "cat", "dog", "cat", "owl")]
    assert images.iloc[0].to_dict().items() >= {"width": 30, "height": 40, "bytes": 10, "mtime": 20}.items()
    assert images.index.tolist() == [0, 1, 2, 3, 4]


def test_errors_are_the_bad_images_but_not_those_that_left(path: Path) -> None:
    errors = FeatureStore(path).errors()
    assert errors.to_dict("records") == [
        {"source": "photos", "key": "train/cats/0.jpg", "status": "not an image"}
    ]


def test_the_summary_counts_them(path: Path) -> None:
    summary = FeatureStore(path).summary()
    assert (summary["images"], summary["errors"]) == (5, 1)
    assert summary["sources"]["photos"] == {"images": 3, "errors": 1, "gone": 1, "location": "/photos"}
    assert summary["sources"]["wild"] == {"images": 2, "errors": 0, "gone": 0, "location": "/wild"}
    space = {"rows": 3, "dim": 3, "dtype": "float32", "parts": 2, "recipe": RECIPE, "canaries": []}
    assert summary["spaces"] == {space_id(RECIPE): space}
    assert summary["bytes"] == sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def test_labels_are_joined_and_a_label_may_say_the_split(path: Path) -> None:
    frame = pd.DataFrame(
        {
            "path": ["owl.jpg", "also a cat.jpg", "train/cats/1.jpg"],
            "split": ["Validation", "elsewhere", "test"],
            "coat": ["None", "long", None],
        }
    )
    StoreWriter(path).attach_labels(make_label_table("coats", frame)[0])
    images = FeatureStore(path).images().set_index("key")
    assert images["split"].fillna("none").tolist() == ["train", "train", "val", "none", "val"]
    assert images["labels.coat"].fillna("").to_dict() == {
        "train/cats/1.jpg": "", "train/cats/2.jpg": "", "val/dogs/1.jpg": "",
        "also a cat.jpg": "long", "owl.jpg": "None",
    }  # fmt: skip
    assert images.loc["also a cat.jpg", "labels.split"] == "elsewhere"


@pytest.mark.parametrize("rows", [[], [("a.jpg", "", "not an image")], [("a.jpg", "cat", GONE)]])
def test_a_store_without_a_sound_image_has_an_empty_table(
    tmp_path: Path, rows: list[tuple[str, str, str]]
) -> None:
    writer = StoreWriter(tmp_path / "s.embank")
    if rows:
        _list(writer, "photos", rows)
    _bank(writer, ["cat"])
    store = FeatureStore(writer.path)
    images = store.images()
    assert images.empty
    assert set(images.columns) == set(COLUMNS)
    assert store.vectors("ResNet50").shape == (0, 3)
    assert store.summary()["images"] == 0


@settings(deadline=None)
@given(asked=st.lists(st.sampled_from(["cat", "dog", "owl"]), max_size=12))
def test_vectors_come_in_the_order_asked_and_as_often(
    tmp_path_factory: pytest.TempPathFactory, asked: list[str]
) -> None:
    writer = StoreWriter(tmp_path_factory.mktemp("store") / "s.embank")
    _bank(writer, ["cat", "dog"])
    _bank(writer, ["owl", "cat"])
    images = pd.DataFrame({"hash": [checksum(content.encode()) for content in asked]}, dtype="str")
    vectors = FeatureStore(writer.path).vectors("ResNet50", images)
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [_vector(content) for content in asked]


def test_vectors_of_all_images_follow_images(path: Path) -> None:
    store = FeatureStore(path)
    expected = [_vector(content) for content in ("cat", "cat", "dog", "cat", "owl")]
    assert store.vectors("ResNet50").tolist() == expected
    shuffled = store.images().iloc[[4, 0, 2]]
    assert store.vectors("ResNet50", shuffled).tolist() == [expected[4], expected[0], expected[2]]


def test_vectors_go_where_they_are_told(path: Path) -> None:
    store = FeatureStore(path)
    memory = np.full((7, 3), np.nan, np.float32)
    vectors = store.vectors("ResNet50", out=memory[1:6])
    assert np.shares_memory(vectors, memory)
    assert vectors.space == space_id(RECIPE)
    assert memory[1:6].tolist() == store.vectors("ResNet50").tolist()
    assert np.isnan(memory[[0, 6]]).all()


@pytest.mark.parametrize(("shape", "dtype"), [((7, 3), "f4"), ((5, 3), "f8"), ((5, 3), "f2")])
def test_a_place_of_another_shape_or_type_is_refused(path: Path, shape: tuple[int, int], dtype: str) -> None:
    with pytest.raises(ValueError, match="out"):
        FeatureStore(path).vectors("ResNet50", out=np.zeros(shape, dtype))


def test_views_are_kept_apart(path: Path) -> None:
    _bank(StoreWriter(path), ["dog", "cat"], view=1)
    store = FeatureStore(path)
    images = store.images().iloc[:3]
    assert store.vectors("ResNet50", images, view=1).tolist() == [
        _vector(c, 1) for c in ("cat", "cat", "dog")
    ]
    assert store.vectors("ResNet50", images).tolist() == [_vector(c) for c in ("cat", "cat", "dog")]
    assert store.spaces[space_id(RECIPE)].rows == 5
    with pytest.raises(UnknownImageError, match=r"1 of 5 images"):
        FeatureStore(path).vectors("ResNet50", view=1)


def test_images_without_vectors_are_named(path: Path) -> None:
    writer = StoreWriter(path)
    _list(writer, "new", [("ant.jpg", "ant", OK), ("bee.jpg", "bee", OK)])
    with pytest.raises(
        UnknownImageError, match=r"^2 of 7 images have no vector .*: ant\.jpg\)\. Embed"
    ) as raised:
        FeatureStore(path).vectors("ResNet50")
    assert isinstance(raised.value, KeyError)
    unnamed = pd.DataFrame({"hash": ["0" * 32]})
    with pytest.raises(UnknownImageError, match=rf"the first: {'0' * 32}"):
        FeatureStore(path).vectors("ResNet50", unnamed)


@pytest.mark.parametrize("name", ["ResNet50", "resnet50", space_id(RECIPE)])
def test_a_space_is_named_by_backbone_or_in_full(path: Path, name: str) -> None:
    StoreWriter(path).open_space(OTHER)
    assert FeatureStore(path).space(name).id == space_id(RECIPE)


def test_a_backbone_of_two_recipes_must_be_named_in_full(path: Path) -> None:
    StoreWriter(path).open_space(SMALLER)
    store = FeatureStore(path)
    with pytest.raises(UnknownSpaceError, match="holds 2 recipes of ResNet50") as raised:
        store.space("ResNet50")
    assert re.search(r"differ in image_size (224 → 160|160 → 224)\)", str(raised.value))
    for recipe in (RECIPE, SMALLER):
        assert space_id(recipe) in str(raised.value)
        assert store.space(space_id(recipe)).recipe == recipe


def test_a_backbone_means_its_pooled_vectors_where_there_are_some(path: Path) -> None:
    maps = RECIPE | {"pooling": "none"}
    StoreWriter(path).open_space(maps)
    store = FeatureStore(path)
    assert store.space("ResNet50").id == space_id(RECIPE)
    assert list(store.pooled_spaces) == [space_id(RECIPE)]
    assert store.space(space_id(maps)).holds_maps


def test_an_unknown_space_is_answered_with_the_known_ones(path: Path) -> None:
    wrong = f"{space_id(RECIPE)[:-1]}x"
    with pytest.raises(UnknownSpaceError, match=f"has no space '{wrong}'") as raised:
        FeatureStore(path).vectors(wrong)
    assert str(raised.value).endswith(f"its spaces: {space_id(RECIPE)}. Did you mean {space_id(RECIPE)}?")
    assert isinstance(raised.value, KeyError)


def test_a_store_is_a_snapshot_until_it_is_refreshed(path: Path) -> None:
    store = FeatureStore(path)
    assert (len(store.images()), store.spaces[space_id(RECIPE)].rows) == (5, 3)
    writer = StoreWriter(path)
    _bank(writer, ["ant"])
    _list(writer, "wild", [("ant.jpg", "ant", OK)])
    writer.attach_labels(make_label_table("t", pd.DataFrame({"path": ["ant.jpg"], "label": ["x"]}))[0])
    assert (len(store.images()), store.spaces[space_id(RECIPE)].rows) == (5, 3)
    store.refresh()
    assert (len(store.images()), store.spaces[space_id(RECIPE)].rows) == (6, 4)
    assert "labels.label" in store.images()
    assert len(store.vectors("ResNet50")) == 6


@pytest.mark.parametrize("opened", [FeatureStore, StoreWriter])
def test_what_is_no_store_is_refused_and_left_alone(
    tmp_path: Path, opened: Callable[[Path], FeatureStore | StoreWriter]
) -> None:
    file, directory = tmp_path / "file.embank", tmp_path / "folder"
    file.write_bytes(b"x")
    directory.mkdir()
    (directory / "photo.jpg").write_bytes(b"x")
    with pytest.raises(StoreNotFoundError, match=r"file\.embank is a file, not a store"):
        opened(file)
    with pytest.raises(StoreNotFoundError, match=r"folder is not a store: it has no embank\.json"):
        opened(directory)
    assert sorted(entry.name for entry in tmp_path.rglob("*")) == ["file.embank", "folder", "photo.jpg"]


def test_a_missing_store_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFoundError, match=r"no store at .*x\.embank; `embank embed SOURCE"):
        FeatureStore(tmp_path / "x.embank")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreNotFoundError):
        FeatureStore(tmp_path / "empty")


@pytest.mark.parametrize("opened", [FeatureStore, StoreWriter])
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"format": 2}', "is of format 2, this embank reads formats up to 1. Upgrade"), ('{"format": 0}', "format 0"),
        ('{"format": "1"}', "format 1"), ('{"format": 1.5}', "format 1.5"), ('{"format": true}', "format True"),
        ("", "is damaged"), ("{", "is damaged"), ("[]", "is damaged"), ("{}", "is damaged"), ("\xff", "is damaged"),
    ],
)  # fmt: skip
def test_any_format_but_this_one_is_refused(
    path: Path, opened: Callable[[Path], FeatureStore | StoreWriter], text: str, says: str
) -> None:
    (path / "embank.json").write_bytes(text.encode("latin-1"))
    before = {entry: entry.stat().st_mtime_ns for entry in path.rglob("*")}
    with pytest.raises(StoreFormatError, match=re.escape(says)):
        opened(path)
    assert {entry: entry.stat().st_mtime_ns for entry in path.rglob("*")} == before


def test_a_writer_makes_a_store_of_an_empty_directory_and_goes_on_in_one(tmp_path: Path) -> None:
    (tmp_path / ".hidden").write_bytes(b"")
    StoreWriter(tmp_path)
    before = (tmp_path / "embank.json").stat()
    StoreWriter(tmp_path)
    assert (tmp_path / "embank.json").stat() == before
    assert (tmp_path / "embank.json").read_text() == '{"format": 1}\n'
    assert FeatureStore(tmp_path).images().empty


def _made(path: Path) -> Vectors:
    return FeatureStore(path).vectors("ResNet50")


@pytest.mark.parametrize(
    "same",
    [
        lambda X: X[1:], lambda X: X[[2, 0]], lambda X: X[X[:, 0] > 0], lambda X: X.copy(), lambda X: X.astype("f8"),
        lambda X: X[0],
    ],
)  # fmt: skip
def test_a_choice_of_vectors_keeps_the_space(path: Path, same: Callable[[Vectors], Any]) -> None:
    chosen = same(_made(path))
    assert isinstance(chosen, Vectors)
    assert (chosen.space, chosen.recipe) == (space_id(RECIPE), RECIPE)


@pytest.mark.parametrize(
    "other",
    [
        lambda X: X * 2, lambda X: X - X.mean(axis=0), lambda X: X @ X.T, np.sqrt, lambda X: X.sum(axis=1),
        lambda X: X / np.linalg.norm(X, axis=1, keepdims=True), lambda X: np.vstack([X, X]), np.asarray,
        lambda X: X > 0, lambda X: X.max(axis=0), lambda X: X.std(axis=0), lambda X: X.__isub__(1),
    ],
)  # fmt: skip
def test_a_result_of_arithmetic_is_of_no_space(path: Path, other: Callable[[Vectors], Any]) -> None:
    result = other(_made(path))
    assert type(result) is np.ndarray
    assert getattr(result, "space", None) is None


def test_a_number_of_vectors_is_a_number(path: Path) -> None:
    assert type(_made(path).sum()) is np.float32
    assert type(_made(path)[0, 0]) is np.float32


def test_a_dot_product_is_of_no_space(path: Path) -> None:
    X = _made(path)
    assert getattr(np.dot(X, np.eye(3, dtype=np.float32)), "space", None) is None


def test_vectors_sent_to_another_process_keep_their_space(path: Path) -> None:
    """As scikit-learn's n_jobs does."""
    assert pickle.loads(pickle.dumps(_made(path))).space == space_id(RECIPE)  # noqa: S301


def test_vectors_of_two_spaces_are_told_apart(path: Path) -> None:
    _bank(StoreWriter(path), ["cat", "dog", "owl"], OTHER)
    store = FeatureStore(path)
    spaces = [store.vectors(name).space for name in ("ResNet50", "Xception")]
    assert spaces == [space_id(RECIPE), space_id(OTHER)]
