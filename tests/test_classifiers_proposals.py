"""Proposals find the classes sooner than chance does, and teach more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from classifiers.live import LiveFit, LiveResult, proposals
from tests.small_banks import small_bank

SIZES = (260, 200, 120, 80, 40, 20, 16, 12)  # the smallest is under 2 %
ROUND = 12
Codes = NDArray[np.intp]
Choose = Callable[["Bed", Codes, LiveResult | None, np.random.Generator], Codes]


@dataclass(frozen=True)
class Bed:
    """Images of classes of unequal size, and the class of each."""

    fit: LiveFit
    truth: Codes


@pytest.fixture(scope="module")
def beds(tmp_path_factory: pytest.TempPathFactory) -> list[Bed]:
    return [made(tmp_path_factory.mktemp("beds") / "x.embank", seed) for seed in range(4)]


def made(path: Path, seed: int) -> Bed:
    """Clouds that touch; as pooled features, none is negative."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.repeat(np.arange(len(SIZES)), SIZES))
    centres = rng.normal(size=(len(SIZES), 32))
    X = np.maximum(centres[codes] + rng.normal(size=(len(codes), 32)), 0).astype(np.float32)
    store = small_bank(path, [f"{code}/{number:04}.jpg" for number, code in enumerate(codes)], [X])
    images = store.images()
    return Bed(
        LiveFit(store, next(iter(store.spaces)), images), np.asarray(images["folder"].astype(int), np.intp)
    )


def proposed(bed: Bed, codes: Codes, result: LiveResult | None, rng: np.random.Generator) -> Codes:
    return proposals(bed.fit.vectors, codes, result, ROUND)


def by_chance(bed: Bed, codes: Codes, result: LiveResult | None, rng: np.random.Generator) -> Codes:
    return rng.choice(np.flatnonzero(codes < 0), ROUND, replace=False)


def labelled(
    bed: Bed, choose: Choose, rounds: int, seed: int = 0
) -> tuple[list[int], LiveResult | None, Codes]:
    """The classes found after each round, the last result, and the labels."""
    rng, codes = np.random.default_rng(seed), np.full(len(bed.truth), -1)
    result, found = None, []
    for _ in range(rounds):
        rows = choose(bed, codes, result, rng)
        assert len(set(rows.tolist())) == ROUND and (codes[rows] < 0).all()
        codes[rows] = bed.truth[rows]
        found.append(len(np.unique(codes[codes >= 0])))
        result = bed.fit.solve(codes, len(SIZES)) if found[-1] > 1 else None
    return found, result, codes


def rounds_to_all(bed: Bed, choose: Choose, seed: int = 0) -> int:
    found, _, _ = labelled(bed, choose, 8, seed)
    return found.index(len(SIZES)) if len(SIZES) in found else 8


def accuracy(bed: Bed, choose: Choose, rounds: int, seed: int = 0) -> float:
    """On the images that have no label."""
    _, result, codes = labelled(bed, choose, rounds, seed)
    assert result is not None
    free = codes < 0
    return float((result.predicted[free] == bed.truth[free]).mean())


def test_all_classes_are_found_sooner_than_by_chance(beds: list[Bed]) -> None:
    sooner = [
        rounds_to_all(bed, proposed) < rounds_to_all(bed, by_chance, seed) for seed, bed in enumerate(beds)
    ]
    assert np.mean(sooner) > 0.5


@pytest.mark.parametrize("rounds", [2, 6])
def test_proposed_labels_teach_more_than_others(beds: list[Bed], rounds: int) -> None:
    ours = [accuracy(bed, proposed, rounds) for bed in beds]
    theirs = [accuracy(bed, by_chance, rounds, seed) for bed in beds for seed in range(2)]
    assert np.mean(ours) > np.mean(theirs) + 0.03
    assert min(ours) > np.mean(theirs)


def test_typical_images_come_first() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2, 16))[np.arange(100) % 2] + 0.1 * rng.normal(size=(100, 16))
    X = np.r_[X, 3 * rng.normal(size=(5, 16))].astype(np.float32)  # the last five are like no other
    first = proposals(X, np.full(len(X), -1), None, 2)
    assert sorted(first % 2) == [0, 1] and (first < 100).all()


def test_near_duplicates_are_not_proposed_together(beds: list[Bed]) -> None:
    bed = beds[0]
    _, result, codes = labelled(bed, proposed, 2)
    assert result is not None
    twice = np.tile(np.arange(len(codes)), 2)
    noise = np.random.default_rng(0).normal(scale=1e-3, size=(len(twice), bed.fit.vectors.shape[1]))
    vectors = (bed.fit.vectors[twice] + noise).astype(np.float32)
    told = LiveResult(
        codes[twice], result.predicted[twice], result.scores[twice], result.confidence[twice], 1.0, 0.0
    )
    for labels, known in ((np.full(len(twice), -1), None), (codes[twice], told)):
        rows = proposals(vectors, labels, known, 2 * ROUND)
        assert len(np.unique(twice[rows])) == 2 * ROUND
    half = codes[twice]
    half[len(codes) :] = -1  # copies of what is labelled tell nothing new
    again = proposals(vectors, half, told, 2 * ROUND)
    assert (codes[twice[again]] < 0).all()


def test_a_rare_class_that_is_asked_for_is_proposed(beds: list[Bed]) -> None:
    for bed in beds:
        _, result, codes = labelled(bed, proposed, 2)
        asked = {code: proposals(bed.fit.vectors, codes, result, 3, code) for code in (4, 5, 6, 7)}
        right = [(bed.truth[rows] == code).mean() for code, rows in asked.items()]
        assert np.mean(right) > 0.5  # of all images, the four together are a ninth


def test_the_same_question_has_the_same_answer(beds: list[Bed]) -> None:
    bed = beds[0]
    _, result, codes = labelled(bed, proposed, 2)
    many = np.tile(bed.fit.vectors, (2, 1))  # more than are looked at without a result
    for vectors, labels, known in (
        (bed.fit.vectors, codes, result),
        (many, np.full(len(many), -1), None),
    ):
        first, second = (proposals(vectors, labels, known, ROUND).tolist() for _ in range(2))
        assert first == second


@pytest.mark.parametrize("left", [0, 1, 5])
def test_there_may_be_few_images_without_a_label(beds: list[Bed], left: int) -> None:
    codes = beds[0].truth.copy()
    codes[:left] = -1
    result = beds[0].fit.solve(codes, len(SIZES))
    assert sorted(proposals(beds[0].fit.vectors, codes, result, ROUND)) == list(range(left))


def test_images_that_are_all_the_same_are_proposed_once_each() -> None:
    rows = proposals(np.ones((20, 4), np.float32), np.full(20, -1), None, ROUND)
    assert len(np.unique(rows)) == ROUND
