"""The explorer's server: edits, figures, lists, what is kept and what is saved."""

from __future__ import annotations

import json
import os
import shlex
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event, RLock
from typing import Any

import numpy as np
import pandas as pd
import pytest

from classifiers import Scheme, default_schemes, fit_ridge_on_store, load_schemes
from classifiers.factorization import factorize
from embank.explorer.kept_labels import TABLE
from store import FeatureStore, StoreWriter
from store.labels import HISTORY_COLUMN, LabelTable, make_label_table
from tests.explorers import CLASSES, Explorer, bank, explorer
from tests.small_banks import small_bank, told_apart


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return bank(tmp_path / "pets.embank")


@pytest.fixture
def at(store: FeatureStore) -> Explorer:
    return explorer(store)


def names(state: dict[str, Any]) -> list[str]:
    return [one["name"] for one in state["classes"]]


def counts(state: dict[str, Any]) -> dict[str, int]:
    return {one["name"]: one["count"] for one in state["classes"]}


def same_figures(figures: dict[str, Any], store: FeatureStore, labels: list[str | None]) -> None:
    """As a ridge on the store gives them by leaving each image out, which is what `compare`'s head is fitted by."""
    images = store.images()
    rows = [i for i, label in enumerate(labels) if label is not None]
    classes = sorted({labels[i] for i in rows})  # type: ignore[type-var]
    codes = np.array([classes.index(labels[i]) for i in rows])
    (space,) = store.spaces
    (found,) = fit_ridge_on_store(store, space, images.iloc[rows].reset_index(drop=True), [codes])
    assert figures["accuracy"] == pytest.approx(found.accuracy, abs=1e-12)
    assert figures["n"] == len(rows)


def test_the_first_state_has_the_ridges_own_figures(at: Explorer, store: FeatureStore) -> None:
    state = at.get("state")
    assert names(state) == list(CLASSES)
    assert state["scheme"] == "folder" and state["store"] == "pets.embank" and state["images"] == 100
    assert state["undo"] is None and state["redo"] is None and state["previous"] is None
    figures = state["figures"]
    same_figures(figures, store, list(store.images()["folder"]))
    assert figures["low"] < figures["accuracy"] < figures["high"]
    matrix = np.array(figures["confusion"]["counts"])
    assert matrix.sum() == 100
    assert np.diag(matrix).sum() / 100 == figures["accuracy"]
    assert [one["recall"] for one in state["classes"]] == (np.diag(matrix) / matrix.sum(axis=1)).tolist()


def test_merging_undoing_and_doing_again(at: Explorer, store: FeatureStore) -> None:
    before = at.get("state")
    merged = at.post("merge", classes=[0, 2], name="cat")
    assert names(merged) == ["bee", "cat", "dog"] and counts(merged)["cat"] == 50
    assert merged["scheme"] == "folder (edited)" and merged["revision"] == before["revision"] + 1
    assert merged["undo"] == "merging into cat" and merged["milliseconds"] > 0
    folders = store.images()["folder"]
    same_figures(merged["figures"], store, ["cat" if one == "ant" else one for one in folders])
    told = merged["previous"]
    assert told["accuracy"] == before["figures"]["accuracy"]
    assert told["difference"] == pytest.approx(merged["figures"]["accuracy"] - told["accuracy"])
    assert told["low"] <= told["difference"] <= told["high"]
    undone = at.post("undo")
    assert undone["figures"] == before["figures"] and undone["classes"] == before["classes"]
    assert undone["redo"] == "merging into cat" and undone["undo"] is None
    assert undone["previous"]["difference"] == pytest.approx(-told["difference"])
    again = at.post("redo")
    assert again["figures"] == merged["figures"] and again["redo"] is None
    assert "nothing to do again" in at.refused("redo")
    at.post("undo")
    at.post("rename", **{"class": 0, "name": "emmet"})
    assert at.get("state")["redo"] is None


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("merge", {"classes": [0, 1], "name": "bee"}),
        ("relabel", {"ids": list(range(0, 100, 7)), "label": "dog"}),
    ],
)
def test_renaming_changes_no_difference_and_no_flip(at: Explorer, path: str, body: dict[str, Any]) -> None:
    edited = at.post(path, **body)
    flips = at.get("images", kind="flips", ids=1)["ids"]
    assert edited["previous"]["difference"] != 0 and flips
    for act, asked in (("rename", {"class": 0, "name": "emmet"}), ("rename", {"class": 0, "name": "ame"})):
        renamed = at.post(act, **asked)
        assert renamed["revision"] > edited["revision"] and asked["name"] in names(renamed)
        assert renamed["previous"] == edited["previous"] and renamed["flips"] == len(flips)
        assert at.get("images", kind="flips", ids=1)["ids"] == flips
    step = at.session.shown.step
    at.session._put(step, replace(step))  # as when final figures take the place of quick ones
    assert at.get("images", kind="flips", ids=1)["ids"] == flips
    undone = at.post("undo")  # the renaming, so that the difference still is that of the edit before it
    assert names(undone)[0] == "emmet" and undone["previous"] == edited["previous"]
    at.post("undo")
    assert at.post("undo")["previous"]["difference"] == -edited["previous"]["difference"]


