"""Head files: what comes back is what was saved, and a changed file is refused without running anything."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from classifiers import (
    DenseHead,
    HeadError,
    HeadFileError,
    LogisticHead,
    RidgeHead,
    Scheme,
    SpaceMismatchError,
    load_head,
    make_head,
    save_head,
)
from classifiers.head_files import sealed
from store import Vectors
from store.commit import checksum
from store.recipes import space_id

RECIPE = {"backbone": "Tiny", "image_size": 32, "pooling": "avg"}
OTHER = {**RECIPE, "image_size": 64}
CODES = np.arange(60) % 3
X = Vectors.of(
    (
        4 * np.eye(3)[CODES] @ np.random.default_rng(0).normal(size=(3, 6))
        + np.random.default_rng(1).normal(size=(60, 6))
    ).astype(np.float32),
    space_id(RECIPE),
    RECIPE,
)
NAMES = np.array(["a", "b", "c"])[CODES]
HASHES = [f"{i:032x}" for i in range(1 << 68, (1 << 68) + 60)]


class Foreign(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that is on nobody's list."""

    def fit(self, X: object, y: Any) -> Foreign:
        self.classes_ = np.unique(y)
        return self


def saved_ridge(path: Path) -> RidgeHead:
    head = RidgeHead(alphas=[0.1, 1.0]).fit(X, NAMES)
    save_head(path, head, scheme=Scheme("s", "folder"), figures={"accuracy": 0.9}, train_hashes=HASHES)
    return head


def rewrite(path: Path, change: dict[str, bytes], *, fix: bool = True) -> None:
    """Replaces or adds members; with `fix`, the digests and the seal fit them again."""
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()} | change
    if fix:
        description = json.loads(members["head.json"])
        description["digests"] = {
            name: checksum(data) for name, data in members.items() if name != "head.json"
        }
        members["head.json"] = json.dumps(sealed(description)).encode()
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)


def edited(path: Path, **changes: object) -> None:
    with zipfile.ZipFile(path) as file:
        description = json.loads(file.read("head.json"))
    rewrite(path, {"head.json": json.dumps(description | changes).encode()})


def npy(array: object) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array), allow_pickle=True)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "head",
    [
        RidgeHead(),
        RidgeHead(alpha=2.0, class_weight={"a": 1.0, "b": 2.0, "c": 1.0}),
        LogisticHead(C=0.3),
        LogisticHead(C=(0.1, 1.0)),
    ],
)
@pytest.mark.parametrize("classes", [2, 3])
def test_linear_heads_come_back(tmp_path: Path, head: Any, classes: int) -> None:
    path, rows = tmp_path / "a.head", classes > CODES
    head.fit(X[rows], NAMES[rows])
    head.save(path)
    back = load_head(path)
    assert type(back.estimator) is type(head)
    assert str(back.estimator.get_params()) == str(head.get_params())
    assert (back.space, back.recipe, back.dim) == (X.space, RECIPE, 6)
    np.testing.assert_array_equal(back.predict_proba(X), head.predict_proba(X))
    assert back.predict(X).tolist() == head.predict(X).tolist()
    learned = {name for name in vars(head) if name.endswith("_")}
    assert {name for name in vars(back.estimator) if name.endswith("_")} == learned
    for name in learned:
        np.testing.assert_array_equal(getattr(back.estimator, name), getattr(head, name), name)
    again = tmp_path / "b.head"
    back.save(again)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", ["ridge", "logistic", "chosen", "several", "dense"])
def test_files_of_the_first_format_are_read(name: str) -> None:
    """Written by an embank of version 1 of the format; they are never written again."""
    folder = Path(__file__).parent / "data" / "v1" / "heads"
    expected = json.loads((folder / "expected.json").read_text())
    back = load_head(folder / f"{name}.head")
    vectors = np.array(expected["vectors"], np.float32)
    np.testing.assert_allclose(back.predict_proba(vectors), expected["probabilities"][name], atol=1e-5)
    assert back.predict(vectors).tolist() == expected["labels"][name]
    assert back.scheme is not None and back.train_hashes.tolist() == [16]


def test_what_else_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.head"
    saved_ridge(path)
    back = load_head(path)
    assert back.scheme == Scheme("s", "folder")
    assert back.figures == {"accuracy": 0.9}
    assert back.train_hashes.dtype == np.uint64
    assert set(back.versions) == {"embank", "scikit-learn", "keras", "numpy"}
    assert back.train_hashes.tolist() == sorted({int(h[:16], 16) for h in HASHES})


def test_codes_get_their_names_in_the_schemes_order(tmp_path: Path) -> None:
    path = tmp_path / "a.head"
    save_head(path, RidgeHead().fit(X, CODES), classes=["z", "y", "x"])
    back = load_head(path)
    assert back.predict(X).tolist() == [["z", "y", "x"][c] for c in back.predict_codes(X)]
    save_head(path, RidgeHead().fit(X, NAMES), classes=["c", "d", "b", "a"])
    back = load_head(path)
    assert back.predict(X).tolist() == RidgeHead().fit(X, NAMES).predict(X).tolist()
    p = back.predict_proba(X)
    assert (p[:, 1] == 0).all()
    assert [back.classes[i] for i in p.argmax(axis=1)] == back.predict(X).tolist()
    with pytest.raises(HeadError, match="neither among the classes"):
        save_head(path, RidgeHead().fit(X, NAMES), classes=["c", "b"])


