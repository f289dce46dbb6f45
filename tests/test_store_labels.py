"""Label tables: what is joined to what, and what is said about the rest."""

import io
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.commit import checksum, commit_file
from store.errors import LabelTableError, StoreError, StoreFormatError
from store.feature_store import FeatureStore
from store.label_files import labels_image, read_labels
from store.labels import Conflict, LabelTable, Repeats, join_labels, join_report, make_label_table
from store.writer import StoreWriter


def _images(*names: str) -> pd.DataFrame:
    """Images named `source:key`, whose bytes are the last part of their key."""
    rows = [name.partition(":") for name in names]
    return pd.DataFrame(
        {
            "key": [key for _, _, key in rows],
            "source": [source for source, _, _ in rows],
            "hash": [checksum(key.rpartition("/")[2].encode()) for _, _, key in rows],
        },
        dtype="str",
    )


def _table(on: str, rows: Mapping[str, str], source: str | None = None, column: str = "label") -> LabelTable:
    frame = pd.DataFrame({on: list(rows), column: list(rows.values())}, dtype="str")
    labels, repeats = make_label_table("t", frame, on, source)
    assert not repeats.conflicts
    return labels


def _joined(images: pd.DataFrame, *tables: LabelTable, column: str = "labels.label") -> list[str | None]:
    values = join_labels(images, list(tables))[column]
    return values.astype(object).where(values.notna(), None).tolist()


IMAGES = _images("pets:cats/1.jpg", "pets:dogs/1.jpg", "pets:2.jpg", "wild:cats/1.jpg")


def test_a_key_is_joined_in_full() -> None:
    assert _joined(IMAGES, _table("key", {"cats/1.jpg": "a", "2.jpg": "b"})) == ["a", None, "b", "a"]


def test_a_name_is_the_last_part_of_the_key() -> None:
    assert _joined(IMAGES, _table("name", {"1.jpg": "a", "2.jpg": "b"})) == ["a", "a", "b", "a"]


def test_a_hash_is_joined_wherever_the_bytes_are() -> None:
    assert _joined(IMAGES, _table("hash", {checksum(b"1.jpg"): "a"})) == ["a", "a", None, "a"]


def test_a_table_of_one_source_leaves_others_alone() -> None:
    table = _table("key", {"cats/1.jpg": "a"}, source="wild")
    assert _joined(IMAGES, table) == [None, None, None, "a"]
    report = join_report(table, IMAGES)
    assert (report.matched, report.images_without_row) == (1, [])


_KEYS = st.lists(
    st.sampled_from(["a.jpg", "x/a.jpg", "y/a.jpg", "b.jpg", "x/b.jpg", "c"]), max_size=6, unique=True
)
_ROWS = st.dictionaries(
    st.sampled_from(["a.jpg", "x/a.jpg", "b.jpg", "y/b.jpg", "z"]), st.sampled_from(["None", "NA", "ä", "1"])
)


@settings(deadline=None)
@given(
    keys=_KEYS,
    rows=_ROWS,
    on=st.sampled_from(["key", "name", "hash"]),
    only=st.sampled_from([None, "s", "o"]),
)
def test_a_join_is_a_look_up_in_a_dict(
    keys: list[str], rows: dict[str, str], on: str, only: str | None
) -> None:
    images = _images(*(f"s:{key}" for key in keys), *(f"o:{key}" for key in keys[:2]))
    if on == "hash":
        rows = {checksum(key.encode()): label for key, label in rows.items()}
    if on == "name":
        rows = {key: label for key, label in rows.items() if "/" not in key}
    labels = _table(on, rows, only)
    values = (
        images["key"].str.rpartition("/")[2]
        if on == "name" and len(images)
        else images.get(on, images["key"])
    )
    expected = [
        rows.get(value) if only in (None, source) else None
        for value, source in zip(values, images["source"], strict=True)
    ]
    assert _joined(images, labels) == expected

    report = join_report(labels, images)
    meant = images[images["source"] == only] if only else images
    found = [label is not None for label in _joined(meant, labels)]
    assert report.matched == sum(found)
    assert report.images_without_row == [key for key, hit in zip(meant["key"], found, strict=True) if not hit]
    used = set(values[meant.index]) & rows.keys()
    assert report.rows_without_image == [value for value in rows if value not in used]


