"""Kept heads on a store's images: named subsets, and which of two heads is better."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from classifiers import ExpressionError, HeadError, Scheme, evaluate_head, evaluate_heads, train_head
from classifiers.paired import difference_interval, mcnemar
from classifiers.saved_heads import SavedHead
from store import FeatureStore
from tests.small_banks import small_bank, told_apart

if TYPE_CHECKING:
    from tests.conftest import Embank

BREEDS = ["Sphynx", "Maine_Coon", "O'Hare", "été"]
EACH = 60
BREED = Scheme("breed", "folder")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """Four breeds, of which two are hard to tell apart."""
    vectors, codes = told_apart(len(BREEDS), EACH, 8)
    vectors = vectors + 3 * np.random.default_rng(1).normal(size=vectors.shape).astype(np.float32)
    keys = [f"{BREEDS[code]}/{number}.jpg" for number, code in enumerate(codes)]
    widths = [200 + 5 * number for number in range(len(keys))]
    return small_bank(tmp_path_factory.mktemp("pets") / "pets.embank", keys, [vectors], widths)


@pytest.fixture(scope="module")
def heads(store: FeatureStore) -> dict[str, SavedHead]:
    """Two heads that learned of the same images, and one of others."""
    made = {"good": ("ridge", 0), "bad": ("knn(n_neighbors=1)", 0), "other": ("ridge", 1)}
    return {
        name: train_head(store, BREED, head, seed=seed, test_size=0.5)[0]
        for name, (head, seed) in made.items()
    }


@pytest.mark.parametrize(
    ("where", "subset", "holds"),
    [
        ("breed in ['Sphynx', \"Maine_Coon\"]", None, lambda key, width: key[0] in "SM"),
        ("unseen: breed not in ['Sphynx', 'été']", "unseen", lambda key, _: key[0] in "MO"),
        ('breed == "O\'Hare"', None, lambda key, _: key[0] == "O"),
        ("breed == 'été' or folder == 'Sphynx'", None, lambda key, _: key[0] in "éS"),
        ("large: width > 800", "large", lambda _, width: width > 800),
        ("m: 400 < width <= 800 and not breed == 'été'", "m", lambda key, w: 400 < w <= 800 and key[0] in "MOS"),
        ("'Coon' in key", None, lambda key, _: "Coon" in key),
    ],
)  # fmt: skip
def test_named_subsets(
    store: FeatureStore, heads: dict[str, SavedHead], where: str, subset: str, holds: object
) -> None:
    assert callable(holds)
    images = store.images().set_index("hash")
    rows = evaluate_head(store, heads["good"], where=[where])["rows"]
    assert rows[1]["subset"] == (subset or where)
    trained = set(heads["good"].train_hashes.tolist())
    tested = [one for one in images.index if int(one[:16], 16) not in trained]
    assert rows[0]["n"] == len(tested)
    kept = images.loc[tested]
    assert (
        rows[1]["n"]
        == sum(holds(key, width) for key, width in zip(kept["key"], kept["width"], strict=True))
        > 0
    )


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        (["bred == 'Sphynx'"], "no column 'bred'.*Did you mean 'breed'"),
        (["breed == 'Siamese'"], "holds for none of"),
        (["breed = 'Sphynx'"], "cannot read the expression"),
        (["breed in ['Sphynx'"], "cannot read the expression"),
        (["breed"], "neither true nor false"),
        (["few: width > 800", "few: width > 900"], "two subsets 'few'"),
        (["__import__('os').getcwd() == ''"], "is not allowed"),
    ],
)  # fmt: skip
def test_subsets_that_cannot_be(
    store: FeatureStore, heads: dict[str, SavedHead], where: list[str], sentence: str
) -> None:
    with pytest.raises(ExpressionError, match=sentence):
        evaluate_head(store, heads["good"], where=where)


def test_two_heads_on_the_same_images(store: FeatureStore, heads: dict[str, SavedHead]) -> None:
    two = {name: heads[name] for name in ("good", "bad")}
    found = evaluate_heads(store, two, where=["wide: width > 800"])
    assert [report["name"] for report in found["heads"]] == ["good", "bad"]
    for name, report in zip(two, found["heads"], strict=True):
        assert report == {"name": name} | evaluate_head(store, two[name], where=["wide: width > 800"])
    overall, wide = found["pairs"]
    assert [(one["subset"], one["head"], one["other_head"]) for one in found["pairs"]] == [
        ("overall", "good", "bad"),
        ("wide", "good", "bad"),
    ]
    first, second = (report["rows"] for report in found["heads"])
    assert overall["difference"] == pytest.approx(first[0]["accuracy"] - second[0]["accuracy"])
    assert wide["difference"] == pytest.approx(first[1]["accuracy"] - second[1]["accuracy"])
    assert overall["n"] == first[0]["n"] and wide["n"] == first[1]["n"]
    assert overall["p_value"] == mcnemar(overall["only_first"], overall["only_second"])
    images = store.images()
    trained = np.isin([int(one[:16], 16) for one in images["hash"]], two["good"].train_hashes)
    tested = images[~trained]
    right = [
        one.predict(store.vectors(one.space, tested)) == tested["folder"].to_numpy() for one in two.values()
    ]
    assert difference_interval(*right) == (overall["low"], overall["high"])
    assert overall["only_first"] == (right[0] & ~right[1]).sum()


def test_heads_that_learned_of_different_images(store: FeatureStore, heads: dict[str, SavedHead]) -> None:
    """They are compared on those that neither has seen."""
    found = evaluate_heads(store, {name: heads[name] for name in ("good", "other")})
    hashes = [int(one[:16], 16) for one in store.images()["hash"]]
    seen = np.isin(hashes, np.union1d(heads["good"].train_hashes, heads["other"].train_hashes))
    assert found["pairs"][0]["n"] == (~seen).sum() < min(report["rows"][0]["n"] for report in found["heads"])


def test_heads_that_cannot_be_compared(store: FeatureStore, heads: dict[str, SavedHead]) -> None:
    hairless = Scheme("hairless", "folder", groups={"yes": ["Sphynx"], "no": "rest"})
    saved, _ = train_head(store, hairless, "ridge")
    found = evaluate_heads(store, {"a": heads["good"], "b": saved})
    assert len(found["heads"]) == 2
    assert not found["pairs"]
    assert found["notes"] == [
        "a and b are not compared: their schemes, 'breed' and 'hairless', differ. Say which labels are true, with a "
        "scheme for both."
    ]
    images = store.images()
    half = np.arange(len(images)) % 8 < 4
    seen = [
        SavedHead.of(
            heads["good"].estimator,
            classes=heads["good"].classes,
            scheme=BREED,
            space=store.space("Fake"),
            train_hashes=images["hash"][some],
        )
        for some in (half, ~half)
    ]
    with pytest.raises(HeadError, match="no image that neither"):
        evaluate_heads(store, {"a": seen[0], "b": seen[1]})


def test_on_the_command_line(
    store: FeatureStore, heads: dict[str, SavedHead], embank: Embank, tmp_path: Path
) -> None:
    files = [tmp_path / f"{name}.head" for name in heads]
    for file, head in zip(files, heads.values(), strict=True):
        head.save(file)
    found = embank("evaluate", store.path, *files, "--where", "wide: width > 800", "--json").json
    assert list(found) == ["heads", "pairs"]
    assert [report["name"] for report in found["heads"]] == [str(file) for file in files]
    assert len(found["pairs"]) == 6
    shown = embank("evaluate", store.path, *files[:2], "--where", "wide: width > 800")
    assert shown.code == 0
    assert "McNemar p" in shown.out and "knn" in shown.out and "wide" in shown.out
    alone = embank("evaluate", store.path, files[0], "--json").json
    assert list(alone) == ["scheme", "head", "space", "classes", "rows"]
    wrong = embank("evaluate", store.path, files[0], "--where", "widht > 3")
    assert wrong.code == 2
    assert "Did you mean 'width'" in wrong.err and "Traceback" not in wrong.err
