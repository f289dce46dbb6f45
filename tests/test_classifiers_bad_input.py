"""What no head can be trained on is one sentence, whatever the head; and what looks odd has a defined result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.exceptions import ConvergenceWarning

from classifiers import HeadError, Scheme, fit_many, load_head, make_head, train_head
from classifiers.presets import PRESETS
from store import FeatureStore
from tests.small_banks import small_bank, told_apart

if TYPE_CHECKING:
    from tests.conftest import Embank

QUICK = {
    "ridge": "ridge",
    "logistic": "logistic",
    "dense": "dense(epochs=12, learning_rate=0.02)",
    "svm": "svm",
    "knn": "knn(n_neighbors=3)",
    "lda": "lda",
    "forest": "forest(n_estimators=5)",
    "boosting": "boosting(max_iter=8)",
    "mlp": "mlp(hidden_layer_sizes=(16,), learning_rate_init=0.01, max_iter=2000, tol=0.001)",
}
OWN = ("ridge", "logistic", "dense")
SEVERAL = ("ridge", "logistic", "dense", "knn", "forest", "mlp")
CLASSES, EACH, DIM = 3, 20, 6
X, CODES = told_apart(CLASSES, EACH, DIM)
Y = np.array(["a", "b", "c"])[CODES]


def some_heads(*names: str) -> pytest.MarkDecorator:
    """A parameter `head`: these, or all."""
    marks = {"dense": [pytest.mark.keras]}
    return pytest.mark.parametrize(
        "head", [pytest.param(one, marks=marks.get(one, [])) for one in names or QUICK]
    )


def with_value(value: float) -> Any:
    changed = X.copy()
    changed[7, 2] = value
    return changed


REFUSED: dict[str, tuple[Any, Any, str]] = {
    "one class": (X, np.full(len(X), "a"), "all 60 labels are of one class, 'a'; two are needed"),
    "one row": (X[:1], Y[:1], "the one label is of one class"),
    "NaN": (with_value(np.nan), Y, "X has NaN or infinity values, the first in row 7 of 60"),
    "infinity": (with_value(np.inf), Y, "X has NaN or infinity values, the first in row 7 of 60"),
    "no rows": (X[:0], Y[:0], "X has no rows"),
    "no dimensions": (X[:, :0], Y, r"0 feature\(s\)"),
    "one vector": (X[0], Y, r"X has the shape \(6,\); vectors are \(n, d\)"),
    "a cube": (X[:, :, None], Y, r"X has the shape \(60, 6, 1\)"),
    "nothing": (None, Y, r"X has the shape \(\)"),
    "texts": (np.full((60, 6), "cat"), Y, "X is no table of numbers"),
    "complex": (X + 1j, Y, "Complex data not supported"),
    "sparse": (csr_matrix(X), Y, "X is a sparse matrix"),
    "ragged": ([[1.0, 2.0], [3.0]], ["a", "b"], "X is no table of numbers"),
    "fractions": (X, CODES + 0.5, "y has fractions such as 0.5"),
    "texts and numbers": (X, np.array([1, "a", "b"], object)[CODES], "y mixes texts with numbers"),
    "strange objects": (X, [{one} for one in Y], "Unknown label type: set"),
    "too large": (X * np.float32(1e30), Y, "too large for float32 to hold their squares"),
    "too small": (X * np.float32(1e-30), Y, "too small for float32 to hold their squares"),
}  # fmt: skip
ODD_ROWS: dict[str, tuple[Any, str]] = {
    "too few": (Y[:-1], r"there are 59 labels for the 60 rows|has the shape \(59,\); X has 60 rows"),
    "too many": (np.append(Y, "a"), r"there are 61 labels for the 60 rows|has the shape \(61,\); X has 60 rows"),
    "None": (None, "the target y is None|label vector 0 has the shape"),
    "all missing": (np.full(60, None), "the labels of 60 of 60 rows are missing|label vector 0 has no labels"),
}  # fmt: skip
TAKEN: dict[str, tuple[Any, Any]] = {
    "lists": (X.tolist(), Y.tolist()),
    "a table": (pd.DataFrame(X, columns=list("uvwxyz")), pd.Series(Y)),
    "texts as a category": (X, pd.Series(Y).astype("category")),
    "texts of pandas": (X, pd.Series(Y, dtype="string")),
    "booleans": (X, CODES == 1),
    "whole floats": (X, CODES.astype(float)),
    "negative numbers": (X, CODES - 1),
    "a boolean dimension": (np.concatenate([X, X[:, :1] > 0], axis=1), Y),
    "Fortran order": (np.asfortranarray(X), Y),
    "strides": (np.repeat(X, 2, axis=1)[:, ::2], Y),
    "float16": ((60 * X).astype(np.float16), Y),  # the sum of whose squares it cannot hold
    "float64": (X.astype(np.float64), Y),
    "integers": ((X * 100).astype(int), Y),
    "objects": (X.astype(object), Y),
    "a constant dimension": (np.concatenate([X, np.ones((len(X), 1), np.float32)], axis=1), Y),
}


def test_all_presets_are_here() -> None:
    assert set(QUICK) == set(PRESETS)


@some_heads()
@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_every_head(head: str, case: str) -> None:
    vectors, labels, sentence = REFUSED[case]
    with pytest.raises(HeadError, match=sentence):
        fit_many(vectors, [labels], QUICK[head])
    if head in OWN:
        with pytest.raises(HeadError, match=sentence):
            make_head(QUICK[head]).fit(vectors, labels)


@some_heads()
@pytest.mark.parametrize("case", ODD_ROWS)
def test_labels_that_do_not_fit_the_rows(head: str, case: str) -> None:
    labels, sentence = ODD_ROWS[case]
    with pytest.raises(HeadError, match=sentence):
        fit_many(X, [labels], QUICK[head])
    if head in OWN:
        with pytest.raises(HeadError, match=sentence):
            make_head(QUICK[head]).fit(X, labels)


@some_heads()
@pytest.mark.parametrize("case", TAKEN)
def test_taken_by_every_head(head: str, case: str) -> None:
    vectors, labels = TAKEN[case]
    (fitted,) = fit_many(vectors, [labels], QUICK[head])
    predicted = fitted.predict(vectors)
    assert (np.asarray(predicted) == np.asarray(labels)).mean() > 0.85


@some_heads()
def test_missing_labels(head: str) -> None:
    """`fit_many` leaves such rows out; a head's own `fit` refuses them."""
    labels = Y.astype(object)
    labels[::5] = None
    (fitted,) = fit_many(X, [labels], QUICK[head])
    (without,) = fit_many(X[labels != None], [labels[labels != None]], QUICK[head])  # noqa: E711
    assert fitted.predict(X).tolist() == without.predict(X).tolist()
    if head in OWN:
        with pytest.raises(HeadError, match="the labels of 12 of 60 rows are missing"):
            make_head(QUICK[head]).fit(X, labels)


