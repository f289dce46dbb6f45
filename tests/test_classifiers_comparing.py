"""Comparing, training and evaluating on a store (a small fake of one)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import cross_val_predict

from classifiers import (
    ComparisonInterrupted,
    ExpressionError,
    HeadError,
    RidgeHead,
    Scheme,
    SchemeError,
    SpaceMismatchError,
    SplitError,
    compare,
    evaluate_head,
    load_head,
    run_comparison,
    train_head,
)
from classifiers.factorization import Factorization, factorize
from store import UnknownImageError, UnknownSpaceError, Vectors
from store.columns import hashes_from_hex
from store.recipes import space_id

RECIPES = [{"backbone": "Small", "image_size": 32}, {"backbone": "Large", "image_size": 64}]


class FakeStore:
    """Stands in for a FeatureStore: images with vectors that depend on their labels."""

    path = Path("nowhere.embank")

    def __init__(
        self, images: pd.DataFrame, vectors: dict[str, np.ndarray[Any, Any]], recipes: list[Any]
    ) -> None:
        self._images, self._vectors = images, vectors
        self.reads: list[str] = []
        self.spaces: dict[str, Any] = {}
        for recipe in recipes:
            id_ = space_id(recipe)
            self.spaces[id_] = SimpleNamespace(
                id=id_, recipe=recipe, dim=8, rows=len(images), views=1, find=self._finder(id_)
            )

    @property
    def pooled_spaces(self) -> dict[str, Any]:
        return self.spaces

    def _finder(self, id_: str) -> Any:
        known = {
            one.tobytes()
            for one in hashes_from_hex(self._images["hash"][~np.isnan(self._vectors[id_][:, 0])])
        }
        return lambda hashes: np.array([0 if one.tobytes() in known else -1 for one in hashes])

    def images(self) -> pd.DataFrame:
        return self._images.copy()

    def space(self, name: str) -> Any:
        for id_, space in self.spaces.items():
            if name in (id_, space.recipe["backbone"]):
                return space
        raise UnknownSpaceError(f"no space {name!r}")

    def vectors(self, name: str, images: pd.DataFrame, view: int = 0) -> Vectors:
        space = self.space(name)
        assert view == 0
        self.reads.append(space.id)
        place = {h: i for i, h in enumerate(self._images["hash"])}
        array = self._vectors[space.id][[place[h] for h in images["hash"]]].astype(np.float32)
        if np.isnan(array).any():
            raise UnknownImageError("an image has no vector")
        return Vectors.of(array, space.id, space.recipe)


def make_store(n: int = 240, seed: int = 0, recipes: Any = RECIPES) -> Any:
    generator = np.random.default_rng(seed)
    shape, colour = generator.integers(0, 3, n), generator.integers(0, 2, n)
    images = pd.DataFrame(
        {
            "key": [f"{i}.jpg" for i in range(n)],
            "hash": [hashlib.blake2b(f"{seed}/{i}".encode(), digest_size=16).hexdigest() for i in range(n)],
            "folder": np.array(["disc", "ring", "star"])[shape],
            "split": np.where(np.arange(n) % 4 == 0, "val", "train"),
            "width": generator.integers(100, 400, n),
            "labels.colour": np.array(["red", "blue"])[colour],
            "labels.one": "x",
        }
    )
    base = np.random.default_rng(0)
    centres, tints = base.normal(size=(3, 8)), base.normal(size=(2, 8))
    clean = 2 * centres[shape] + tints[colour]
    vectors = {space_id(r): clean + (i + 1) * generator.normal(size=(n, 8)) for i, r in enumerate(recipes)}
    return FakeStore(images, vectors, recipes)


SCHEMES = {
    "shape": Scheme("shape", "folder"),
    "colour": Scheme("colour", "colour"),
    "round": Scheme("round", "folder", groups={"round": ["disc", "ring"], "other": "rest"}),
}


def test_the_board() -> None:
    store = make_store()
    seen: list[tuple[int, int, str]] = []
    board = compare(store, SCHEMES, ["ridge", "logistic"], progress=lambda *step: seen.append(step))
    assert board[["scheme", "head", "space"]].drop_duplicates().shape == (12, 3)
    assert board["scheme"].tolist() == [name for name in SCHEMES for _ in range(4)]
    assert board[["classes", "n_train", "n_test"]].to_numpy()[0].tolist() == [3, 180, 60]
    assert board["accuracy"].gt(board["majority"]).all()
    assert board["accuracy"].between(board["accuracy_low"], board["accuracy_high"]).all()
    assert store.reads == list(store.spaces)
    assert seen[-1] == (12, 12, "done")
    assert board.attrs["errors"] == []


def test_figures_are_those_of_a_head_fitted_by_hand() -> None:
    store = make_store()
    result = run_comparison(store, SCHEMES, ["ridge"], ["Small"]).results[0]
    X, y = store.vectors("Small", store.images()), store.images()["folder"].to_numpy()
    head = RidgeHead().fit(X[result.train], y[result.train])
    assert [result.labels.classes[c] for c in result.predicted] == head.predict(X[result.test]).tolist()
    assert result.figures.accuracy == head.score(X[result.test], y[result.test])
    assert result.probabilities is not None
    np.testing.assert_allclose(result.probabilities, head.predict_proba(X[result.test]), atol=1e-5)


def test_ridge_factorizes_once_for_all_schemes(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def counting(X: Any, *rest: Any) -> Factorization:
        calls.append(len(X))
        return factorize(X, *rest)

    monkeypatch.setattr("classifiers.factor_cache.factorize", counting)
    run_comparison(make_store(), SCHEMES, ["ridge"], quick=True)
    assert calls == [180, 180]
    calls.clear()
    run_comparison(make_store(), SCHEMES, ["ridge"], ["Small"], cv=4, quick=True)
    assert len(calls) == 4


def test_cross_validation_predicts_every_row_once() -> None:
    store = make_store()
    comparison = run_comparison(store, [SCHEMES["shape"]], ["ridge(alpha=10.0)", "svm"], ["Small"], cv=5)
    for result in comparison.results:
        assert result.test.tolist() == list(range(240))
        assert (result.predicted >= 0).all()
    X, y = np.asarray(store.vectors("Small", store.images())), store.images()["folder"].to_numpy()
    theirs = (cross_val_predict(RidgeClassifierCV(alphas=[10.0]), X, y, cv=5) == y).mean()
    assert comparison.results[0].figures.accuracy == pytest.approx(theirs, abs=0.04)
    assert comparison.results[1].probabilities is None


def test_broken_schemes_and_heads_stop_nothing() -> None:
    class Broken(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        def fit(self, X: object, y: object) -> None:
            raise ValueError("it broke")

    schemes = {**SCHEMES, "one": Scheme("one", "one"), "none": Scheme("none", "colur")}
    comparison = run_comparison(make_store(), schemes, ["ridge", Broken()], ["Small"])
    assert len(comparison.results) == 3
    sentences = dict(comparison.errors)
    assert "leaves one class" in sentences["one"]
    assert "'colur'" in sentences["none"]
    assert "it broke" in sentences["shape"]
    with pytest.raises(SchemeError, match="leaves one class"):
        compare(make_store(), [schemes["one"]])
    with pytest.raises(HeadError, match="rigde"):
        compare(make_store(), SCHEMES, ["rigde"])
    with pytest.raises(UnknownSpaceError):
        compare(make_store(), SCHEMES, spaces=["Huge"])


def test_a_head_that_gives_nan_is_an_error_of_its_own() -> None:
    class Lost(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        def fit(self, X: object, y: Any) -> Lost:
            self.classes_ = np.unique(y)
            return self

        def predict_proba(self, X: Any) -> Any:
            return np.full((len(X), len(self.classes_)), np.nan)

    comparison = run_comparison(make_store(), [SCHEMES["shape"]], ["ridge", Lost()], ["Small"])
    assert [result.head for result in comparison.results] == ["ridge"]
    assert "no numbers (NaN or infinity) for 60 images of 60" in comparison.errors[0][1]


def test_heads_are_compared_in_pairs() -> None:
    comparison = run_comparison(make_store(), SCHEMES, ["ridge", "svm"])
    assert [(pair.scheme, pair.n) for pair in comparison.pairs] == [
        (name, 60) for name in SCHEMES for _ in range(3)
    ]
    board = comparison.board.set_index(["scheme", "head", "space"])["accuracy"]
    for pair in comparison.pairs:
        best, other = (
            board[(pair.scheme, *one)]
            for one in ((pair.head, pair.space), (pair.other_head, pair.other_space))
        )
        assert best == board[pair.scheme].max()
        assert pair.difference == pytest.approx(best - other)


def test_an_image_of_two_names_counts_once() -> None:
    store = make_store()
    once = run_comparison(store, [SCHEMES["shape"]], ["ridge"], ["Small"], cv=3)
    again = store._images[:50].assign(source="other")
    store._images = pd.concat([store._images, again], ignore_index=True)
    store._vectors = {name: np.concatenate([one, one[:50]]) for name, one in store._vectors.items()}
    twice = run_comparison(store, [SCHEMES["shape"]], ["ridge"], ["Small"], cv=3)
    columns = [name for name in once.board if name != "seconds"]
    pd.testing.assert_frame_equal(once.board[columns], twice.board[columns])
    assert any("other names of the same bytes left out" in note for note in twice.notes)
    saved, _ = train_head(make_store(seed=5), SCHEMES["shape"], "ridge", "Small")
    found = evaluate_head(store, saved)
    assert found["rows"][0]["n"] == 240
    assert any("50 other names of the same bytes" in note for note in found["notes"])


def test_groups_stay_together_and_widen_intervals() -> None:
    store = make_store()
    store._images["labels.scene"] = np.arange(240) // 12
    comparison = run_comparison(
        store, [SCHEMES["shape"]], ["ridge"], ["Small"], split="random", group="scene"
    )
    result = comparison.results[0]
    assert not set(result.train // 12) & set(result.test // 12)
    alone = run_comparison(store, [SCHEMES["shape"]], ["ridge"], ["Small"], split="random")
    assert "by scene" in result.split and "by" not in alone.results[0].split
    saved, _ = train_head(make_store(seed=5), SCHEMES["shape"], "ridge", "Small")
    plain, grouped = (evaluate_head(store, saved, group=group)["rows"][0] for group in (None, "scene"))
    assert plain["accuracy"] == grouped["accuracy"]
    assert plain["macro_f1_low"] != grouped["macro_f1_low"]
    with pytest.raises(SplitError, match="no column 'secne' to group by"):
        run_comparison(store, [SCHEMES["shape"]], ["ridge"], group="secne")


def tagged_store(seed: int = 0) -> Any:
    """A store whose label table has both what the pictures show and their colour, in one column."""
    store = make_store(seed=seed)
    tags = store._images["folder"] + "; " + store._images["labels.colour"]
    store._images["labels.tags"] = tags.where(np.arange(240) % 20 != 0)
    return store


TAGS = Scheme("tags", "tags", multilabel=True)


@pytest.mark.parametrize("head", ["ridge", "logistic", "knn", "forest"])
def test_several_labels_an_image(head: str) -> None:
    comparison = run_comparison(tagged_store(), [TAGS], [head], ["Small"], cv=4)
    assert not comparison.errors
    result = comparison.results[0]
    assert result.predicted.shape == (228, 5)
    assert result.probabilities is not None and result.confidence is not None
    assert ((result.probabilities > 0.5) == result.predicted).all()
    row = comparison.board.iloc[0]
    assert row["accuracy"] == result.right.mean() > 0.3
    assert row["micro_f1"] > 0.75
    assert row["average_precision"] > 0.8
    assert 0 < row["calibration_error"] < 0.2


def test_train_save_evaluate_with_several_labels(tmp_path: Path) -> None:
    store = tagged_store()
    saved, report = train_head(store, TAGS, "ridge", "Small")
    saved.save(tmp_path / "tags.head")
    back = load_head(tmp_path / "tags.head")
    assert back.multilabel and back.scheme == TAGS
    assert report["classes"] == ["blue", "disc", "red", "ring", "star"]
    found = evaluate_head(store, back, where=["red: tags == 'disc;red' or tags == 'ring;red'"])
    assert found["rows"][0] == report["rows"][1] | {"subset": "overall"}
    assert found["rows"][1]["subset"] == "red" and found["rows"][1]["n"] < found["rows"][0]["n"]
    vectors = store.vectors("Small", store.images().iloc[:6])
    names = back.predict(vectors)
    expected = [
        ";".join(name for name, share in zip(back.classes, row, strict=True) if share > 0.5)
        for row in back.predict_proba(vectors)
    ]
    assert names.tolist() == expected
    other = tagged_store(seed=5)
    other._images["labels.tags"] = other._images["labels.tags"].str.replace("star", "comet")
    found = evaluate_head(other, back)
    assert any("'comet'" in note for note in found["notes"])
    assert [one["n"] for one in found["rows"][0]["per_class"]][4] == 0
    with pytest.raises(HeadError, match="gives several labels an image"):
        evaluate_head(store, back, scheme=SCHEMES["shape"])


def test_default_schemes_and_images_without_vectors() -> None:
    store = make_store()
    large = list(store.spaces)[1]
    store._vectors[large][:40] = np.nan
    store.spaces[large].find = store._finder(large)
    comparison = run_comparison(store, None, ["ridge"])
    assert list(comparison.board["scheme"].unique()) == ["folder", "colour"]
    assert any("labels.one" in note for note in comparison.notes)
    assert any("40 images left out" in note for note in comparison.notes)
    assert comparison.board["n_test"].tolist() == [60, 50, 60, 50]


def test_interruption_keeps_what_is_done() -> None:
    def stop(done: int, total: int, what: str) -> None:
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(ComparisonInterrupted) as caught:
        run_comparison(make_store(), SCHEMES, ["ridge", "logistic"], progress=stop)
    assert isinstance(caught.value, KeyboardInterrupt)
    assert len(caught.value.partial.board) == 6


def test_what_does_not_converge_is_noted() -> None:
    comparison = run_comparison(make_store(), [SCHEMES["shape"]], ["logistic(max_iter=1)"], ["Small"])
    assert any("raise max_iter" in note for note in comparison.notes)


def test_train_save_evaluate(tmp_path: Path) -> None:
    store = make_store()
    saved, report = train_head(store, SCHEMES["round"], "logistic(C=0.5)", "Small")
    assert (report["scheme"], report["head"], report["space"]) == (
        "round",
        "logistic(C=0.5)",
        next(iter(store.spaces)),
    )
    assert report["classes"] == ["round", "other"]
    assert [(row["subset"], row["n"]) for row in report["rows"]] == [("train", 180), ("held-out", 60)]
    saved.save(tmp_path / "a.head")
    back = load_head(tmp_path / "a.head")
    assert back.scheme == SCHEMES["round"]
    found = evaluate_head(store, back, where=["width < 250", "round == 'other' and colour == 'red'"])
    assert [row["subset"] for row in found["rows"]] == [
        "overall",
        "width < 250",
        "round == 'other' and colour == 'red'",
    ]
    assert found["rows"][0] == report["rows"][1] | {"subset": "overall"}
    assert any("180 images left out" in note for note in found["notes"])
    row = evaluate_head(store, back, where=["narrow one : width < 250 and key != 'a:b'"])["rows"][1]
    assert row == found["rows"][1] | {"subset": "narrow one"}
    assert [one["class"] for one in row["per_class"]] == ["round", "other"]
    assert np.sum(row["confusion"]) == row["n"]
    elsewhere = evaluate_head(make_store(seed=7), back)
    assert elsewhere["rows"][0]["n"] == 240
    assert elsewhere["rows"][0]["accuracy"] > 0.7


def test_evaluations_that_cannot_be() -> None:
    store = make_store()
    saved, _ = train_head(store, SCHEMES["shape"], "ridge", "Small")
    with pytest.raises(ExpressionError, match="holds for none of 60 evaluated images"):
        evaluate_head(store, saved, where=["width > 9999"])
    with pytest.raises(HeadError, match="labels none of them"):
        evaluate_head(store, saved, scheme=SCHEMES["colour"])
    seen = make_store()
    seen._images = seen._images.iloc[[i for i in range(240) if i % 4]].reset_index(drop=True)
    with pytest.raises(HeadError, match="trained on all of them"):
        evaluate_head(seen, saved)
    with pytest.raises(SpaceMismatchError, match=r"nearest is Small.*image_size 32 → 48"):
        evaluate_head(make_store(recipes=[{"backbone": "Small", "image_size": 48}]), saved)
    with pytest.raises(HeadError, match="say which space"):
        train_head(store, SCHEMES["shape"])
