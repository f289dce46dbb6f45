"""Scheme files: read as INTERFACE.md says, and wrong ones refused with file, line and scheme."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from classifiers.errors import SchemeError
from classifiers.scheme_files import load_schemes

GOOD = """
breed:
  from: folder
species:                   # groups of an earlier scheme
  from: breed
  groups: {cat: [Abyssinian, Bengal], dog: rest}
coat:
  from: labels.coat
  groups: {long: [long, semi-long], short: rest}
  drop: [unknown]
number:
  from: key
  regex: '_(\\d+)\\.jpg$'
big:
  from: breed
  where: "split == 'train' and width >= 200"
answer:
  from: labels.answer
  groups: {yes: [yes, 07], no: rest}
  classes: [no, yes]
"""


@pytest.fixture
def images() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "key": [f"x_{i % 3}.jpg" for i in range(6)],
            "folder": ["Abyssinian", "Bengal", "Boxer", "Boxer", "Pug", "Pug"],
            "split": ["train"] * 5 + ["test"],
            "width": [100, 200, 300, 400, 500, 600],
            "labels.coat": ["long", "semi-long", "short", "unknown", "short", "short"],
            "labels.answer": ["yes", "no", "07", "7", "no", "no"],
        }
    )


def test_a_good_file(tmp_path: Path, images: pd.DataFrame) -> None:
    path = tmp_path / "schemes.yaml"
    path.write_text(GOOD)
    schemes = load_schemes(path)
    assert list(schemes) == ["breed", "species", "coat", "number", "big", "answer"]
    found = {name: list(scheme.labels(images).names()) for name, scheme in schemes.items()}
    assert found["species"] == ["cat", "cat", "dog", "dog", "dog", "dog"]
    assert found["coat"] == ["long", "long", "short", None, "short", "short"]
    assert found["number"] == ["0", "1", "2", "0", "1", "2"]
    assert found["big"] == [None, "Bengal", "Boxer", "Boxer", "Pug", None]
    assert found["answer"] == ["yes", "no", "yes", "no", "no", "no"]
    assert schemes["answer"].labels(images).classes == ("no", "yes")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "holds no schemes"),
        ("- a\n- b", "holds no schemes"),
        ("breed: folder", r"line 1, scheme 'breed': it needs options"),
        ("a:\n  from: folder\na:\n  from: key\n", r"line 3: the scheme 'a' was given before, in line 1"),
        ("a:\n  from: folder\n  from: key\n", r"line 3: the option of scheme 'a' 'from' was given before"),
        (
            "a:\n  from: folder\n  wher: x\n",
            r"line 3, scheme 'a': there is no option 'wher'\. Did you mean 'where'",
        ),
        ("a:\n  groups: {x: [y], z: rest}\n", r"line 1, scheme 'a': it needs `from:`"),
        (
            "a:\n  from: b\nb:\n  from: folder\n",
            r"line 2, scheme 'a': it is made from 'b', which comes later",
        ),
        ("a:\n  from: t\n  multilabel: perhaps\n", r"line 3, scheme 'a': multilabel is true or false"),
        ("a:\n  from: t\n  separator: ','\n", r"line 3, scheme 'a': separator goes with multilabel"),
        (
            "a:\n  from: t\n  multilabel: true\nb:\n  from: a\n",
            "line 4, scheme 'b': it is made from 'a', which gives several labels",
        ),
        ("a:\n  from: key\n  groups: [x]\n", r"line 3, scheme 'a': groups must be a mapping"),
        ("a:\n  from: key\n  regex: [x]\n", r"line 3, scheme 'a': regex must be a text"),
        ("a:\n  from: key\n  regex: '('\n", r"line 1, scheme 'a': cannot read the regex"),
        ("a:\n  from: key\n  groups: {x: [1], x: [2]}\n", r"line 3: the group 'x' was given before"),
        ("a: {from: key", "is not valid YAML"),
        ("a: !!python/object/apply:os.system [ls]", "it needs options"),
        ("a: &a\n  from: key\n  groups: {x: *a}\n", "YAML|nested|groups|group"),
    ],
)
def test_a_wrong_file(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "schemes.yaml"
    path.write_text(text)
    with pytest.raises(SchemeError, match=sentence) as caught:
        load_schemes(path)
    assert str(path) in str(caught.value)


def test_a_missing_and_a_binary_file(tmp_path: Path) -> None:
    with pytest.raises(SchemeError, match="there is no scheme file"):
        load_schemes(tmp_path / "none.yaml")
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(SchemeError, match=r"x\.yaml"):
        load_schemes(tmp_path / "x.yaml")
