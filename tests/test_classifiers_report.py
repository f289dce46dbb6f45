"""The report: whole in one file, escaped, each picture embedded once, and right about what was right."""

from __future__ import annotations

import base64
import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from classifiers.report import best_results, write_report

EVIL = "<script>alert('x')</script> & \"co\""
N = 60


@dataclasses.dataclass(frozen=True)
class StandIn:
    """The shape of classifiers.comparing's Comparison."""

    board: pd.DataFrame
    images: pd.DataFrame
    results: list[Any]
    errors: list[tuple[str, str]]


class Page(HTMLParser):
    """The tags of a page in order; raises where an end tag does not fit."""

    VOID = frozenset({"meta", "br", "img", "link", "hr"})

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


def result(scheme: str, head: str, wrong: int, classes: tuple[str, ...] = ("ant", "bee")) -> SimpleNamespace:
    """A result on N images, the last third held out, of which the first `wrong` are labelled wrongly."""
    k = len(classes)
    codes = np.arange(N) % k
    train, test = np.arange(N * 2 // 3), np.arange(N * 2 // 3, N)
    predicted = codes[test].copy()
    predicted[:wrong] = (predicted[:wrong] + 1) % k
    probabilities = np.full((len(test), k), 0.1 / k)
    probabilities[np.arange(len(test)), predicted] = np.linspace(0.5, 0.99, len(test))
    confusion = np.zeros((k, k), int)
    np.add.at(confusion, (codes[test], predicted), 1)
    accuracy = 1 - wrong / len(test)
    figures = SimpleNamespace(
        accuracy=accuracy,
        accuracy_low=accuracy - 0.1,
        accuracy_high=min(1.0, accuracy + 0.1),
        confusion=confusion,
    )
    labels = SimpleNamespace(name=scheme, classes=classes, codes=codes)
    return SimpleNamespace(
        scheme=scheme,
        head=head,
        space="Tiny-0123456789ab",
        labels=labels,
        train=train,
        test=test,
        predicted=predicted,
        probabilities=probabilities,
        figures=figures,
    )


def comparison(*results: SimpleNamespace, errors: tuple[tuple[str, str], ...] = ()) -> StandIn:
    rows = [
        {
            "scheme": r.scheme,
            "head": r.head,
            "space": r.space,
            "classes": len(r.labels.classes),
            "n_train": len(r.train),
            "n_test": len(r.test),
            "accuracy": r.figures.accuracy,
            "accuracy_low": r.figures.accuracy_low,
            "accuracy_high": r.figures.accuracy_high,
            "balanced_accuracy": r.figures.accuracy,
            "macro_f1": float("nan"),
            "majority": 0.5,
            "seconds": 0.25,
        }
        for r in results
    ]
    columns = ["scheme", "head", "space"] if not rows else None
    images = pd.DataFrame({"key": [f"{EVIL}/{i}.jpg" for i in range(N)], "source": "photos"})
    return StandIn(pd.DataFrame(rows, columns=columns), images, list(results), list(errors))


class Thumbnails:
    """Gives bytes that name their row; those of `gone` are missing. Remembers what it was asked for."""

    def __init__(self, gone: tuple[int, ...] = ()) -> None:
        self.asked: list[str] = []
        self.gone = gone

    def __call__(self, rows: pd.DataFrame) -> list[bytes | None]:
        self.asked += list(rows["key"])
        return [None if i in self.gone else f"picture {i}".encode() for i in rows.index]


def written(
    tmp_path: Path, compared: StandIn, pictures: Thumbnails | None = None, about: dict[str, Any] | None = None
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
    assert [tag for tag, _ in page.tags].count("script") == 1
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
    assert page.attributes("tr", "class") == ["best", "best"]
    assert page.attributes("th", "aria-sort") == ["none"] * 10
    assert best_results(compared.results)["one"].head == "dense"
    assert re.findall(r'<circle class="point" cx="([\d.]+)"', text) == [
        "102.0",
        "122.4",
        "108.8",
    ]
    assert "–" in page.text  # a macro F1 that is not a number


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
    bad.test = np.tile(bad.test, 5)
    bad.predicted = np.tile(bad.predicted, 5)
    bad.probabilities = None
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
    assert [int(n) for n in re.findall(r"<td class=\"[^>]+>(\d+)</td>", matrix)] == [8, 2, 1, 9]


def test_nothing_compared_is_said_and_not_an_error(tmp_path: Path) -> None:
    page = Page(written(tmp_path, comparison(errors=(("coat", "the scheme names an unknown column."),))))
    assert "Nothing could be compared." in page.text
    assert "coat" in page.text


def test_six_hundred_images_stay_below_four_megabytes(tmp_path: Path) -> None:
    compared = comparison(*(result(f"scheme {i}", "ridge", 9) for i in range(5)))
    images = pd.concat([compared.images] * 10, ignore_index=True)
    for number, each in enumerate(compared.results):
        each.labels.codes = np.tile(each.labels.codes, 10)
        each.test = each.test + N * 2 * number
    big = dataclasses.replace(compared, images=images)
    path = tmp_path / "report.html"
    write_report(path, big, title="t", pictures=lambda rows: [b"\xff" * 6000] * len(rows), about={})
    assert path.stat().st_size < 4_000_000