def test_where_tables_overlap_the_first_counts_and_the_next_fills_in() -> None:
    first, second = _table("key", {"cats/1.jpg": "a"}), _table("name", {"1.jpg": "b", "2.jpg": "c"})
    assert _joined(IMAGES, first, second) == ["a", "b", "c", "a"]
    assert _joined(IMAGES, second, first) == ["b", "b", "c", "b"]


def test_tables_with_different_columns_stand_side_by_side() -> None:
    one, two = _table("key", {"2.jpg": "a"}, column="x"), _table("key", {"2.jpg": "b"}, column="y")
    assert _joined(IMAGES, one, two, column="labels.x") == [None, None, "a", None]
    assert _joined(IMAGES, one, two, column="labels.y") == [None, None, "b", None]


def test_a_join_leaves_the_images_as_they_were() -> None:
    images = IMAGES.set_index(pd.Index([9, 5, 7, 1]))
    joined = join_labels(images, [_table("key", {"2.jpg": "a"})])
    pd.testing.assert_frame_equal(joined[images.columns], images)
    assert joined.loc[7, "labels.label"] == "a"
    assert join_labels(images, []) is images


def test_rows_that_disagree_are_reported_and_the_first_counts() -> None:
    frame = pd.DataFrame({"path": ["a", "b", "a", "b", "c"], "label": ["x", "y", "z", "y", "w"]})
    labels, repeats = make_label_table("t", frame)
    assert repeats == Repeats(1, [Conflict("a", (1, 3), "label", ("x", "z"))])
    assert labels.table.to_dict("list") == {"key": ["a", "b", "c"], "label": ["x", "y", "w"]}


def test_rows_without_a_join_value_are_left_out() -> None:
    frame = pd.DataFrame({"path": ["a", None, float("nan")], "label": ["x", "y", "z"]})
    assert make_label_table("t", frame)[0].table["key"].tolist() == ["a"]


@pytest.mark.parametrize(
    ("columns", "on", "chosen"),
    [
        (["label", "path"], "key", "path"), (["path", "key"], "key", "key"), (["filename", "label"], "key", "filename"),
        (["path", "filename"], "name", "filename"), (["path", "label"], "name", "path"),
        (["hash", "path"], "hash", "hash"),
    ],
)  # fmt: skip
def test_the_usual_column_is_found(columns: list[str], on: str, chosen: str) -> None:
    labels, _ = make_label_table("t", pd.DataFrame({name: [name] for name in columns}), on)
    assert labels.table[on].tolist() == [chosen]
    assert labels.columns == [name for name in columns if name != chosen]


def test_numbers_as_join_values_are_text() -> None:
    labels, _ = make_label_table("t", pd.DataFrame({0: [7, 12], "label": ["a", "b"]}), "name", column="0")
    assert labels.table["name"].tolist() == ["7", "12"]