@pytest.mark.parametrize(
    "name", ["svm", "knn", "lda", "forest(n_estimators=5)", "boosting(max_iter=3)", "mlp"]
)
def test_scikit_learn_heads_come_back(tmp_path: Path, name: str) -> None:
    class Space:
        id, recipe = space_id(RECIPE), RECIPE

    path, head = tmp_path / "a.head", make_head(name).fit(np.asarray(X), NAMES)
    save_head(path, head, space=Space())  # type: ignore[arg-type]
    back = load_head(path)
    assert back.predict(X).tolist() == head.predict(X).tolist()
    np.testing.assert_allclose(back.predict_proba(X).sum(axis=1), 1, rtol=1e-5)
    with pytest.raises(SpaceMismatchError, match="image_size 32 → 64"):
        back.predict(Vectors.of(np.array(X), space_id(OTHER), OTHER))


def test_calibrated_heads_can_be_saved_and_foreign_ones_not(tmp_path: Path) -> None:
    class Space:
        id, recipe = space_id(RECIPE), RECIPE

    good = CalibratedClassifierCV(LinearSVC(), cv=2).fit(np.asarray(X), NAMES)
    save_head(tmp_path / "a.head", good, space=Space())  # type: ignore[arg-type]
    assert load_head(tmp_path / "a.head").predict(X).tolist() == good.predict(X).tolist()
    with pytest.raises(HeadFileError, match="Foreign, which is not on the list"):
        save_head(tmp_path / "b.head", Foreign().fit(X, NAMES), space=Space())  # type: ignore[arg-type]
    assert not (tmp_path / "b.head").exists()


@pytest.mark.parametrize(
    "estimator",
    [
        GridSearchCV(RidgeHead(), {"alpha": [0.1, 1.0]}, cv=2),
        GridSearchCV(make_pipeline(StandardScaler(), SVC()), {"svc__C": [0.1, 1.0]}, cv=2),
        make_pipeline(StandardScaler(), LogisticHead(C=2.0)),
        VotingClassifier([("ridge", RidgeHead()), ("svm", SVC())]),
        GaussianProcessClassifier(RBF() + WhiteKernel(), optimizer=None),
    ],
    ids=["search", "search over a pipeline", "own head in a pipeline", "vote", "Gaussian process"],
)
def test_any_classifier_comes_back(tmp_path: Path, estimator: Any) -> None:
    """Of a search what it found; own heads also within others."""

    class Space:
        id, recipe = space_id(RECIPE), RECIPE

    fitted = estimator.fit(np.asarray(X), NAMES)
    save_head(tmp_path / "a.head", fitted, space=Space())  # type: ignore[arg-type]
    back = load_head(tmp_path / "a.head")
    assert not hasattr(back.estimator, "best_estimator_")
    assert back.predict(X).tolist() == fitted.predict(X).tolist()


@pytest.mark.parametrize("head", [RidgeHead(), LogisticHead(), DenseHead(hidden=(4,), epochs=2)])
@pytest.mark.parametrize("labels", [1, 2, 3])
@pytest.mark.keras
def test_heads_of_several_labels_come_back(tmp_path: Path, head: Any, labels: int) -> None:
    y = np.stack([CODES == 0, CODES != 1, CODES == 2], axis=1)[:, :labels]
    save_head(tmp_path / "a.head", head.fit(X, y), classes="pqr"[:labels])
    back = load_head(tmp_path / "a.head")
    assert back.multilabel
    np.testing.assert_array_equal(back.predict_codes(X), head.predict(X))
    np.testing.assert_array_equal(back.predict_proba(X), head.predict_proba(X))