@some_heads()
def test_a_class_with_one_image(head: str) -> None:
    labels = np.append("z", Y[1:])
    (fitted,) = fit_many(X, [labels], QUICK[head])
    assert set(fitted.classes_) == {"a", "b", "c", "z"}
    assert (fitted.predict(X)[1:] == labels[1:]).mean() > 0.8


@some_heads()
def test_a_column_of_labels(head: str) -> None:
    (fitted,) = fit_many(X, [Y[:, None]], QUICK[head])
    assert fitted.predict(X).shape == (60,)


@some_heads()
def test_several_labels_an_image(head: str) -> None:
    labels = np.stack([CODES == 0, CODES != 1], axis=1).astype(int)
    if head in SEVERAL:
        (fitted,) = fit_many(X, [labels], QUICK[head])
        assert fitted.predict(X).shape == (60, 2)
    else:
        with pytest.raises(HeadError, match="takes one label an image; these are several"):
            fit_many(X, [labels], QUICK[head])
    if head in OWN:
        with pytest.raises(HeadError, match="row 0 has 2 for label 0"):
            make_head(head).fit(X, labels * 2)


@some_heads()
def test_wrong_dimensions_to_predict_on(head: str, bank: FeatureStore) -> None:
    saved, _ = train_head(bank, Scheme("s", "folder", groups={"p": ["a"], "q": ["b"]}), QUICK[head])
    for wrong in (X[:, 1:], X[0]):
        with pytest.raises(HeadError):
            saved.predict(wrong)
    with pytest.raises(HeadError, match="X has NaN or infinity values"):
        saved.predict(with_value(np.inf))