@pytest.mark.parametrize(
    ("frame", "on", "column", "says"),
    [
        ({"picture": ["a"], "label": ["x"]}, "key", None, r"no column 'key' or 'path' .* columns are picture, label"),
        ({"path": ["a"], "label": ["x"]}, "key", "file", r"no column 'file' to join on key"),
        ({"path": ["a"], "label": ["x"]}, "hash", None, r"no column 'hash' to join on hash"),
        ({"path": ["a"]}, "key", None, r"no label column beside 'path'"),
        ({"path": ["a"], "label": ["x"]}, "folder", None, r"cannot join on 'folder': expected one of key, name"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_joined_says_why(
    frame: dict[str, list[str]], on: str, column: str | None, says: str
) -> None:
    with pytest.raises(LabelTableError, match=says):
        make_label_table("t", pd.DataFrame(frame), on, column=column)


@pytest.mark.parametrize("on", ["key", "name", "hash"])
def test_a_label_column_that_is_called_as_the_join_is_one_sentence_or_a_label(on: str) -> None:
    """As in the table of a source, which is joined by `path` whatever its other columns are called."""
    frame = pd.DataFrame({"path": ["dogs/1.jpg"], on: ["Rex"]})
    try:
        labels, _ = make_label_table("t", frame, on, column="path")
    except LabelTableError:
        return
    assert labels.table.columns.is_unique


def test_a_column_of_lists_is_one_sentence_or_a_label() -> None:
    frame = pd.DataFrame({"path": ["1.jpg"], "tags": [["a", "b"]]})
    try:
        make_label_table("t", frame)
    except LabelTableError:
        return


def _attach(
    path: Path, frame: Mapping[str, list[Any]], name: str = "coat", source: str | None = None
) -> Path:
    labels, _ = make_label_table(name, pd.DataFrame(frame), source=source)
    StoreWriter(path).attach_labels(labels)
    return path / "labels" / name


def test_an_attached_table_comes_back(tmp_path: Path) -> None:
    frame: dict[str, list[Any]] = {
        "path": ["a", "b", "c"], "text": ["None", "007", None], "number": [1, 2, 3],
        "share": [0.5, None, 1.0], "flag": [True, False, True],
    }  # fmt: skip
    labels = read_labels(_attach(tmp_path / "s.embank", frame, source="photos"))
    assert labels is not None
    assert (labels.name, labels.on, labels.source) == ("coat", "key", "photos")
    assert labels.columns == ["text", "number", "share", "flag"]
    expected = pd.DataFrame(frame).rename(columns={"path": "key"})
    pd.testing.assert_frame_equal(labels.table, expected)


def test_attaching_again_replaces(tmp_path: Path) -> None:
    path = tmp_path / "s.embank"
    for label in "xyz":
        directory = _attach(path, {"path": ["a"], "label": [label]})
    assert [file.name.partition("-")[0] for file in directory.iterdir()] == ["000003"]
    labels = read_labels(directory)
    assert labels is not None
    assert labels.table["label"].tolist() == ["z"]


def test_a_table_without_rows_can_be_attached(tmp_path: Path) -> None:
    labels = read_labels(_attach(tmp_path / "s.embank", {"path": [None], "label": ["x"]}))
    assert labels is not None
    assert _joined(IMAGES, labels) == [None] * 4


def test_a_mixed_column_cannot_be_stored_and_says_so(tmp_path: Path) -> None:
    with pytest.raises(LabelTableError, match=r"label table 'coat' cannot be stored: .*label"):
        _attach(tmp_path / "s.embank", {"path": ["a", "b"], "label": [1, "x"]})


def test_names_that_cannot_be_directories_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be the name of a label table"):
        _attach(tmp_path / "s.embank", {"path": ["a"], "label": ["x"]}, name="../coat")


@pytest.mark.parametrize("at", [0, 100, -1])
def test_a_damaged_table_is_refused(tmp_path: Path, at: int) -> None:
    path = tmp_path / "s.embank"
    (file,) = _attach(path, {"path": ["a"], "label": ["x"]}).iterdir()
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)
    with pytest.raises(
        StoreFormatError, match=r"coat/000001-.*\.parquet is damaged: .* attach the table again"
    ):
        FeatureStore(path).images()


@pytest.mark.parametrize(
    "about",
    [{"format": 2, "on": "key", "source": None}, {"format": 1, "on": "folder", "source": None}, {"format": 1}, None],
    ids=["newer", "unknown join", "nothing", "no metadata"],
)  # fmt: skip
def test_a_table_of_a_newer_or_another_format_is_refused(
    tmp_path: Path, about: dict[str, Any] | None
) -> None:
    table = pa.table({"key": ["a"], "label": ["x"]})
    buffer = io.BytesIO()
    metadata = {b"embank": json.dumps(about).encode()} if about else None
    pq.write_table(table.replace_schema_metadata(metadata), buffer)
    commit_file(tmp_path, "000001", ".parquet", buffer.getvalue())
    with pytest.raises(StoreFormatError):
        read_labels(tmp_path)


def test_a_table_is_a_parquet_file_that_any_tool_reads() -> None:
    image = labels_image(_table("key", {"a": "x"}, source="photos"))
    table = pq.read_table(io.BytesIO(image))
    assert table.to_pydict() == {"key": ["a"], "label": ["x"]}
    assert json.loads(table.schema.metadata[b"embank"]) == {"format": 1, "on": "key", "source": "photos"}


def test_rows_that_say_the_same_count_once_and_those_that_differ_are_told_by_number() -> None:
    frame = pd.DataFrame(
        {
            "path": ["a", "b", None, "a", "b", "c", "b", "c"],
            "age": [1.0, 2.0, 9.0, 1.0, 2.0, None, 3.0, 5.0],
            "coat": ["x", "y", "z", "x", "Y", None, "y", None],
        }
    )
    labels, repeats = make_label_table("t", frame)
    assert labels.table["key"].tolist() == ["a", "b", "c"]
    assert repeats.equal == 1
    assert repeats.conflicts == [
        Conflict("b", (2, 5), "coat", ("y", "Y")),
        Conflict("c", (6, 8), "age", ("", "5.0")),
    ]


@settings(deadline=None)
@given(rows=st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["x", "y", None])), max_size=8))
def test_each_join_value_is_kept_once_and_every_contradiction_is_told(
    rows: list[tuple[str, str | None]],
) -> None:
    frame = pd.DataFrame(
        {"path": [key for key, _ in rows], "label": [label for _, label in rows]}, dtype="str"
    )
    labels, repeats = make_label_table("t", frame)
    said = {key: [label or "" for other, label in rows if other == key] for key, _ in rows}
    assert labels.table["key"].tolist() == list(said)
    assert labels.table["label"].fillna("").tolist() == [texts[0] for texts in said.values()]
    assert {one.value for one in repeats.conflicts} == {
        key for key, texts in said.items() if len(set(texts)) > 1
    }
    assert repeats.equal == sum(len(texts) - len(set(texts)) for texts in said.values())
    for one in repeats.conflicts:
        assert tuple(rows[number - 1][1] or "" for number in one.rows) == one.labels


