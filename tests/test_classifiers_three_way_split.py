"""Splits into three sides: no bytes on two of them, and validation images from a column where it names them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from classifiers.three_way_split import ThreeWaySplit, three_way_split
from store.commit import checksum


def images(count: int = 200, **columns: object) -> pd.DataFrame:
    hashes = [checksum(str(number).encode()) for number in range(count)]
    return pd.DataFrame({"key": [f"{n}.jpg" for n in range(count)], "hash": hashes, **columns})


def sides(parts: ThreeWaySplit) -> list[set[int]]:
    return [set(side.tolist()) for side in (parts.train, parts.validation, parts.test)]


def split(table: pd.DataFrame, codes: np.ndarray, **options: object) -> ThreeWaySplit:
    return three_way_split(table, codes, ("a", "b"), **options)  # type: ignore[arg-type]


def test_a_random_split_has_three_sides_of_about_the_asked_shares() -> None:
    codes = np.arange(200) % 2
    parts = split(images(), codes, test_size=0.25, validation_size=0.2)
    train, validation, test = sides(parts)
    assert train | validation | test == set(range(200))
    assert not train & validation
    assert not (train | validation) & test
    assert len(test) == pytest.approx(50, abs=20)
    assert len(validation) == pytest.approx(30, abs=15)
    for side in (parts.train, parts.validation, parts.test):
        assert set(codes[side]) == {0, 1}
    assert any("held out to validate on" in note for note in parts.notes)


def test_copies_and_groups_stay_on_one_side() -> None:
    table, codes = images(), np.arange(200) % 2
    table["animal"] = [f"animal {number // 4}" for number in range(200)]
    parts = split(table, codes, group="animal")
    groups = [set(table["animal"].iloc[list(side)]) for side in sides(parts)]
    assert not groups[0] & groups[1]
    assert not groups[0] & groups[2]
    assert not groups[1] & groups[2]
    assert parts.groups is not None


def test_validation_images_come_from_the_column_that_has_test_images_too() -> None:
    names = (["train"] * 6 + ["val"] * 2 + ["test"] * 2) * 20
    table, codes = images(split=names), (np.arange(200) // 10) % 2
    parts = split(table, codes)
    assert set(table["split"].iloc[parts.train]) == {"train"}
    assert set(table["split"].iloc[parts.validation]) == {"val"}
    assert set(table["split"].iloc[parts.test]) == {"test"}
    other = split(table.rename(columns={"split": "labels.side"}), codes, split="side")
    assert sides(other) == sides(parts)


def test_images_to_validate_on_are_no_copies_of_others_and_labelled() -> None:
    names = (["train"] * 6 + ["val"] * 2 + ["test"] * 2) * 20
    table, codes = images(split=names), (np.arange(200) // 10) % 2
    hashes = table["hash"].tolist()
    hashes[6], hashes[17] = hashes[0], hashes[16]  # of a training image, and of another one to validate on
    table["hash"] = hashes
    codes[26] = -1
    validation = split(table, codes).validation.tolist()
    assert not {6, 17, 26} & set(validation)
    assert {7, 16, 27} < set(validation)


def test_a_column_without_test_images_tests_on_val_and_validates_on_training_images() -> None:
    names = (["train"] * 8 + ["val"] * 2) * 20
    table, codes = images(split=names), (np.arange(200) // 10) % 2
    parts = split(table, codes)
    assert set(table["split"].iloc[parts.test]) == {"val"}
    assert set(table["split"].iloc[parts.validation]) == {"train"}
