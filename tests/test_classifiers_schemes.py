"""Schemes: what label each image gets, and which sentence a wrong scheme gives."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from classifiers.default_schemes import default_schemes
from classifiers.errors import SchemeError
from classifiers.schemes import Scheme
from classifiers.targets import labelled


@pytest.fixture
def images() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "key": [f"b{i}/img_{i}.jpg" for i in (1, 2, 10, 2, 1, 10)],
            "folder": ["b1", "b2", "b10", "b2", "b1", ""],
            "width": [10, 20, 30, 40, 50, 60],
            "labels.coat": ["long", "short", "semi", "unknown", None, "long"],
            "labels.stars": [1.0, 2.0, 1.0, np.nan, 2.0, 1.0],
            "labels.id": list("abcdef"),
            "labels.flag": [True, False, None, True, True, False],
            "labels.same": ["x"] * 6,
        }
    )


def names(scheme: Scheme, images: pd.DataFrame) -> list[str | None]:
    return list(scheme.labels(images).names())


def test_folder_in_natural_order(images: pd.DataFrame) -> None:
    labels = Scheme("f", "folder").labels(images)
    assert labels.classes == ("b1", "b2", "b10")
    assert labels.codes.tolist() == [0, 1, 2, 1, 0, -1]


def test_values_become_texts(images: pd.DataFrame) -> None:
    assert Scheme("s", "labels.stars").labels(images).classes == ("1", "2")
    assert Scheme("s", "flag").labels(images).classes == ("false", "true")


def test_groups_rest_and_drop(images: pd.DataFrame) -> None:
    scheme = Scheme("coat", "coat", groups={"short": "rest", "long": ["long", "semi"]}, drop=["unknown"])
    labels = scheme.labels(images)
    assert labels.classes == ("short", "long")
    assert names(scheme, images) == ["long", "short", "long", None, None, "long"]


def test_a_group_can_be_dropped(images: pd.DataFrame) -> None:
    scheme = Scheme("c", "coat", groups={"a": ["long"], "b": ["short"], "other": "rest"}, drop=["other"])
    assert names(scheme, images) == ["a", "b", None, None, None, "a"]


def test_regex_where_parent_and_order(images: pd.DataFrame) -> None:
    number = Scheme("number", "key", regex=r"_(\d+)\.jpg$", where="width < 60")
    assert names(number, images) == ["1", "2", "10", "2", "1", None]
    size = Scheme(
        "size", "number", parent=number, groups={"big": ["10"], "small": "rest"}, classes=["small", "big"]
    )
    labels = size.labels(images)
    assert labels.classes == ("small", "big")
    assert labels.codes.tolist() == [0, 0, 1, 0, 0, -1]


def test_survives_json(images: pd.DataFrame) -> None:
    parent = Scheme("number", "key", regex=r"_(\d+)\.jpg$")
    scheme = Scheme(
        "size", "number", parent=parent, groups={"z": ["10"], "a": "rest"}, drop=["2"], where="width > 5"
    )
    again = Scheme.from_dict(json.loads(json.dumps(scheme.to_dict())))
    assert again == scheme
    assert again.labels(images).classes == ("z", "a")


@pytest.mark.parametrize(
    ("scheme", "sentence"),
    [
        (Scheme("x", "coot"), "no column or earlier scheme 'coot'"),
        (Scheme("x", "labels.caot"), "Did you mean 'labels.coat'"),
        (Scheme("x", "same"), "leaves one class, 'x', on 6 images: two classes are needed"),
        (Scheme("x", "folder", where="width > 99"), "leaves no labels"),
        (Scheme("x", "folder", where="widt > 9"), "Did you mean 'width'"),
        (Scheme("x", "coat", groups={"a": ["lonk"], "b": "rest"}), "names 'lonk'.*Did you mean 'long'"),
        (Scheme("x", "coat", drop=["unknwon"]), "drop names 'unknwon'.*Did you mean 'unknown'"),
        (
            Scheme("x", "coat", groups={"a": ["long"], "b": ["short"]}, where="width > 20"),
            "group 'b' is empty",
        ),
        (Scheme("x", "key", regex="(zzz)"), "found in none of 6 values of 'key', such as 'b1/img_1.jpg'"),
        (Scheme("x", "folder", classes=["b1", "b2"]), "does not list 'b10'"),
        (Scheme("x", "stars", classes=["1", "2", "3"]), "lists '3', which no image has"),
    ],
)
def test_wrong_schemes_give_one_sentence(images: pd.DataFrame, scheme: Scheme, sentence: str) -> None:
    with pytest.raises(SchemeError, match=sentence) as caught:
        scheme.labels(images)
    assert "'x'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_images_may_lack_classes(images: pd.DataFrame) -> None:
    scheme = Scheme("x", "coat", groups={"a": ["long"], "b": ["woolly"]})
    labels = scheme.labels(images, strict=False)
    assert labels.classes == ("a", "b")
    assert labels.codes.tolist() == [0, -1, -1, -1, -1, 0]


@pytest.mark.parametrize("regex", ["(", "no group", "(a)(b)"])
def test_wrong_regex(regex: str) -> None:
    with pytest.raises(SchemeError, match="regex"):
        Scheme("x", "key", regex=regex)


@pytest.mark.parametrize(
    "groups", [{}, {"a": []}, {"a": ["x"], "b": ["x"]}, {"a": "rest", "b": "rest"}, {"a": 3}]
)
def test_wrong_groups(groups: dict[str, list[str]]) -> None:
    with pytest.raises(SchemeError):
        Scheme("x", "key", groups=groups)


@pytest.mark.parametrize(
    "options",
    [{}, {"name": "x"}, {"name": "x", "from": "f", "drop": "abc"}, {"name": "x", "from": "f", "regex": 3}],
)
def test_what_is_no_scheme(options: dict[str, object]) -> None:
    with pytest.raises(SchemeError):
        Scheme.from_dict(options)


def test_from_groups() -> None:
    values = pd.Series(["a", "b", None, "c"], index=[5, 6, 7, 8], name="v")
    result = Scheme.from_groups(values, {"x": ["a"], "y": "rest"})
    assert result.index.tolist() == [5, 6, 7, 8]
    assert result[[5, 6, 8]].tolist() == ["x", "y", "y"]
    assert result.isna().tolist() == [False, False, True, False]
    assert Scheme.from_groups(values, {"x": ["a"]}).isna().sum() == 3
    with pytest.raises(SchemeError, match="names 'd'"):
        Scheme.from_groups(values, {"x": ["d"]})


def test_default_schemes(images: pd.DataFrame) -> None:
    images = images.assign(folder=["a", "b", "a", "b", "a", ""], **{"labels.split": ["train", "val"] * 3})
    schemes, notes = default_schemes(images)
    assert list(schemes) == ["folder", "stars", "flag"]
    assert [note.split("'")[1] for note in notes] == [
        "labels.coat",
        "labels.id",
        "labels.same",
        "labels.split",
    ]
    assert all(scheme.labels(images).classes for scheme in schemes.values())


@pytest.fixture
def tagged() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "key": ["a1_b2.jpg", "b3.jpg", "c.jpg", "a4.jpg", "x.jpg", "y.jpg"],
            "width": [10, 20, 30, 40, 50, 60],
            "labels.tags": ["cat; sky", "dog;cat;cat", None, "unknown", "sky", " ; "],
        }
    )


def matrix(scheme: Scheme, images: pd.DataFrame) -> list[str]:
    """The rows of the indicator, as in '10': the first label only; '-' for an image that is not labelled."""
    codes = scheme.labels(images).codes
    return ["-" if row[0] < 0 else "".join(map(str, row)) for row in codes]


def test_several_labels_an_image(tagged: pd.DataFrame) -> None:
    scheme = Scheme("tags", "tags", multilabel=True)
    labels = scheme.labels(tagged)
    assert labels.multilabel and labels.classes == ("cat", "dog", "sky", "unknown")
    assert matrix(scheme, tagged) == ["1010", "1100", "-", "0001", "0010", "-"]
    assert labels.names().tolist() == ["cat;sky", "cat;dog", None, "unknown", "sky", None]


def test_of_several_labels_what_is_dropped_is_not_known_and_what_is_in_no_group_is_none(
    tagged: pd.DataFrame,
) -> None:
    groups = {"animal": ["cat", "dog"], "bird": ["unknown"]}
    dropped = Scheme("tags", "tags", drop=["unknown"], multilabel=True)
    assert matrix(dropped, tagged) == ["101", "110", "-", "-", "001", "-"]
    grouped = Scheme("tags", "tags", groups=groups, multilabel=True)
    assert matrix(grouped, tagged) == ["10", "10", "-", "01", "00", "-"]
    assert grouped.labels(tagged).names()[4] == ""
    narrow = Scheme("tags", "tags", where="width <= 20", multilabel=True)
    assert matrix(narrow, tagged) == ["101", "110", "-", "-", "-", "-"]


def test_several_labels_from_a_regex_a_parent_and_another_separator(tagged: pd.DataFrame) -> None:
    letters = Scheme("letters", "key", regex=r"([ab])\d", multilabel=True)
    assert matrix(letters, tagged) == ["11", "01", "-", "10", "-", "-"]
    parent = Scheme("tags", "tags", drop=["unknown"], multilabel=True)
    child = Scheme(
        "living",
        "tags",
        parent=parent,
        groups={"animal": ["cat", "dog"], "rest of it": "rest"},
        multilabel=True,
    )
    assert matrix(child, tagged) == ["11", "10", "-", "-", "01", "-"]
    nothing = Scheme("tags", "tags", multilabel=True).labels(tagged.assign(tags=None), strict=False)
    assert not nothing.classes and not labelled(nothing.codes).any()
    bar = Scheme("t", "t", multilabel=True, separator="|")
    assert matrix(bar, pd.DataFrame({"t": ["a|b", "b", "c;d"]})) == ["110", "010", "001"]
    with pytest.raises(SchemeError, match="gives several labels an image: add multilabel: true"):
        Scheme("one", "tags", parent=parent)


def test_several_labels_survive_json_and_others_stay_as_they_were(tagged: pd.DataFrame) -> None:
    scheme = Scheme("tags", "tags", drop=["unknown"], multilabel=True, separator="; ")
    assert Scheme.from_dict(json.loads(json.dumps(scheme.to_dict()))) == scheme
    assert not {"multilabel", "separator"} & set(Scheme("x", "tags").to_dict())
    for wrong in ({"multilabel": "yes"}, {"multilabel": True, "separator": 3}):
        with pytest.raises(SchemeError):
            Scheme.from_dict({"name": "x", "from": "tags", **wrong})
    with pytest.raises(SchemeError, match="leaves one class"):
        Scheme("tags", "tags", drop=["unknown", "dog", "sky"], multilabel=True).labels(tagged)