def test_a_name_of_several_images_is_told() -> None:
    table = _table("name", {"1.jpg": "a", "2.jpg": "b"})
    assert join_report(table, IMAGES).ambiguous == ["1.jpg"]
    assert join_report(_table("name", {"1.jpg": "a"}, source="wild"), IMAGES).ambiguous == []
    assert join_report(_table("key", {"cats/1.jpg": "a"}), IMAGES).ambiguous == []


def test_dates_lists_and_decimals_of_parquet_become_what_schemes_understand(tmp_path: Path) -> None:
    when = pd.Timestamp("2026-01-02 03:04")
    frame = pd.DataFrame(
        {
            "path": ["a", "b"],
            "day": [pd.Timestamp("2026-01-02"), pd.NaT],
            "moment": [when, pd.NaT],
            "date": [when.date(), None],
            "price": [Decimal("1.50"), None],
            "raw": [b"x", None],
            "tags": [["x", "y"], None],
            "kind": pd.Categorical(["p", None]),
            " padded ": [1, 2],
        }
    )
    labels, _ = make_label_table("t", frame)
    first = labels.table.iloc[0].to_dict()
    assert first == {
        "key": "a", "day": "2026-01-02", "moment": "2026-01-02 03:04:00", "date": "2026-01-02", "price": 1.5,
        "raw": "x", "tags": "x;y", "kind": "p", "padded": 1,
    }  # fmt: skip
    assert labels.table.iloc[1].drop(["key", "padded"]).isna().all()
    StoreWriter(tmp_path / "s.embank").attach_labels(labels)
    again = read_labels(tmp_path / "s.embank" / "labels" / "t")
    assert again is not None
    assert again.table.iloc[0].to_dict() == first


def test_two_columns_of_one_name_are_refused() -> None:
    frame = pd.DataFrame([["a", "x", "y"]], columns=["path", "coat", "coat "])
    with pytest.raises(LabelTableError, match="has two columns called 'coat': rename one"):
        make_label_table("t", frame)
