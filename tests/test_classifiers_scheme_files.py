"""Scheme files: read as INTERFACE.md says, and wrong ones refused with file, line and scheme."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from classifiers.errors import SchemeError
from classifiers.scheme_files import load_schemes, read_schemes, schemes_json_schema
from classifiers.schemes import OPTIONS

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
wide:
  from: width
  bins: [250, 450]
thirds:
  from: width
  quantiles: 3
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
    assert list(schemes) == ["breed", "species", "coat", "number", "big", "wide", "thirds", "answer"]
    found = {name: list(scheme.labels(images).names()) for name, scheme in schemes.items()}
    assert found["species"] == ["cat", "cat", "dog", "dog", "dog", "dog"]
    assert found["coat"] == ["long", "long", "short", None, "short", "short"]
    assert found["number"] == ["0", "1", "2", "0", "1", "2"]
    assert found["big"] == [None, "Bengal", "Boxer", "Boxer", "Pug", None]
    assert schemes["wide"].labels(images).classes == ("< 250", "250–450", "≥ 450")
    assert schemes["thirds"].labels(images).codes.tolist() == [0, 0, 1, 1, 2, 2]
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
        (
            "a:\n  from: key\n  drop: [[x]]\n",
            r"line 3, scheme 'a': drop must be a list of values, not nested",
        ),
        ("a:\n  from: key\n  groups: {x: {y: z}}\n", r"line 3, scheme 'a': groups must be .* not nested"),
        ("a:\n  from: key\n  bins: {x: 1}\n", r"line 3, scheme 'a': bins must be a list of edges such as"),
        ("a:\n  from: key\n  bins: [2, 1]\n", r"line 1, scheme 'a': the edges of bins must ascend"),
        (
            "a:\n  from: key\n  quantiles: 1.5\n",
            r"line 1, scheme 'a': quantiles is a whole number .* got '1\.5'",
        ),
        ("a:\n  from: key\n\tbins: 3\n", r"line 3 is indented with a tab; YAML takes spaces only"),
        ("? [a]\n: {from: key}\n", r"line 1: the name of a scheme must be a text"),
        ("a: {from: key}\x07", "is not valid YAML"),
        ("a: {from: key}\n---\nb: {from: key}\n", "line 2 is not valid YAML|another document"),
        ("a:\n  from: key\n  groups: &g {x: *g}\n", r"nested too deeply"),
        ("[" * 100_000, r"line 1: it is nested too deeply"),
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


BROKEN = """
good: {from: folder}
typo:
  fro: folder
