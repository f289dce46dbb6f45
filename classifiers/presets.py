"""Heads by name: `ridge`, `logistic(C=0.1)`, `dense(hidden=(64,), dropout=0.25)`, and scikit-learn presets."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, TypeAlias

from sklearn.base import BaseEstimator, clone, is_classifier

from classifiers.dense import DenseHead
from classifiers.errors import HeadError, UnknownHeadError
from classifiers.logistic import LogisticHead
from classifiers.ridge import RidgeHead
from classifiers.suggestions import suggest

Estimator = Any  # scikit-learn has no types
HeadSpec: TypeAlias = "str | Estimator"


def make_head(spec: HeadSpec, **options: object) -> Estimator:
    """A new unfitted head: by name with options, or a copy of a scikit-learn classifier. Raises HeadError.

    `options` come on top of those in the text; for an estimator they are its own parameters.
    """
    if not isinstance(spec, str):
        if not (isinstance(spec, BaseEstimator) and is_classifier(spec)):
            raise HeadError(
                f"{spec!r} is no head: give a name such as 'ridge' or 'logistic(C=0.1)', or a scikit-learn classifier."
            )
        estimator = clone(spec)
        _set_options(estimator, options, type(spec).__name__)
        return estimator
    name, given = _parse(spec)
    if name not in PRESETS:
        raise UnknownHeadError(f"there is no head {name!r}. {suggest(name, PRESETS)}")
    final, assemble = PRESETS[name]
    estimator = final()
    _set_options(estimator, given | options, name)
    return assemble(estimator)


def head_name(spec: HeadSpec) -> str:
    """How a board names a head: the text it was asked for by, or the estimator with its changed parameters."""
    return spec.strip() if isinstance(spec, str) else " ".join(repr(spec).split())


def split_heads(text: str) -> list[str]:
    """`ridge,dense(hidden=(64,32))` to its heads: split at the commas outside brackets and quotes."""
    heads, depth, quote, start = [], 0, "", 0
    for position, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "," and depth == 0:
            heads.append(text[start:position])
            start = position + 1
    heads.append(text[start:])
    return [head.strip() for head in heads if head.strip()]


def _parse(spec: str) -> tuple[str, dict[str, Any]]:
    """`name(option=value, …)` to its parts; values are Python constants, bare words are strings."""
    example = "Write it as ridge, logistic(C=0.1) or dense(hidden=(64,), dropout=0.25)."
    try:
        node = ast.parse(spec.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise HeadError(f"cannot read the head {spec!r}. {example}") from error
    if isinstance(node, ast.Name):
        return node.id, {}
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)) or node.args:
        raise HeadError(f"cannot read the head {spec!r}. {example}")
    options = {}
    for keyword in node.keywords:
        if keyword.arg is None:
            raise HeadError(f"cannot read the head {spec!r}. {example}")
        options[keyword.arg] = _constant(keyword.value, keyword.arg, spec)
    return node.func.id, options


def _constant(node: ast.expr, option: str, spec: str) -> object:
    if isinstance(node, ast.Name):
        return {"true": True, "false": False, "none": None}.get(node.id, node.id)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise HeadError(
            f"the value {ast.unparse(node)} of {option} in the head {spec!r} is not a number, word, list or tuple."
        ) from error


def _set_options(estimator: Estimator, options: dict[str, object], name: str) -> None:
    valid = estimator.get_params()
    for option in options:
        if option not in valid:
            raise UnknownHeadError(f"the head {name!r} has no option {option!r}. {suggest(option, valid)}")
    estimator.set_params(**options)
    if not hasattr(estimator, "_parameter_constraints"):
        return
    try:  # scikit-learn would refuse a wrong value only at fit, after the vectors were read
        estimator._validate_params()
    except ValueError as error:
        raise HeadError(f"the head {name!r} has a wrong value: {error}") from error


def _alone(estimator: Estimator) -> Estimator:
    return estimator


def _scaled(estimator: Estimator) -> Estimator:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), estimator)


def _svm() -> Estimator:
    from sklearn.svm import SVC

    return SVC()


def _knn() -> Estimator:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(n_neighbors=10, metric="cosine", weights="distance")


def _lda() -> Estimator:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    # Ledoit-Wolf shrinkage: there are often fewer images than dimensions.
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")


def _forest() -> Estimator:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(n_estimators=300, random_state=0, n_jobs=-1)


def _boosting() -> Estimator:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(random_state=0, early_stopping=False)


def _mlp() -> Estimator:
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(random_state=0, max_iter=500)


PRESETS: dict[str, tuple[Callable[[], Estimator], Callable[[Estimator], Estimator]]] = {
    "ridge": (RidgeHead, _alone),
    "logistic": (LogisticHead, _alone),
    "dense": (DenseHead, _alone),
    "svm": (_svm, _scaled),
    "knn": (_knn, _alone),
    "lda": (_lda, _alone),
    "forest": (_forest, _alone),
    "boosting": (_boosting, _alone),
    "mlp": (_mlp, _scaled),
}