@pytest.mark.keras
def test_dense_heads_come_back_without_keras(tmp_path: Path) -> None:
    path, head = tmp_path / "a.head", DenseHead(hidden=(5,), output="logits", epochs=3).fit(X, NAMES)
    head.save(path)
    back = load_head(path)
    np.testing.assert_array_equal(back.predict_proba(X), head.predict_proba(X))
    assert back.estimator.history_ == head.history_
    np.testing.assert_allclose(back.estimator.to_keras()(np.asarray(X)), head.to_keras()(np.asarray(X)))
    code = (
        "import sys, numpy as np; from classifiers import load_head;"
        f"load_head({str(path)!r}).predict(np.zeros((2, 6), 'f4'));"
        "assert not {'tensorflow', 'keras', 'skops'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_spaces_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "a.head"
    saved_ridge(path)
    back = load_head(path)
    back.check(RECIPE)
    back.check(np.asarray(X))
    with pytest.raises(SpaceMismatchError, match="image_size 32 → 64"):
        back.check(OTHER)
    with pytest.raises(SpaceMismatchError, match="image_size 32 → 64"):
        back.predict(Vectors.of(np.array(X), space_id(OTHER), OTHER))
    with pytest.raises(HeadError, match="features"):
        back.predict(np.zeros((2, 5)))
    with pytest.raises(HeadError, match="which space"):
        save_head(path, RidgeHead().fit(np.asarray(X), NAMES))
    with pytest.raises(HeadError, match="not fitted"):
        save_head(path, RidgeHead())


def test_files_that_are_no_heads(tmp_path: Path) -> None:
    with pytest.raises(HeadFileError, match="there is no head file"):
        load_head(tmp_path / "none")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(HeadFileError, match="no head file, or was cut off"):
        load_head(tmp_path / "text")
    with zipfile.ZipFile(tmp_path / "zip", "w") as file:
        file.writestr("../../evil", "x")
    with pytest.raises(HeadFileError, match=r"'../../evil', which is no part"):
        load_head(tmp_path / "zip")
    with zipfile.ZipFile(tmp_path / "bomb", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("head.json", b" " * (1 << 24))
    with pytest.raises(HeadFileError, match="not stored plainly"):
        load_head(tmp_path / "bomb")
    with pytest.raises(HeadFileError):
        load_head(tmp_path)


def test_a_newer_and_a_foreign_format(tmp_path: Path) -> None:
    path = tmp_path / "a.head"
    saved_ridge(path)
    edited(path, version=2)
    with pytest.raises(HeadFileError, match="is of format 2, this embank reads formats up to 1"):
        load_head(path)
    edited(path, version=1, format="other")
    with pytest.raises(HeadFileError, match="no head of embank"):
        load_head(path)


@pytest.mark.parametrize(
    "change",
    [
        {"coef.npy": npy(np.zeros((3, 6, 1)))},
        {"coef.npy": npy(np.zeros((2, 6)))},
        {"coef.npy": npy(np.full((3, 6), np.nan))},
        {"coef.npy": npy(np.array([[print]], object))},
        {"coef.npy": npy(np.zeros((3, 6))).replace(b"(3, 6)", b"(3, 9)")},
        {"coef.npy": b""},
        {"intercept.npy": npy(np.zeros(2))},
        {"train_hashes.npy": npy(np.zeros(2))},
        {"kernel_0.npy": npy(np.zeros(2)), "extra.py": b"print(1)"},
    ],
)
def test_members_that_do_not_fit(tmp_path: Path, change: dict[str, bytes]) -> None:
    path = tmp_path / "a.head"
    saved_ridge(path)
    rewrite(path, change)
    with pytest.raises(HeadFileError, match=r"a\.head"):
        load_head(path)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "pickle"},
        {"kind": "sklearn"},
        {"kind": "dense"},
        {"parameters": [["alphaa", 1]]},
        {"parameters": 3},
        {"state": {}},
        {"state": {"alpha_": "x", "alphas_": [], "errors_": [], "temperature_": 1}},
        {"estimator_classes": ["a", "b"]},
        {"estimator_classes": ["b", "a", "c"]},
        {"classes": ["a", "b"]},
        {"classes": "abc"},
        {"recipe": OTHER},
        {"space": "Tiny"},
        {"scheme": {"name": 1}},
        {"figures": []},
        {"versions": 3},
    ],
)
def test_descriptions_that_do_not_fit(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "a.head"
    saved_ridge(path)
    edited(path, **change)
    with pytest.raises(HeadFileError, match=r"a\.head"):
        load_head(path)


@pytest.mark.parametrize(
    "change", [{"classes": ["b", "a", "c"]}, {"figures": {"accuracy": 1.0}}, {"digests": {}}, {"seal": None}]
)
def test_a_changed_description_is_noticed(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "a.head"
    saved_ridge(path)
    with zipfile.ZipFile(path) as file:
        description = json.loads(file.read("head.json"))
    rewrite(path, {"head.json": json.dumps(description | change).encode()}, fix=False)
    with pytest.raises(HeadFileError, match=r"head\.json was changed"):
        load_head(path)


def test_a_changed_member_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.head"
    saved_ridge(path)
    rewrite(path, {"coef.npy": npy(np.zeros((3, 6), np.float32))}, fix=False)
    with pytest.raises(HeadFileError, match=r"'coef\.npy' was changed"):
        load_head(path)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(at=st.integers(0, 10_000), bit=st.integers(0, 7), cut=st.booleans())
def test_bit_flips_and_cuts_never_give_another_head(tmp_path: Path, at: int, bit: int, cut: bool) -> None:
    path = tmp_path / "a.head"
    head = saved_ridge(path)
    data = bytearray(path.read_bytes())
    at %= len(data)
    if cut:
        del data[at:]
    else:
        data[at] ^= 1 << bit
    path.write_bytes(data)
    try:
        back = load_head(path)
    except HeadFileError:
        return
    np.testing.assert_array_equal(back.estimator.coef_, head.coef_)
    assert back.classes == ("a", "b", "c")