def test_renaming_first_of_all_compares_with_nothing(at: Explorer) -> None:
    state = at.post("rename", **{"class": 0, "name": "emmet"})
    assert state["previous"] is None and state["flips"] is None


def test_merged_classes_do_not_flip_their_own_images(at: Explorer) -> None:
    was = at.session.shown.step
    state = at.post("merge", classes=[0, 1], name="ant")
    now = at.session.shown.step
    assert was.result is not None and now.result is not None
    old = np.array(
        ["ant" if name == "bee" else name for name in np.array(was.live.classes)[was.result.predicted]]
    )
    new = np.array(now.live.classes)[now.result.predicted]
    flipped = np.flatnonzero(old != new).tolist()
    assert state["flips"] == len(flipped)
    assert at.get("images", kind="flips", ids=1)["ids"] == flipped


def test_relabelling_shows_flips_and_is_kept_with_its_history(at: Explorer, store: FeatureStore) -> None:
    state = at.post("relabel", ids=[0, 1], label="wasp")
    assert counts(state) == {"ant": 23, "bee": 25, "cat": 25, "dog": 25, "wasp": 2}
    assert state["saveAs"] == "folder-edited"
    at.post("relabel", ids=[1], label=None)
    at.session.kept.flush()
    table = FeatureStore(store.path).label_tables[TABLE]
    assert table.on == "hash" and set(table.columns) == {"folder-edited", HISTORY_COLUMN}
    images = FeatureStore(store.path).images()
    kept = images["labels.folder-edited"]
    assert kept[0] == "wasp" and pd.isna(kept[1])
    assert list(kept[2:]) == list(images["folder"][2:])
    first, second = json.loads(images[f"labels.{HISTORY_COLUMN}"][1])
    assert (first["from"], first["to"], second["from"], second["to"]) == (
        images["folder"][1],
        "wasp",
        "wasp",
        None,
    )
    assert first["when"] <= second["when"] and first["who"] and first["scheme"] == "folder-edited"
    assert pd.isna(images[f"labels.{HISTORY_COLUMN}"][5])
    schemes, notes = default_schemes(images)
    assert set(schemes) == {"folder", "folder-edited"} and notes == []


def test_undoing_a_relabelling_is_kept_too(at: Explorer, store: FeatureStore) -> None:
    at.post("relabel", ids=[3], label="wasp")
    at.post("undo")
    at.session.kept.flush()
    images = FeatureStore(store.path).images()
    assert images["labels.folder-edited"][3] == images["folder"][3]
    assert len(json.loads(images[f"labels.{HISTORY_COLUMN}"][3])) == 2


def test_a_later_run_goes_on_from_what_was_kept_and_never_over_it(at: Explorer, store: FeatureStore) -> None:
    at.post("relabel", ids=[0], label="wasp")
    at.session.kept.flush()
    other = explorer(store)
    assert other.get("state")["saveAs"] == "folder-edited-2"
    other.post("relabel", ids=[1], label="hornet")
    other.session.kept.flush()
    going_on = explorer(store, "folder-edited")
    assert going_on.get("state")["saveAs"] == "folder-edited"
    assert counts(going_on.get("state"))["wasp"] == 1
    going_on.post("relabel", ids=[2], label="wasp")
    going_on.session.kept.flush()
    images = FeatureStore(store.path).images()
    assert (images["labels.folder-edited"] == "wasp").sum() == 2
    assert (images["labels.folder-edited-2"] == "hornet").sum() == 1
    assert "already" in explorer(store).refused("save", name="folder-edited")