@pytest.mark.parametrize(("head", "classes"), [("ridge", 5000), ("knn", 5000), ("lda", 600), ("forest", 600)])
def test_thousands_of_classes(head: str, classes: int) -> None:
    labels = np.repeat(np.arange(classes), 1 if head == "ridge" else 2)
    vectors = np.random.default_rng(0).normal(size=(classes, 8)).astype(np.float32)[labels]
    (fitted,) = fit_many(vectors, [labels], QUICK[head])
    assert len(fitted.classes_) == classes
    assert set(fitted.predict(vectors[:50])) <= set(labels)


@some_heads("svm", "boosting")
def test_heads_that_would_take_hours(head: str) -> None:
    with pytest.raises(HeadError, match="with 5,000 classes would take hours"):
        fit_many(np.ones((5000, 2)), [np.arange(5000)], head)


def test_what_does_not_converge_is_told(bank: FeatureStore, embank: Embank) -> None:
    with pytest.warns(ConvergenceWarning, match="MLPClassifier says: .*converged"):
        fit_many(X, [Y], "mlp(max_iter=2)")
    with pytest.warns(ConvergenceWarning, match="had not converged after 1 step"):
        fit_many(X, [Y], "logistic(max_iter=1, C=1000)")
    ran = embank("compare", bank.path, "--heads", "mlp(max_iter=2)")
    assert "Note: MLPClassifier says: " in ran.err and "Warning" not in ran.err


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """A store of three classes in folders, and one image of a fourth."""
    names = np.append("z", Y[1:])
    keys = [f"{name}/{number}.jpg" for number, name in enumerate(names)]
    path = tmp_path_factory.mktemp("bad") / "bank.embank"
    store = small_bank(path, keys, [X])
    path.with_name("schemes.yaml").write_text(
        "lone: {from: folder}\n"
        "missing: {from: folder, groups: {p: [a], q: [b]}}\n"
        "one: {from: folder, groups: {all: [a, b, c, z]}}\n"
        "none: {from: folder, groups: {p: [x], q: [y]}}\n"
    )
    return store


@some_heads()
def test_trained_on_the_command_line(head: str, bank: FeatureStore, embank: Embank, tmp_path: Path) -> None:
    schemes, out = bank.path.with_name("schemes.yaml"), tmp_path / "a.head"

    def ran(scheme: str) -> Any:
        return embank(
            "train", bank.path, "--schemes", schemes, "--scheme", scheme, "--head", QUICK[head], "--out", out
        )

    for scheme, sentence in (("one", "class"), ("none", "none"), ("lon", "Did you mean 'lone'")):
        refused = ran(scheme)
        assert refused.code == 2
        assert sentence in refused.err and "Traceback" not in refused.err and "Warning" not in refused.err
        assert refused.err.startswith("embank: ") and not out.exists()
    lone = ran("lone")
    assert lone.code == 0
    assert "no test images of 'z'" in lone.err
    assert load_head(out).classes == ("a", "b", "c", "z")
    assert ran("missing").code == 0
    assert len(load_head(out).train_hashes) < 2 * EACH


@some_heads()
def test_compared_on_the_command_line(head: str, bank: FeatureStore, embank: Embank) -> None:
    schemes = ("--schemes", bank.path.with_name("schemes.yaml"))
    ran = embank("compare", bank.path, *schemes, "--heads", QUICK[head], "--cv", "3", "--json")
    assert ran.code == 1
    assert [row["scheme"] for row in ran.json["rows"]] == ["missing"]
    assert ran.json["rows"][0]["accuracy"] > (
        0.4 if head == "boosting" else 0.85
    )  # its leaves are of 20 images
    errors = {one["scheme"]: one["error"] for one in ran.json["errors"]}
    assert "the class 'z' has one image, too few for 3 folds" in errors["lone"]
    assert set(errors) == {"lone", "one", "none"}
    assert "Traceback" not in ran.err and "Warning" not in ran.err
    many = embank("compare", bank.path, *schemes, "--heads", QUICK[head], "--cv", "30", "--json")
    assert many.code == 2
    assert "fewer than the 30 folds" in many.err