child: {from: typo}
good: {from: key}
grown: {from: good, drop: [Pug]}
late: {from: last}
last: {from: key}
"""


def test_one_broken_scheme_does_not_stop_the_others(tmp_path: Path) -> None:
    path = tmp_path / "schemes.yaml"
    path.write_text(BROKEN)
    schemes, errors = read_schemes(path)
    assert list(schemes) == ["good", "grown", "last"]
    assert schemes["grown"].parent == schemes["good"]
    assert schemes["good"].source == "folder"
    assert [name for name, _ in errors] == ["typo", "child", "good", "late"]
    sentences = dict(errors)
    assert "line 4, scheme 'typo': there is no option 'fro'. Did you mean 'from'?" in sentences["typo"]
    assert (
        "line 5, scheme 'child': it is made from 'typo', which is wrong itself (line 3)."
        in sentences["child"]
    )
    assert "line 6: the scheme 'good' was given before, in line 2. Rename one" in sentences["good"]
    assert "'late': it is made from 'last', which comes later" in sentences["late"]
    with pytest.raises(SchemeError, match="scheme 'typo'"):
        load_schemes(path)


def test_what_only_the_images_show_is_told_with_file_and_line_too(
    tmp_path: Path, images: pd.DataFrame
) -> None:
    path = tmp_path / "schemes.yaml"
    path.write_text(
        "a:\n  from: folder\n  drop: [Puk]\nb: {from: a}\nc: {from: c}\nd: {from: key, quantiles: 2}\n"
        "species: {from: folder}\ne: {from: speceis}\nf: {from: foldr}\n"
    )
    schemes = load_schemes(path)
    for name, sentence in {
        "a": "line 1, scheme 'a': drop names 'Puk', which is no value of 'folder'. Did you mean 'Pug'?",
        "b": "line 1, scheme 'a': drop names 'Puk'",
        "c": "line 5, scheme 'c': it is made from itself: there is no column or earlier scheme 'c'.",
        "e": "line 8, scheme 'e': there is no column or earlier scheme 'speceis'. Did you mean 'species'?",
        "f": "line 9, scheme 'f': there is no column or earlier scheme 'foldr'. Did you mean 'folder'?",
        "d": "line 6, scheme 'd': 6 values of 'key' are no number, such as 'x_0.jpg'",
    }.items():
        for of in (schemes[name].labels, schemes[name].resolved) if name == "d" else (schemes[name].labels,):
            with pytest.raises(SchemeError) as caught:
                of(images)
            assert str(caught.value).startswith(f"{path}, {sentence}")
    assert "origin" not in schemes["a"].to_dict()


def test_a_bomb_of_aliases_and_a_huge_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "schemes.yaml"
    levels = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 7)]
    path.write_text("\n".join(["a0: &a0 [x]", *levels]))
    with pytest.raises(SchemeError, match=r"stands for [\d,]+ values when its aliases are written out"):
        read_schemes(path)
    path.write_bytes(b"#" * (11 << 20))
    with pytest.raises(SchemeError, match="is larger than 10 MB"):
        read_schemes(path)


def test_aliases_in_measure_and_ten_thousand_groups_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "schemes.yaml"
    groups = "".join(f"    g{number}: [v{number}]\n" for number in range(10_000))
    path.write_text(f"a:\n  from: labels.a\n  groups: &all\n{groups}b:\n  from: labels.b\n  groups: *all\n")
    schemes = load_schemes(path)
    values = [f"v{number}" for number in range(10_000)]
    labels = schemes["b"].labels(pd.DataFrame({"labels.b": values}))
    assert len(labels.classes) == 10_000
    assert labels.codes.tolist() == list(range(10_000))


def test_the_json_schema_has_the_options_and_a_description_of_each() -> None:
    options = json.loads(schemes_json_schema())["definitions"]["scheme"]["properties"]
    assert set(options) == set(OPTIONS)
    assert all(option["description"] for option in options.values())


@pytest.mark.parametrize(
    "text",
    [
        GOOD, "a: {from: folder, drop: x}", "a: {from: w, bins: 3}", "a: {from: t, multilabel: true, separator: ','}",
        "", "[a]", "a: folder", "a: {}", "a: {fro: folder}", "a: {from: [x]}", "a: {from: k, regex: [x]}",
        "a: {from: k, groups: [x]}", "a: {from: k, groups: {x: {y: z}}}", "a: {from: k, groups: {x: []}}",
        "a: {from: k, groups: {x: rest}, bins: [1]}", "a: {from: k, bins: [1], quantiles: 2}",
        "a: {from: k, quantiles: 1}", "a: {from: k, quantiles: [4]}", "a: {from: k, bins: [[1]]}",
        "a: {from: k, drop: {x: y}}", "a: {from: k, classes: [[x]]}", "a: {from: k, separator: ','}",
        "a: {from: k, multilabel: perhaps}",
    ],
)  # fmt: skip
def test_editors_that_check_by_the_json_schema_agree_with_us(tmp_path: Path, text: str) -> None:
    fastjsonschema = pytest.importorskip("fastjsonschema", reason="needs the extra `dev`")
    path = tmp_path / "schemes.yaml"
    path.write_text(text)
    try:
        sound = not read_schemes(path)[1]
    except SchemeError:
        sound = False
    try:
        fastjsonschema.validate(json.loads(schemes_json_schema()), yaml.safe_load(text))
        allowed = True
    except fastjsonschema.JsonSchemaException:
        allowed = False
    assert allowed == sound


def test_every_example_of_the_guide_is_a_sound_file(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[1] / "docs" / "schemes.md").read_text()
    examples = re.findall(r"^```yaml\n(.*?)^```", guide, re.M | re.S)
    assert len(examples) >= 8
    named: set[str] = set()
    for text in examples:
        (tmp_path / "example.yaml").write_text(text)
        assert load_schemes(tmp_path / "example.yaml")
        named |= {option for scheme in yaml.safe_load(text).values() for option in scheme}
    assert named == set(OPTIONS)