def saved_classes(at: Explorer, store: FeatureStore, name: str) -> list[str | None]:
    told = at.post("save", name=name)
    assert "compare" in told["command"]
    rule = load_schemes(told["path"])[name]
    labels = rule.labels(FeatureStore(store.path).images())
    assert set(labels.classes) == set(names(at.get("state")))
    return list(labels.names())


def test_what_is_saved_gives_compare_the_same_classes(at: Explorer, store: FeatureStore) -> None:
    at.post("merge", classes=[0, 1], name="insect")
    at.post("drop", **{"class": 2})
    assert saved_classes(at, store, "small") == list(at.session.shown.step.live.names)
    assert "labels." not in (store.path.parent / "small.yaml").read_text()  # groups say it all
    at.post("split", **{"class": 1, "clusters": 3})
    at.post("relabel", ids=[0, 50], label="cat 2")
    assert saved_classes(at, store, "odd") == list(at.session.shown.step.live.names)
    assert "labels.odd" in (store.path.parent / "odd.yaml").read_text()
    assert counts(at.get("state")) == counts(
        explorer(store, "odd", store.path.parent / "odd.yaml").get("state")
    )


@pytest.mark.parametrize("seed", range(6))
def test_after_any_edits_what_is_saved_is_what_is_shown(store: FeatureStore, seed: int) -> None:
    at, rng = explorer(store), np.random.default_rng(seed)
    for number in range(8):
        classes = len(names(at.get("state")))
        code, other = (int(one) for one in rng.permutation(classes)[:2]) if classes > 1 else (0, 0)
        body = [
            ("merge", {"classes": [code, other], "name": f"m{number}"}),
            ("rename", {"class": code, "name": f"r{number}"}),
            ("split", {"class": code, "clusters": 2}),
            ("drop", {"class": code}),
            ("relabel", {"ids": rng.integers(0, 100, 5).tolist(), "label": ["ant", None, "new"][number % 3]}),
            ("undo", {}),
        ]
        if seed % 2:  # such as need no labels of their own
            body = [body[0], body[1], body[5]]
        path, asked = body[int(rng.integers(len(body)))]
        at.posted(path, asked)
    if len(names(at.get("state"))) > 1:
        assert saved_classes(at, store, "mine") == list(at.session.shown.step.live.names)


def test_names_that_are_taken_or_odd_are_not_saved_to(at: Explorer, store: FeatureStore) -> None:
    (store.path.parent / "notes.yaml").write_text("mine: not yours\n")
    assert "was not saved by this page" in at.refused("save", name="notes")
    assert (store.path.parent / "notes.yaml").read_text() == "mine: not yours\n"
    for name in ("../up", "a/b", "", ".hidden", "x" * 200, "a\nb"):
        assert "cannot be the name" in at.refused("save", name=name)
    assert "something else" in at.refused("save", name="split")
    assert saved_classes(at, store, "mine") == saved_classes(
        at, store, "mine"
    )  # its own file may be replaced


