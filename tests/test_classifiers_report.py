"""The report: whole in one file, escaped, each picture embedded once, and right about what it tells."""

from __future__ import annotations

import base64
import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from classifiers.labels import Labels
from classifiers.paired import paired
from classifiers.report import best_results, write_report
from classifiers.results import COLUMNS, Comparison, Result
from tests.made_results import made_result

EVIL = "<script>alert('x')</script> & \"co\""
N = 60


class Page(HTMLParser):
    """The tags of a page in order; raises where an end tag does not fit."""

    VOID = frozenset({"meta", "br", "img", "link", "hr", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)

    def attributes(self, tag: str, name: str) -> list[str]:
        return [
            attributes[name] or "" for found, attributes in self.tags if found == tag and name in attributes
        ]


def result(scheme: str, head: str, wrong: int, classes: tuple[str, ...] = ("ant", "bee")) -> Result:
    """A result on N images, the last third held out, of which the first `wrong` are labelled wrongly."""
    k = len(classes)
    codes = np.arange(N) % k
    train, test = np.arange(N * 2 // 3), np.arange(N * 2 // 3, N)
    predicted = codes[test].copy()
    predicted[:wrong] = (predicted[:wrong] + 1) % k
    probabilities = np.full((len(test), k), 0.1 / k)
    probabilities[np.arange(len(test)), predicted] = np.linspace(0.5, 0.99, len(test))
    return made_result(Labels(scheme, classes, codes), train, test, predicted, probabilities, head)


def comparison(*results: Result, errors: tuple[tuple[str, str], ...] = ()) -> Comparison:
    board = pd.DataFrame([one.row() for one in results], columns=list(COLUMNS))
    images = pd.DataFrame({"key": [f"{EVIL}/{i}.jpg" for i in range(N)], "source": "photos"})
    return Comparison(board, images, results, errors, pairs=paired(results))


class Thumbnails:
    """Gives bytes that name their row; those of `gone` are missing. Remembers what it was asked for."""

    def __init__(self, gone: tuple[int, ...] = ()) -> None:
        self.asked: list[str] = []
        self.gone = gone

    def __call__(self, rows: pd.DataFrame) -> list[bytes | None]:
        self.asked += list(rows["key"])
        return [None if i in self.gone else f"picture {i}".encode() for i in rows.index]


def written(
    tmp_path: Path,
    compared: Comparison,
    pictures: Thumbnails | None = None,
    about: dict[str, Any] | None = None,
) -> str:
    path = tmp_path / "report.html"
    write_report(path, compared, title=f"Title {EVIL}", pictures=pictures or Thumbnails(), about=about or {})
    return path.read_text(encoding="utf-8")


def embedded(text: str) -> list[str]:
    return [base64.b64decode(data).decode() for data in re.findall(r"base64,([\w+/=]+)\)", text)]


def test_the_page_is_well_formed_and_offline(tmp_path: Path) -> None:
    text = written(
        tmp_path, comparison(result("insect", "ridge", 3)), about={"Seed": 0, "Recipe": {"backbone": "Tiny"}}
    )
    page = Page(text)
    assert page.open == []
    assert not re.search(r"https?://|@import|\bsrc=", text)
    assert "prefers-color-scheme: dark" in text
    ids = [value for _, attributes in page.tags if (value := attributes.get("id"))]
    assert len(ids) == len(set(ids))
    links = {href.removeprefix("#") for href in page.attributes("a", "href")}
    assert links <= set(ids)
    assert {"Seed", "Recipe"} <= {piece.strip() for piece in page.text}
    assert '"backbone": "Tiny"' in "".join(page.text)


def test_everything_is_escaped(tmp_path: Path) -> None:
    evil = result(EVIL, EVIL, 3, classes=(EVIL, "bee"))
    text = written(
        tmp_path, comparison(evil, errors=((EVIL, EVIL),)), about={EVIL: EVIL, "more": {EVIL: [EVIL]}}
    )
    assert "<script>alert" not in text
    page = Page(text)
    assert [kind.get("type") for tag, kind in page.tags if tag == "script"] == ["application/json"] * 2 + [
        None
    ]
    assert EVIL in page.text
    assert any(EVIL in label for label in page.attributes("span", "aria-label"))


def test_each_picture_is_asked_for_and_embedded_once(tmp_path: Path) -> None:
    pictures = Thumbnails(gone=(0, 45))
    text = written(tmp_path, comparison(result("one", "ridge", 3), result("two", "ridge", 5)), pictures)
    assert len(pictures.asked) == len(set(pictures.asked)) > 20
    assert len(embedded(text)) == len(set(embedded(text))) == len(pictures.asked) - 2
    classes = {name for value in Page(text).attributes("span", "class") for name in value.split()}
    for number in re.findall(r"^\.p(\d+) \{", text, re.MULTILINE):
        assert f"p{number}" in classes
        assert f"picture {number}" in embedded(text)
    assert "the picture is gone" in text


def test_the_board_marks_the_best_row_and_can_be_sorted(tmp_path: Path) -> None:
    compared = comparison(result("one", "ridge", 5), result("one", "dense", 2), result("two", "ridge", 4))
    text = written(tmp_path, compared)
    page = Page(text)
    assert [name for name in page.attributes("tr", "class") if name == "best"] == ["best", "best"]
    assert page.attributes("th", "aria-sort") == ["none"] * 10
    assert best_results(compared.results)["one"].head == "dense"
    assert re.findall(r'<circle class="point" cx="([\d.]+)"', text) == [
        "102.0",
        "122.4",
        "108.8",
    ]


def test_equals_and_those_that_may_be_are_marked(tmp_path: Path) -> None:
    heads = [
        result("one", head, wrong) for head, wrong in (("ridge", 2), ("svm", 2), ("knn", 3), ("mlp", 20))
    ]
    text = written(tmp_path, comparison(*heads))
    marks = re.findall(r'<span class="star">(?:<span aria-hidden="true">(.)</span>)?', text)
    assert marks == ["★", "★", "≈", ""]


def test_several_labels_an_image(tmp_path: Path) -> None:
    codes = np.zeros((N, 3), np.int8)
    codes[::2, 0] = codes[::3, 1] = 1
    codes[N - 1] = 0
    test = np.arange(40, N)
    predicted = codes[test].copy()
    predicted[0, 2] = 1
    labels = Labels("tags", ("cat", "dog", "sky"), codes)
    tags = made_result(labels, np.arange(40), test, predicted, np.clip(predicted, 0.1, 0.8))
    page = Page(written(tmp_path, comparison(tags)))
    text = " ".join(" ".join(page.text).split())
    assert "Confusions" not in text and "Average precision, micro" in text
    assert "all of its labels are" in text
    assert "cat; sky" in text and "(cat)" in text  # said, and in brackets the truth
    assert "none" in text


def test_a_scheme_of_five_thousand_classes_stays_small(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    codes, said = generator.integers(0, 5000, N), generator.integers(0, 5000, 20)
    labels = Labels("kind", tuple(f"class {i}" for i in range(5000)), codes)
    many = made_result(labels, np.arange(40), np.arange(40, N), said, np.full((20, 5000), 1 / 5000))
    text = written(tmp_path, comparison(many))
    assert "and 4,940 more classes" in text
    assert len(text) < 200_000


def test_the_grid_shows_the_most_confident_mistakes_first(tmp_path: Path) -> None:
    text = written(tmp_path, comparison(result("insect", "ridge", 3)))
    items = re.findall(r'<li class="(right|wrong)"><figure>\s*<span class="picture large p(\d+)', text)
    assert items[:3] == [("wrong", "42"), ("wrong", "41"), ("wrong", "40")]
    assert [kind for kind, _ in items[3:]] == ["right"] * 17
    caption = " ".join(
        re.sub(r"<[^>]+>", " ", text.split("<figcaption>")[1].split("</figcaption>")[0]).split()
    )
    assert caption.startswith("✗ wrong: bee (ant)")


def test_the_grid_is_bounded_and_keeps_room_for_right_ones(tmp_path: Path) -> None:
    bad = result("insect", "ridge", 19)
    bad = dataclasses.replace(
        bad, test=np.tile(bad.test, 5), predicted=np.tile(bad.predicted, 5), confidence=None
    )
    text = written(tmp_path, comparison(bad))
    kinds = re.findall(r'<li class="(right|wrong)">', text)
    assert (kinds.count("wrong"), kinds.count("right")) == (19, 5)


@pytest.mark.parametrize("wrong", [0, 7])
def test_many_classes_get_a_list_instead_of_a_matrix(tmp_path: Path, wrong: int) -> None:
    many = result("kind", "ridge", wrong, classes=tuple(f"class {i}" for i in range(70)))
    text = written(tmp_path, comparison(many))
    assert 'class="matrix"' not in text
    assert ("every held-out image was labelled rightly" in text) == (wrong == 0)
    assert "and 10 more classes" in text


def test_the_matrix_shows_every_count(tmp_path: Path) -> None:
    text = written(tmp_path, comparison(result("insect", "ridge", 3)))
    matrix = text.split('<table class="matrix">')[1].split("</table>")[0]
    assert [int(n) for n in re.findall(r"<td class=\"[^>]+>(\d+)</td>", matrix)] == [8, 2, 10, 1, 9, 10]


def test_nothing_compared_is_said_and_not_an_error(tmp_path: Path) -> None:
    page = Page(written(tmp_path, comparison(errors=(("coat", "the scheme names an unknown column."),))))
    assert "Nothing could be compared." in page.text
    assert "coat" in page.text


def test_six_hundred_images_stay_below_four_megabytes(tmp_path: Path) -> None:
    compared = comparison(*(result(f"scheme {i}", "ridge", 9) for i in range(5)))
    images = pd.concat([compared.images] * 10, ignore_index=True)
    results = tuple(
        dataclasses.replace(
            each,
            labels=dataclasses.replace(each.labels, codes=np.tile(each.labels.codes, 10)),
            test=each.test + N * 2 * number,
        )
        for number, each in enumerate(compared.results)
    )
    big = dataclasses.replace(compared, images=images, results=results)
    path = tmp_path / "report.html"
    write_report(path, big, title="t", pictures=lambda rows: [b"\xff" * 6000] * len(rows), about={})
    assert path.stat().st_size < 4_000_000
