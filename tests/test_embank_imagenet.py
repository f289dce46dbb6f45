"""`embank predict --imagenet`, with random weights; the real ones are in test_real."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from embedder.imagenet_classes import imagenet_classes

if TYPE_CHECKING:
    from tests.conftest import Embank

RANDOM = ("--backbone", "MobileNetV2_0.35", "--weights", "none")


@pytest.mark.keras
def test_labels_and_scores_of_each_image(embank: Embank, photos: Path, tmp_path: Path) -> None:
    (photos / "cats" / "broken.jpg").write_bytes(b"no picture")
    ran = embank(
        "predict", "--imagenet", photos, *RANDOM, "--top", 3, "--json", "--csv", tmp_path / "rows.csv"
    )
    assert ran.code == 0
    assert "WARNING: MobileNetV2_0.35 runs with random weights" in ran.err
    rows = ran.json["rows"]
    assert len(rows) == 8 * 3 + 1
    (bad,) = [row for row in rows if row["error"]]
    assert bad["image"].endswith("broken.jpg")
    assert (bad["label"], bad["score"]) == (None, None)
    sound = [row for row in rows if not row["error"]]
    assert {row["label"] for row in sound} <= set(imagenet_classes())
    for start in range(0, len(sound), 3):
        three = sound[start : start + 3]
        assert len({row["image"] for row in three}) == 1
        assert len({row["label"] for row in three}) == 3
        scores = [row["score"] for row in three]
        assert scores == sorted(scores, reverse=True)
        assert 0.001 <= scores[0] <= sum(scores) <= 1.0
    with (tmp_path / "rows.csv").open(newline="", encoding="utf-8") as file:
        assert [row["label"] or None for row in csv.DictReader(file)] == [row["label"] for row in rows]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--backbone", "VGG16", "pets.head", "photo.jpg"], "--backbone goes with --imagenet"),
        (["pets.head"], "add --imagenet"),
        (["--imagenet", "--backbone", "ResNet5O", "{photos}"], "Did you mean ResNet50?"),
        (["--imagenet", "--backbone", "my.keras", "{photos}"], "class scores are for the ImageNet backbones"),
        (["--imagenet", "{photos}/nowhere.jpg"], "nowhere.jpg"),
    ],
)
def test_wrong_usage_is_said(embank: Embank, photos: Path, arguments: list[str], told: str) -> None:
    ran = embank("predict", *[argument.format(photos=photos) for argument in arguments])
    assert ran.code == 2
    assert ran.out == ""
    assert told in ran.err
    assert "Traceback" not in ran.err


def test_the_list_of_backbones_says_that_it_is_not_all(embank: Embank) -> None:
    listed = embank("backbones").out
    assert "TF-Hub handle" in listed.splitlines()[-1]
    assert ".keras" in listed.splitlines()[-1]