def test_a_class_is_split_by_a_column_by_clusters_and_by_an_expression(store: FeatureStore) -> None:
    images = store.images()
    table = pd.DataFrame({"key": images["key"], "coat": ["long", "short", None, "long"] * 25})
    StoreWriter(store.path).attach_labels(make_label_table("labels", table)[0])
    at = explorer(FeatureStore(store.path), "folder")
    assert "labels.coat" in at.get("state")["columns"]
    state = at.post("split", **{"class": 0, "column": "labels.coat"})
    kept = images["folder"] == "ant"
    expected = table["coat"][kept].value_counts(dropna=False)
    assert sum(counts(state)[name] for name in counts(state) if name not in CLASSES[1:]) == 25
    for value in ("long", "short"):
        assert counts(state).get(value, 0) == expected.get(value, 0)
    at.post("undo")
    state = at.post("split", **{"class": 3, "where": "width >= 104"})
    assert (
        counts(state)["dog, width >= 104"] == ((images["folder"] == "dog") & (images["width"] >= 104)).sum()
    )
    at.post("undo")
    state = at.post("split", **{"class": 1, "clusters": 3})
    parts = [counts(state)[f"bee {number}"] for number in (1, 2, 3)]
    assert sum(parts) == 25 and parts == sorted(parts, reverse=True) and min(parts) > 0
    assert "2 to 12 clusters" in at.refused("split", **{"class": 0, "clusters": 1})
    assert "no column 'labels.cote'" in at.refused("split", **{"class": 0, "column": "labels.cote"})
    assert "cannot read the expression" in at.refused("split", **{"class": 0, "where": "width =="}).lower()


def test_dropped_classes_come_back(at: Explorer) -> None:
    state = at.post("drop", **{"class": 1})
    assert state["dropped"] == [{"name": "bee", "count": 25}] and state["figures"]["n"] == 75
    assert at.get("image", id=26)["label"] is None
    assert counts(at.post("restore", name="bee")) == dict.fromkeys(CLASSES, 25)


def test_lists_come_in_pages_and_as_numbers(at: Explorer, store: FeatureStore) -> None:
    first = at.get("images", kind="class", code=2, offset=0, limit=10)
    assert first["total"] == 25 and len(first["images"]) == 10
    rest = at.get("images", kind="class", code=2, offset=10, limit=100)
    found = [one["id"] for one in first["images"] + rest["images"]]
    assert found == at.get("images", kind="class", code=2, ids=1)["ids"]
    images = store.images()
    assert found == np.flatnonzero(images["folder"] == "cat").tolist()
    assert all(one["key"] == images["key"][one["id"]] and one["label"] == "cat" for one in first["images"])


def test_cells_mistakes_and_errors_fit_the_matrix(at: Explorer) -> None:
    matrix = at.get("state")["figures"]["confusion"]["counts"]
    for truth in range(4):
        for guess in range(4):
            listed = at.get("images", kind="cell", truth=truth, guess=guess)
            assert listed["total"] == matrix[truth][guess]
            assert {(one["label"], one["predicted"]) for one in listed["images"]} <= {
                (CLASSES[truth], CLASSES[guess])
            }
    wrong = at.get("images", kind="mistakes")
    assert wrong["total"] == 100 - sum(matrix[i][i] for i in range(4)) > 0
    sure = [one["confidence"] for one in wrong["images"]]
    assert sure == sorted(sure, reverse=True)
    for one in at.get("images", kind="errors")["images"]:
        assert one["note"].startswith("likely ") and one["note"] != f"likely {one['label']}"


def test_a_wrong_label_is_among_the_likely_errors(tmp_path: Path) -> None:
    at = explorer(bank(tmp_path / "clear.embank", noise=0.1))
    assert at.get("images", kind="errors")["total"] == 0
    at.post("relabel", ids=[0], label="bee")
    (found,) = at.get("images", kind="errors")["images"]
    assert (found["id"], found["note"]) == (0, "likely ant")


def test_twins_stand_beside_each_other(tmp_path: Path) -> None:
    vectors, codes = told_apart(4, 25, 24)
    vectors[70] = vectors[11] * 1.0001
    store = small_bank(
        tmp_path / "t.embank", [f"{CLASSES[c]}/{i:03}.jpg" for i, c in enumerate(codes)], [vectors]
    )
    keys = list(store.images()["key"])
    found = explorer(store).get("images", kind="duplicates")
    twins = {f"{CLASSES[codes[i]]}/{i:03}.jpg" for i in (11, 70)}
    assert {one["key"] for one in found["images"][:2]} == twins
    assert "which is" in found["images"][0]["note"] and keys


