"""Nuisance, leakage, and audits as a comparison makes them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from classifiers import ComparisonInterrupted, Scheme, compare, run_comparison
from classifiers.audits import ground as grounds
from classifiers.audits.audit import Audit
from classifiers.audits.neighbours import Neighbours
from classifiers.audits.nuisance import NuisanceModel
from classifiers.audits.traits import traits
from tests.test_classifiers_comparing import SCHEMES, TAGS, make_store, tagged_store
from tests.test_classifiers_permutation import ground_of, halves


def jpeg(colour: tuple[int, int, int]) -> bytes:
    """A small picture of one colour."""
    out = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(out, "JPEG")
    return out.getvalue()


def listing(n: int) -> pd.DataFrame:
    """Images whose files say nothing."""
    generator = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "key": [f"a/{i}.jpg" for i in range(n)],
            "hash": [f"{i:032x}" for i in range(n)],
            "width": generator.integers(100, 400, n),
            "height": generator.integers(100, 400, n),
            "bytes": generator.integers(10_000, 90_000, n),
        }
    )


def audited(store: Any, scheme: Scheme = SCHEMES["shape"], **options: Any) -> Audit:
    """The audit of one scheme on the space of small vectors."""
    comparison = run_comparison(store, [scheme], ["ridge"], ["Small"], **options)
    assert not comparison.errors
    (audit,) = comparison.audits
    return audit


def test_traits_are_in_bins() -> None:
    images = listing(100).assign(height=200)
    images.loc[0, "width"] = 0  # unknown
    images.loc[1, "key"] = "b/c/d.PNG"
    found = traits(
        images, np.arange(90), lambda some: [*[jpeg((int(i), 0, 0)) for i in some.index][:-1], None]
    )
    assert found.names[:6] == (
        *("width", "file size", "aspect", "folder depth", "file type", "mean red"),  # others are alike
    )
    bins = dict(zip(found.names, found.bins.T, strict=True))
    assert found.counts[:2] == (17, 16)  # of the first also the unknown one
    assert bins["width"][0] == 16 and bins["folder depth"][1] == 1 and bins["file type"][1] == 1
    assert np.bincount(bins["file size"][:90]).tolist() == pytest.approx([90 / 16] * 16, abs=1)
    assert (np.diff(bins["mean red"][:89]) >= 0).all() and bins["mean red"][88] == 15
    assert bins["mean red"][89] == 16 and not found.bins[90:].any()


@pytest.mark.parametrize("column", ["bytes", "width"])
def test_a_shortcut_that_is_not_linear_is_found(tmp_path: Any, column: str) -> None:
    images = listing(400)
    middle = images[column].rank(pct=True).between(0.3, 0.7).to_numpy()
    ground = ground_of(np.zeros((400, 2), np.float32), halves(400), tmp_path)
    model = NuisanceModel(traits(images, np.arange(400), None), ground)
    found = model.nuisance(middle.astype(int), 2, 0.6, 0.95, 0.93)
    assert found.alone[0][0] == {"bytes": "file size"}.get(column, column)
    assert found.alone[0][1] > 0.9 and found.accuracy > 0.85 and found.rivals
    assert found.low < found.accuracy < found.high
    random = np.random.default_rng(1).integers(0, 2, 400)
    assert not model.nuisance(random, 2, 0.52, 0.95, 0.93).rivals
    assert not model.nuisance(random, 2, 0.52, 0.52, 0.45).rivals  # a head that learns nothing has no rival
    both = np.stack([middle, ~middle], axis=1).astype(np.int8)
    assert model.nuisance(both, 2, 0.6, 0.95, 0.93).accuracy == pytest.approx(found.accuracy, abs=0.02)


def test_the_board_warns_of_a_shortcut() -> None:
    store = make_store()
    store._images["bytes"] = store._images["folder"].map({"disc": 1000, "ring": 2000, "star": 3000})
    audit = audited(store)
    assert audit.nuisance is not None and audit.nuisance.accuracy == 1.0
    assert any(one.startswith("file size alone tells 'shape' with 100.0 %") for one in audit.warnings)
    assert not audited(make_store()).warnings


def test_mean_colours_come_from_pictures() -> None:
    red = {"red": jpeg((200, 10, 10)), "blue": jpeg((10, 10, 200))}
    found = audited(
        make_store(), SCHEMES["colour"], pictures=lambda images: [red[one] for one in images["labels.colour"]]
    )
    assert found.nuisance is not None and found.nuisance.alone[0] == ("mean red", 1.0)
    gone = audited(make_store(), SCHEMES["colour"], pictures=lambda images: [None] * len(images))
    assert gone.nuisance is not None and "mean red" not in gone.nuisance.features


@pytest.mark.parametrize("cv", [None, 4])
def test_near_duplicates_across_train_and_test(cv: int | None) -> None:
    store = make_store()
    assert audited(store, cv=cv).leakage.near.total == 0
    vectors = store._vectors[next(iter(store.spaces))]
    twins = (4, 5) if cv is None else (0, 1)  # validation and training
    if cv is not None:
        result = run_comparison(store, [SCHEMES["shape"]], ["ridge"], ["Small"], cv=cv, quick=True)
        assert len(result.results[0].test) == 240
    vectors[twins[1]] = vectors[twins[0]] * 1.01
    store._images.loc[twins[1], ["folder", "labels.colour"]] = store._images.loc[
        twins[0], ["folder", "labels.colour"]
    ].to_numpy()
    audit = audited(store, cv=cv)
    near = audit.leakage.near
    if cv is None:
        assert near.rows.tolist() == [[5, 4]] and audit.leakage.leaked.tolist() == [4]
        assert near.similarity == pytest.approx(1.0)
        assert any(
            "1 test image has a near-duplicate among those trained on" in one for one in audit.warnings
        )
    else:
        assert near.total in (0, 1)  # both may be in one fold
        assert audit.leakage.leaked.tolist() in ([], [0, 1])
    assert audit.leakage.accuracy_without is not None
    assert audit.leakage.same.total == 0


def test_same_bytes_with_different_labels() -> None:
    store = make_store()
    again = store._images[:50].assign(source="other")
    again.loc[again.index[:3], "folder"] = [
        "star" if one != "star" else "disc" for one in again["folder"][:3]
    ]
    store._images = pd.concat([store._images, again], ignore_index=True)
    store._vectors = {name: np.concatenate([one, one[:50]]) for name, one in store._vectors.items()}
    audit = audited(store)
    assert audit.leakage.conflicts.rows.tolist() == [[0, 240], [1, 241], [2, 242]]
    assert audit.leakage.near.total == audit.leakage.same.total == 0
    assert any(one.startswith("3 pairs of images of the same bytes") for one in audit.warnings)


def test_the_threshold_follows_the_space(tmp_path: Any) -> None:
    generator = np.random.default_rng(0)
    wide = generator.normal(size=(50, 8)).astype(np.float32)
    tight = (100 + generator.normal(size=(50, 8))).astype(np.float32)
    tight[7] = tight[3] + 0.01
    rows = np.arange(50)
    for X, least, most in ((wide, 0.9, 0.99), (tight, 0.999, 1.0)):
        found = Neighbours.of(rows, rows, ground_of(X, halves(50), tmp_path).bank)
        assert least <= found.threshold <= most
    pairs, similarity = found.near(rows)
    assert [3, 7] in pairs.tolist() and (np.diff(similarity) <= 0).all()
    some = np.array([3, 9, 11, 20])
    nearest = found.nearest_among(some)
    units = tight[some] / np.linalg.norm(tight[some], axis=1, keepdims=True)
    alike = units @ units.T - 2 * np.eye(4)
    np.testing.assert_array_equal(nearest, alike.argmax(axis=1))


def test_audits_of_a_comparison() -> None:
    comparison = run_comparison(make_store(), SCHEMES, ["ridge", "logistic"], cv=3)
    assert [(one.scheme, one.space.split("-")[0]) for one in comparison.audits] == [
        (scheme, space) for scheme in SCHEMES for space in ("Small", "Large")
    ]
    board = comparison.board
    assert board["p_holm"].lt(0.05).all() and board["ceiling"].ge(board["accuracy"]).all()
    assert board["leaks"].eq(0).all() and board["nuisance"].notna().all()
    rows = comparison.rows()
    assert [row["scheme"] for row in rows] == board["scheme"].tolist()
    plain = comparison.audits[0].to_dict()
    assert plain["images"] == 240 and plain["noise"]["ceiling"] == rows[0]["ceiling"]
    assert {pair.other_space for pair in comparison.pairs} == set(make_store().spaces)


def test_quick_leaves_the_audits_out() -> None:
    board = compare(make_store(), SCHEMES, ["ridge"], quick=True)
    assert board[["nuisance", "p_holm", "ceiling", "leaks"]].isna().all(axis=None)


def test_labels_of_nothing_are_told_so() -> None:
    store = make_store()
    store._images["labels.colour"] = np.random.default_rng(8).permutation(store._images["labels.colour"])
    audit = audited(store, SCHEMES["colour"], cv=3)
    assert audit.permutation is not None and audit.permutation.p_holm > 0.05
    assert any(one.startswith("shuffled labels are told nearly as well") for one in audit.warnings)


def test_several_labels_an_image() -> None:
    audit = audited(tagged_store(), TAGS, cv=4)
    assert audit.noise is None
    assert audit.permutation is not None and audit.permutation.p_holm < 0.01
    assert audit.nuisance is not None and audit.nuisance.accuracy < 0.5
    assert audit.columns()["ceiling"] is None


def test_interrupted_audits_keep_what_is_done() -> None:
    def stop(done: int, total: int, what: str) -> None:
        if what == "honest figures of colour":
            raise KeyboardInterrupt

    with pytest.raises(ComparisonInterrupted) as caught:
        run_comparison(make_store(), SCHEMES, ["ridge"], ["Small"], progress=stop)
    partial = caught.value.partial
    assert len(partial.results) == 3 and [one.scheme for one in partial.audits] == ["shape"]
    assert partial.board["ceiling"].isna().tolist() == [False, True, True]


def test_many_images_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grounds, "MOST_IMAGES", 100)
    monkeypatch.setattr("classifiers.audits.auditing.MOST_IMAGES", 100)
    rare = Scheme("rare", "folder", where="width < 150")
    comparison = run_comparison(make_store(), [SCHEMES["shape"], rare], ["ridge"], ["Small"])
    shape, few = comparison.audits
    assert shape.images == 100 and 20 < few.images < 60
    assert any("honest figures look at" in note for note in comparison.notes)
    assert shape.permutation is not None and shape.permutation.p_holm < 0.01


@pytest.mark.parametrize("split", ["random", "auto"])
def test_hardly_any_images(split: str) -> None:
    store = make_store()
    store._images["labels.few"] = None
    store._images.loc[[0, 1, 4, 5], "labels.few"] = ["a", "a", "b", "b"]
    audit = audited(store, Scheme("few", "few"), split=split)
    assert audit.images == 4 and audit.noise is not None and audit.permutation is not None


def test_as_many_classes_as_pairs_of_images() -> None:
    store = make_store()
    store._images["labels.pair"] = [f"p{i // 2}" for i in range(240)]
    audit = audited(store, Scheme("pair", "pair"), split="random")
    assert audit.permutation is not None and audit.noise is not None and audit.nuisance is not None
    assert audit.noise.ceiling < 0.5
