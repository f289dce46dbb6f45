"""Estimators as the members of a head file: arrays and plain values, or a skops model."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.arrays import npy_array, npy_bytes
from classifiers.dense import DenseHead
from classifiers.dense_training import Layer
from classifiers.errors import HeadFileError
from classifiers.heads import Head
from classifiers.logistic import LogisticHead
from classifiers.presets import Estimator
from classifiers.ridge import RidgeHead
from classifiers.skops_models import dump_model, load_model

_KINDS: dict[str, type[Head]] = {"ridge": RidgeHead, "logistic": LogisticHead, "dense": DenseHead}
_STATE = {
    "ridge": ("alpha_", "alphas_", "errors_", "temperature_"),
    "logistic": ("C_", "n_iter_", "converged_"),
    "dense": ("history_",),
}
# What a head has only where C was chosen by folds, and what the first files lack.
_MORE_STATE = {"logistic": ("gap_", "Cs_", "losses_", "accuracies_")}


def estimator_members(estimator: Estimator) -> tuple[str, dict[str, bytes]]:
    """The kind of a head, and its arrays or model as files."""
    kind = next((name for name, one in _KINDS.items() if type(estimator) is one), "sklearn")
    if kind == "sklearn":
        return kind, {"model.skops": dump_model(estimator)}
    if kind == "dense":
        layers = enumerate(estimator.layers_)
        return kind, {
            f"{n}_{i}.npy": npy_bytes(a)
            for i, pair in layers
            for n, a in zip(("kernel", "bias"), pair, strict=True)
        }
    return kind, {"coef.npy": npy_bytes(estimator.coef_), "intercept.npy": npy_bytes(estimator.intercept_)}


def describe_estimator(estimator: Estimator, kind: str) -> dict[str, Any]:
    """Its parameters and learned values as plain values, for `head.json`."""
    own = kind in _KINDS
    several = {"multilabel": True} if own and estimator.multilabel_ else {}
    return {
        **several,
        "parameters": [[k, _plain(v)] for k, v in sorted(estimator.get_params().items())] if own else [],
        "state": {name: _plain(getattr(estimator, name)) for name in _state(kind, vars(estimator))},
        "estimator_classes": np.asarray(estimator.classes_).tolist(),
    }


def read_estimator(description: Mapping[str, Any], members: Mapping[str, bytes]) -> Estimator:
    """The estimator of checked members. Raises HeadFileError, ValueError, KeyError or TypeError."""
    kind = description["kind"]
    if kind == "sklearn":
        return load_model(members["model.skops"])
    if kind not in _KINDS:
        raise HeadFileError(f"it is a head of the kind {kind!r}, which this embank does not know.")
    classes = np.array(description["estimator_classes"])
    several = description.get("multilabel", False) is True
    if (
        classes.ndim != 1
        or classes.dtype.kind not in "iufbU"
        or len(classes) < (1 if several else 2)
        or (classes[1:] <= classes[:-1]).any()
    ):
        raise ValueError("the classes of its estimator are no sorted list")
    estimator = _KINDS[kind](**{name: _parameter(value) for name, value in description["parameters"]})
    one_score = len(classes) == 2 and not several
    if kind == "dense":
        arrays = _dense_layers(members, len(classes), one_score)
    else:
        arrays = _linear(members, 1 if one_score else len(classes))
    kept = description["state"]
    state = {name: _state_value(kept[name], name) for name in _state(kind, kept)}
    temperature: Any = state.get("temperature_", 0.0)
    if np.shape(temperature) != ((2, len(classes)) if several and kind == "ridge" else ()):
        raise ValueError("its temperature does not fit its classes")
    features = arrays["coef_"].shape[1] if "coef_" in arrays else len(arrays["layers_"][0][0])
    common = {"n_features_in_": features, "classes_": classes}
    common |= {"multilabel_": several, "space_": description["space"], "recipe_": description["recipe"]}
    for name, value in {**state, **arrays, **common}.items():
        setattr(estimator, name, value)
    return estimator


def _state(kind: str, known: Container[str]) -> list[str]:
    """The names of what is learned besides arrays; those that not all have as far as they are known."""
    return [*_STATE.get(kind, ()), *(name for name in _MORE_STATE.get(kind, ()) if name in known)]


def _linear(members: Mapping[str, bytes], scores: int) -> dict[str, Any]:
    coef, intercept = (
        npy_array(members["coef.npy"], 2, "f4 f8"),
        npy_array(members["intercept.npy"], 1, "f4 f8"),
    )
    if len(coef) != scores or intercept.shape != coef.shape[:1]:
        raise ValueError(f"coefficients {coef.shape} and intercepts {intercept.shape} do not fit its classes")
    return {"coef_": coef, "intercept_": intercept}


def _dense_layers(members: Mapping[str, bytes], classes: int, one_node: bool) -> dict[str, Any]:
    """The layers; the last has a node a class, or where `one_node` allows it a single one."""
    layers: list[Layer] = []
    while f"kernel_{len(layers)}.npy" in members:
        number = len(layers)
        layers.append(
            (
                npy_array(members[f"kernel_{number}.npy"], 2, "f4"),
                npy_array(members[f"bias_{number}.npy"], 1, "f4"),
            )
        )
    widths = [kernel.shape for kernel, _ in layers]
    joined = all(a[1] == b[0] for a, b in pairwise(widths))
    if not layers or not joined or any(b.shape != k.shape[1:] for k, b in layers):
        raise ValueError("its layers do not fit one another")
    if widths[-1][1] != classes and not (one_node and widths[-1][1] == 1):
        raise ValueError(f"its last layer has {widths[-1][1]} nodes for {classes} classes")
    return {"layers_": layers}


def _plain(value: object) -> object:
    """A parameter or a learned value for JSON; a dict as {"pairs": …}, since its keys may be numbers."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, dict):
        return {"pairs": [[_plain(key), _plain(one)] for key, one in value.items()]}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _parameter(value: object) -> object:
    if isinstance(value, dict):
        return {key: _parameter(one) for key, one in value["pairs"]}
    return tuple(_parameter(one) for one in value) if isinstance(value, list) else value


def _state_value(value: object, name: str) -> object:
    checks: dict[str, Callable[[Any], object]] = {
        **dict.fromkeys(("alpha_", "C_", "gap_"), float),
        **dict.fromkeys(("alphas_", "errors_", "Cs_", "losses_", "accuracies_"), _floats),
        "temperature_": lambda one: _floats(one) if isinstance(one, list) else float(one),
        "converged_": bool,
        "n_iter_": lambda one: np.array(one, np.int64),
        "history_": lambda one: {str(key): [float(x) for x in values] for key, values in one["pairs"]},
    }
    return checks[name](value)


def _floats(value: object) -> NDArray[np.float64]:
    return np.array(value, np.float64)