def test_filters_know_labels_and_predictions(at: Explorer) -> None:
    assert at.get("images", kind="where", where="folder == 'ant'")["total"] == 25
    wrong = at.get("images", kind="where", where="label != predicted")
    assert wrong["total"] == at.get("images", kind="mistakes")["total"]
    unsure = at.get("images", kind="where", where="confidence < 0.5 and width >= 103")
    assert all(one["confidence"] < 0.5 for one in unsure["images"])
    answer = at.raw("GET", "/api/images?kind=where&where=colour%20%3D%3D%201")
    assert answer.status == 400 and "colour" in answer.json["error"]


def test_images_like_one_begin_with_it(at: Explorer) -> None:
    found = at.get("images", kind="similar", id=7)["images"]
    assert found[0]["id"] == 7 and len({one["id"] for one in found}) == 100
    alike = [float(one["note"].split()[0]) for one in found]
    assert alike == sorted(alike, reverse=True)


def test_codes_and_map_are_of_all_images_in_order(at: Explorer) -> None:
    step = at.session.shown.step
    assert at.get("codes", by="label")["codes"] == step.live.codes.tolist()
    assert at.get("codes", by="predicted")["codes"] == step.result.predicted.tolist()  # type: ignore[union-attr]
    places = at.get("map")
    assert places["ids"] == list(range(100)) and "t-sne" in places["note"].lower()
    assert all(0 <= one <= 1 for one in places["x"] + places["y"])


def test_a_map_of_more_images_than_t_sne_takes_has_them_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("classifiers.report.vector_map.MOST", 60)
    at = explorer(bank(tmp_path / "more.embank", noise=0.1))
    places = at.get("map")
    assert len(places["x"]) == 100 and "60 images" in places["note"]
    xy = np.stack([places["x"], places["y"]], axis=1)
    codes = at.session.shown.step.live.codes
    away = ((xy[:, None] - xy[None]) ** 2).sum(axis=2) + 9 * np.eye(100)
    assert (codes[away.argmin(axis=1)] == codes).mean() > 0.9  # classes far apart stay together


