"""Tables that people bring: nothing is guessed that could change a label."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.errors import LabelTableError
from store.tables import read_table


def _read(directory: Path, text: str | bytes, name: str = "labels.csv") -> pd.DataFrame:
    path = directory / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_table(path)


def test_words_for_nothing_stay_labels(tmp_path: Path) -> None:
    words = ["None", "NA", "null", "nan", "N/A", "-", "true", "no"]
    table = _read(tmp_path, "path,label\n" + "".join(f"{i}.jpg,{word}\n" for i, word in enumerate(words)))
    assert table["label"].tolist() == words


def test_only_an_empty_field_is_missing(tmp_path: Path) -> None:
    table = _read(tmp_path, 'path,label\na.jpg,\nb.jpg," "\nc.jpg,""\n')
    assert table["label"].isna().tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2", ""], "f"), (["1", "-2"], "i"), (["1.5", "2"], "f"), (["1e3", "0"], "f"),
        (["007", "8"], "O"), (["00", "1"], "O"), (["1", "NA"], "O"), (["1 ", "2"], "O"), (["1_000"], "O"),
        (["0x10"], "O"), (["inf"], "O"), (["1,5"], "O"), (["", ""], "O"), (["٣"], "O"),
    ],
    ids=str,
)  # fmt: skip
def test_a_column_is_numbers_only_if_every_value_is_written_as_one(
    tmp_path: Path, values: list[str], kind: str
) -> None:
    table = _read(
        tmp_path, "path,label\n" + "".join(f'{i}.jpg,"{value}"\n' for i, value in enumerate(values))
    )
    assert table["label"].dtype.kind == kind
    if kind == "O":
        assert table["label"].fillna("").tolist() == values


@settings(deadline=None)
@given(
    labels=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1, max_size=8)
        .filter(lambda text: not re.search(r"\d", text)),
        min_size=1, max_size=6,
    ),
    separator=st.sampled_from([",", ";", "\t"]),
    mark=st.booleans(),
    line_end=st.sampled_from(["\n", "\r\n"]),
)  # fmt: skip
def test_labels_come_back_whatever_the_separator(
    tmp_path_factory: pytest.TempPathFactory, labels: list[str], separator: str, mark: bool, line_end: str
) -> None:
    quoted = [f'{i}.jpg{separator}"{label.replace(chr(34), chr(34) * 2)}"' for i, label in enumerate(labels)]
    text = line_end.join([separator.join(["path", "label"]), *quoted, ""])
    table = _read(tmp_path_factory.mktemp("table"), ("\ufeff" if mark else "") + text)
    assert table.columns.tolist() == ["path", "label"]
    assert table["path"].tolist() == [f"{i}.jpg" for i in range(len(labels))]
    assert table["label"].tolist() == labels


def test_a_tsv_may_hold_commas(tmp_path: Path) -> None:
    table = _read(tmp_path, "path\tlabels, all\na, b.jpg\tx, y\n", "labels.tsv")
    assert table.to_dict("records") == [{"path": "a, b.jpg", "labels, all": "x, y"}]


def test_a_separator_at_the_end_of_each_line_moves_nothing(tmp_path: Path) -> None:
    """Spreadsheets write it; pandas would take the paths for an index, and the labels for paths."""
    table = _read(tmp_path, "path,label\na.jpg,cat,\nb.jpg,dog,\n")
    assert table.to_dict("records") == [{"path": "a.jpg", "label": "cat"}, {"path": "b.jpg", "label": "dog"}]


@pytest.mark.parametrize(
    "data",
    [b"", b"path,label\na,b,c\nd,e,f\n", b"path,label\na,b\nd,e,f\n", b'path,label\n"a,b\n',
     "path,label\nä.jpg,x\n".encode("latin-1"), b"PK\x03\x04\x00\x00\xff\xfe"],
    ids=["empty", "more fields", "one more field", "open quote", "latin-1", "a spreadsheet"],
)  # fmt: skip
def test_what_is_no_text_table_is_one_sentence(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(LabelTableError, match=r"^could not read the table .*labels\.csv: [^\n]*\.$"):
        _read(tmp_path, data)


def test_a_damaged_parquet_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LabelTableError, match=r"^could not read the table .*labels\.parquet: [^\n]*\.$"):
        _read(tmp_path, b"PAR1", "labels.parquet")


def test_a_missing_table_or_another_kind_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LabelTableError, match=r"there is no table at .*labels\.csv"):
        read_table(tmp_path / "labels.csv")
    with pytest.raises(
        LabelTableError, match=r"labels\.xlsx is no table: expected .*\.csv, \.tsv, \.parquet"
    ):
        read_table(tmp_path / "labels.xlsx")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(LabelTableError, match=r"could not read the table .*folder\.csv"):
        read_table(tmp_path / "folder.csv")


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"path": ["a.jpg"], "text": ["007"], "number": np.array([7], np.int32), "none": ["None"]}
    )
    frame.to_parquet(tmp_path / "labels.PARQUET", index=False)
    table = read_table(tmp_path / "labels.PARQUET")
    assert table.to_dict("records") == frame.to_dict("records")
    assert table["number"].dtype == np.int32


def test_two_labels_do_not_become_one_number(tmp_path: Path) -> None:
    table = _read(tmp_path, "path,version\na.jpg,1.1\nb.jpg,1.10\n")
    assert table["version"].nunique() == 2


def test_a_table_in_another_encoding_is_told_by_line_and_read_when_it_is_named(tmp_path: Path) -> None:
    data = "path,label\na.jpg,x\nb.jpg,Grün\n".encode("latin-1")
    with pytest.raises(LabelTableError, match=r"line 3 is not UTF-8; save it as CSV UTF-8, or .* --encoding"):
        _read(tmp_path, data)
    assert read_table(tmp_path / "labels.csv", "latin-1")["label"].tolist() == ["x", "Grün"]
    for encoding in ("klingon", "hex"):
        with pytest.raises(LabelTableError, match=f"there is no encoding '{encoding}'"):
            read_table(tmp_path / "labels.csv", encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_byte_order_mark_says_the_encoding(tmp_path: Path, encoding: str) -> None:
    table = _read(tmp_path, "path;label\na.jpg;Grün\n".encode(encoding))
    assert table.to_dict("list") == {"path": ["a.jpg"], "label": ["Grün"]}


def test_fields_may_hold_separators_quotes_and_line_ends(tmp_path: Path) -> None:
    table = _read(tmp_path, 'path;"a, b, c, d";label\na.jpg;x;"two\nlines; and ""quotes"""\n')
    assert table.columns.tolist() == ["path", "a, b, c, d", "label"]
    assert table["label"].tolist() == ['two\nlines; and "quotes"']


def test_what_stands_for_nothing_can_be_named(tmp_path: Path) -> None:
    table = _read(tmp_path, "path,age\na.jpg,3\nb.jpg,NA\nc.jpg,-\n")
    assert table["age"].tolist() == ["3", "NA", "-"]
    named = read_table(tmp_path / "labels.csv", missing=["NA", "-"])
    assert named["age"].tolist()[0] == 3.0
    assert named["age"].isna().tolist() == [False, True, True]


def test_dates_stay_text(tmp_path: Path) -> None:
    table = _read(tmp_path, "path,seen\na.jpg,2026-01-02\nb.jpg,03.04.2026\n")
    assert table["seen"].tolist() == ["2026-01-02", "03.04.2026"]