def test_the_learning_curve_after_a_merge_needs_no_new_factorization(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = explorer(bank(tmp_path / "pets.embank", each=50))
    made: list[int] = []

    def counting(X: Any, *rest: Any) -> Any:
        made.append(len(X))
        return factorize(X, *rest)

    monkeypatch.setattr("classifiers.factor_cache.factorize", counting)
    first = at.get("slow")
    assert len(made) > 5 and len(first["curve"]) > 3
    made.clear()
    at.post("merge", classes=[0, 2], name="cat")
    merged = at.get("slow")
    assert all(rows < 8 for rows in made)  # two a class of three classes, which there were no curves of
    assert [step["labels"] for step in merged["curve"]][-3:] == [step["labels"] for step in first["curve"]][
        -3:
    ]
    assert merged["curve"] != first["curve"]
    at.post("drop", **{"class": 1})
    made.clear()
    at.get("slow")
    assert max(made) > 50


def test_slow_figures_are_of_a_revision(at: Explorer) -> None:
    found = at.get("slow", revision=0)
    assert found["revision"] == 0 and 0 <= found["nuisance"] <= 1 and found["labels_needed"].endswith(".")
    sizes = [one["labels"] for one in found["curve"]]
    assert sizes == sorted(sizes) and found["goal"] > at.get("state")["figures"]["accuracy"]
    at.post("merge", classes=[0, 1], name="ant")
    assert at.get("slow", revision=1)["revision"] == 1


def test_a_shortcut_is_warned_of(tmp_path: Path) -> None:
    vectors, codes = told_apart(2, 60, 24)
    vectors += np.random.default_rng(1).normal(scale=8, size=vectors.shape).astype(np.float32)
    keys = [f"{CLASSES[c]}/{i:03}.jpg" for i, c in enumerate(codes)]
    store = small_bank(tmp_path / "s.embank", keys, [vectors], widths=[200 + 100 * int(c) for c in codes])
    at = explorer(store)
    found = at.get("slow", revision=0)
    assert found["nuisance"] == 1.0
    assert any("shortcut" in one and "Width" in one for one in found["warnings"])


def test_a_store_without_labels_is_labelled_from_nothing(tmp_path: Path) -> None:
    store = bank(tmp_path / "loose.embank", folders=False, noise=0.1)
    at = explorer(store)
    state = at.get("state")
    assert state["classes"] == [] and state["figures"] is None and "label" in state["why"]
    for kind in ("mistakes", "errors", "flips"):
        assert at.get("images", kind=kind)["total"] == 0
    assert at.get("slow", revision=0)["curve"] == []
    keys = list(store.images()["key"])
    asked = at.get("proposals")["images"]
    assert (
        len({keys[one["id"]].split("-")[0] for one in asked[:6]}) == 4
    )  # unlike one another: a class each, soon
    for one in asked[:8]:
        state = at.post("relabel", ids=[one["id"]], label=keys[one["id"]].split("-")[0])
    assert state["figures"]["n"] == 8 and state["saveAs"] == "my-labels"
    later = at.get("proposals")["images"]
    assert not {one["id"] for one in later} & {one["id"] for one in asked[:8]}
    (wanted,) = {keys[at.get("proposals", **{"class": "cat"})["images"][0]["id"]].split("-")[0]}
    assert wanted == "cat"
    curve = at.get("growth", revision=0)["curve"]
    assert [one["labels"] for one in curve] == sorted({one["labels"] for one in curve}) and curve[-1][
        "labels"
    ] == 8
    at.session.kept.flush()
    assert FeatureStore(store.path).images()["labels.my-labels"].notna().sum() == 8


def test_proposals_learn_faster_than_chance(tmp_path: Path) -> None:
    store = bank(tmp_path / "loose.embank", each=60, folders=False, noise=2.0)
    truth = [key.split("-")[0] for key in store.images()["key"]]

    def reached(choose: bool) -> float:
        at, rng = explorer(store), np.random.default_rng(0)
        for _ in range(4):
            free = np.flatnonzero(at.session.shown.step.live.codes < 0)
            ids = (
                [one["id"] for one in at.get("proposals")["images"]]
                if choose
                else rng.choice(free, 12, False).tolist()
            )
            for name in set(truth):
                own = [i for i in ids if truth[i] == name]
                if own:
                    at.post("relabel", ids=own, label=name)
        at.session.kept.flush()
        step = at.session.shown.step
        assert step.result is not None
        free = np.flatnonzero(step.live.codes < 0)
        return float(np.mean([step.live.classes[step.result.predicted[i]] == truth[i] for i in free]))

    assert reached(choose=True) > 0.8 * reached(
        choose=False
    )  # no worse than chance; the benchmark says how much better


def test_figures_need_two_classes(at: Explorer) -> None:
    state = at.post("merge", classes=[0, 1, 2, 3], name="animal")
    assert state["figures"] is None and "one class" in state["why"] and state["previous"] is None
    assert at.get("image", id=0)["predicted"] is None
    assert at.post("undo")["figures"] is not None


def test_a_class_of_one_image_has_figures(at: Explorer, store: FeatureStore) -> None:
    state = at.post("relabel", ids=[9], label="only one")
    labels = list(store.images()["folder"])
    labels[9] = "only one"
    same_figures(state["figures"], store, labels)


def test_two_thousand_classes_are_told_by_pairs(tmp_path: Path) -> None:
    at = explorer(bank(tmp_path / "many.embank", each=2, classes=2000, noise=1.0))
    state = at.get("state")
    confusion = state["figures"]["confusion"]
    assert len(state["classes"]) == 2000 and "counts" not in confusion and 0 < len(confusion["pairs"]) <= 20
    pair = confusion["pairs"][0]
    assert (
        at.get("images", kind="cell", truth=pair["truth"], guess=pair["predicted"])["total"] == pair["count"]
    )
    assert len(names(at.post("merge", classes=[0, 1], name="both"))) == 1999


def test_the_same_bytes_are_one_picture(tmp_path: Path, store: FeatureStore) -> None:
    (listing,) = store.sources.values()
    table = listing.table.copy()
    first = table["key"] == "ant/00000.jpg"
    twin = table["key"] == "dog/00003.jpg"
    table.loc[twin, "hash"] = table.loc[first, "hash"].iloc[0]
    StoreWriter(store.path).replace_listing(
        "photos", "/photos", table.drop(columns="listed", errors="ignore")
    )
    again = FeatureStore(store.path)
    at = explorer(again)
    state = at.get("state")
    assert state["images"] == 99 and counts(state) == {"ant": 25, "bee": 25, "cat": 25, "dog": 24}
    told = at.get("slow", revision=0)["warnings"]
    assert any("1 other name of the same bytes" in one for one in told)
    assert any("different labels" in one for one in told)
    at.post("save", name="mine")
    labels = load_schemes(tmp_path / "mine.yaml")["mine"].labels(FeatureStore(store.path).images())
    by_key = dict(zip(FeatureStore(store.path).images()["key"], labels.names(), strict=True))
    assert by_key["dog/00003.jpg"] == by_key["ant/00000.jpg"] == "ant"


def test_images_without_vectors_are_left_out_and_told(tmp_path: Path, store: FeatureStore) -> None:
    (listing,) = store.sources.values()
    table = listing.table.drop(columns="listed", errors="ignore")
    more = table.iloc[[0]].assign(key="ant/new.jpg", hash="0" * 32)
    StoreWriter(store.path).replace_listing("photos", "/photos", pd.concat([table, more], ignore_index=True))
    at = explorer(FeatureStore(store.path))
    assert at.get("state")["images"] == 100
    assert any("1 image left out" in one for one in at.get("slow", revision=0)["warnings"])


def test_several_labels_an_image_are_refused_in_a_sentence(tmp_path: Path, store: FeatureStore) -> None:
    images = store.images()
    table = pd.DataFrame({"key": images["key"], "tags": ["a;b", "b"] * 50})
    StoreWriter(store.path).attach_labels(make_label_table("labels", table)[0])
    file = tmp_path / "s.yaml"
    file.write_text("tags: {from: labels.tags, multilabel: true}\nplain: {from: folder}\n")
    at = explorer(FeatureStore(store.path), "plain", file)
    before = at.get("state")
    assert "several labels" in at.refused("start", **{"from": "tags"})
    assert at.get("state") == before


def test_starting_anew_can_be_undone(at: Explorer) -> None:
    at.post("merge", classes=[0, 1], name="ant")
    state = at.post("start", **{"from": "nothing"})
    assert state["classes"] == [] and state["undo"].startswith("starting from")
    assert names(at.post("undo")) == ["ant", "cat", "dog"]
    assert {one["id"] for one in state["starts"]} == {"folder", "nothing"}


def test_only_some_images_are_explored_and_saved(store: FeatureStore) -> None:
    at = explorer(store, where="width >= 103")
    state = at.get("state")
    assert state["images"] == (store.images()["width"] >= 103).sum()
    at.post("merge", classes=[0, 1], name="insect")
    told = at.post("save", name="wide")
    labels = load_schemes(told["path"])["wide"].labels(FeatureStore(store.path).images())
    assert (labels.codes >= 0).sum() == state["images"]


def test_long_work_forgets_results_but_not_steps(at: Explorer) -> None:
    first = at.get("state")
    for number in range(30):
        at.post("rename", **{"class": 0, "name": f"name {number}"})
    for _ in range(30):
        state = at.post("undo")
    assert state["classes"] == first["classes"] and state["figures"] == first["figures"]


def test_labels_that_cannot_be_written_are_told_and_tried_again(
    at: Explorer, store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("store.StoreWriter.attach_labels", full)
        at.post("relabel", ids=[0], label="wasp")
        at.session.kept._pool.submit(lambda: None).result()
        assert any("could not be saved" in one for one in at.get("slow", revision=1)["warnings"])
    at.session.kept.flush()
    images = FeatureStore(store.path).images()
    assert images["labels.folder-edited"][0] == "wasp"
    assert len(json.loads(images[f"labels.{HISTORY_COLUMN}"][0])) == 1


def test_schemes_of_a_file_come_first(tmp_path: Path, store: FeatureStore) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("size:\n  from: width\n  bins: [0, 103, 200]\nbad:\n  from: nowhere\n")
    at = explorer(store, schemes=file)
    assert at.get("state")["scheme"] == "size"
    assert "nowhere" in at.refused("start", **{"from": "bad"})
    assert Scheme("size", "width", bins=[0, 103, 200]).labels(store.images()).classes == tuple(
        names(at.get("state"))
    )


def test_a_table_of_the_same_name_from_elsewhere_is_left_alone(tmp_path: Path) -> None:
    store = bank(tmp_path / "pets.embank")
    keys = store.images()["key"]
    own = pd.DataFrame({"key": keys, "colour": ["red", "green"] * (len(keys) // 2)})
    StoreWriter(store.path).attach_labels(LabelTable(TABLE, "key", None, own))
    at = explorer(store)
    at.post("relabel", ids=[0], label="wasp")
    at.session.kept.close()
    images = FeatureStore(store.path).images()
    assert images["labels.folder-edited"][0] == "wasp" and images["labels.colour"][0] == "red"
    assert explorer(store).session.kept.columns() == ["folder-edited"]


def test_labels_that_cannot_be_kept_are_told_whatever_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = explorer(bank(tmp_path / "pets.embank"))
    with monkeypatch.context() as patch:
        patch.setattr("store.StoreWriter.attach_labels", lambda *_: dict[str, int]()["nothing"])
        at.post("relabel", ids=[0], label="wasp")
        with pytest.raises(KeyError):
            at.session.kept.flush()
        assert any("could not be saved" in warning for warning in at.get("slow")["warnings"])
    at.session.kept.close()
    assert FeatureStore(at.session.collection.store.path).images()["labels.folder-edited"][0] == "wasp"


def test_undoing_a_start_goes_on_under_the_same_name(at: Explorer, store: FeatureStore) -> None:
    at.post("relabel", ids=[0], label="wasp")
    at.post("start", **{"from": "nothing"})
    assert at.get("state")["saveAs"] == "my-labels"
    at.post("undo")
    assert at.post("undo")["saveAs"] == "folder-edited"
    at.session.kept.flush()
    images = FeatureStore(store.path).images()
    assert images["labels.folder-edited"][0] == images["folder"][0]
    assert "labels.folder-edited-2" not in images


def test_an_edit_of_an_older_state_is_refused(at: Explorer) -> None:
    at.post("merge", classes=[0, 1], name="ant", revision=0)
    assert "another window" in at.refused("drop", **{"class": 1, "revision": 0})
    assert names(at.post("drop", **{"class": 1, "revision": 1})) == ["ant", "dog"]


def test_a_scheme_of_one_class_is_not_saved(at: Explorer) -> None:
    at.post("merge", classes=[0, 1, 2, 3], name="animal")
    assert "two classes" in at.refused("save", name="one")


class Watched:
    """A lock that says when a second thread comes to it."""

    def __init__(self) -> None:
        self._lock, self.second = RLock(), Event()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self.second.set()
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


@pytest.mark.parametrize(
    "second", [("merge", {"classes": [1, 2], "name": "dog"}), ("save", {"name": "mine"})]
)
def test_of_two_edits_of_the_same_state_at_once_one_is_refused(
    at: Explorer, store: FeatureStore, monkeypatch: pytest.MonkeyPatch, second: tuple[str, dict[str, Any]]
) -> None:
    lock, begun, at_once = Watched(), Event(), at.session.fit.at_once

    def waits(*asked: Any) -> Any:
        begun.set()
        assert lock.second.wait(60)
        return at_once(*asked)

    monkeypatch.setattr(at.session, "_lock", lock)
    monkeypatch.setattr(at.session.fit, "at_once", waits)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(at.posted, "drop", {"class": 0, "revision": 0})
        assert begun.wait(60)
        other = threads.submit(at.posted, second[0], {**second[1], "revision": 0})
    assert first.result().status == 200
    assert other.result().status == 409 and "another window" in other.result().json["error"]
    assert names(at.get("state")) == ["bee", "cat", "dog"] and not (store.path.parent / "mine.yaml").exists()


def test_the_file_that_was_saved_is_named_in_full(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    at = explorer(FeatureStore(Path(os.path.relpath(store.path))), folder=Path())
    told = at.post("save", name="mine")
    assert told["path"] == str(tmp_path / "here" / "mine.yaml") and Path(told["path"]).is_file()
    command = shlex.split(told["command"])
    assert command == ["embank", "compare", "../pets.embank", "--schemes", "mine.yaml"]
