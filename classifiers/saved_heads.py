"""A trained head with everything that is needed to use it: classes, space, scheme, what it was trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from classifiers.errors import HeadError, SpaceMismatchError
from classifiers.estimates import class_probabilities
from classifiers.evaluation import Figures
from classifiers.heads import check_space, probabilities
from classifiers.input_checks import refuse_non_finite, refuse_other_than_vectors
from classifiers.labels import class_names
from classifiers.presets import Estimator, head_name
from classifiers.schemes import Scheme
from classifiers.targets import Targets
from classifiers.values import as_text
from store import Space
from store.recipes import describe_difference, fingerprint

TrainHashes = NDArray[np.uint64]
_LIBRARIES = ("embank", "scikit-learn", "keras", "numpy")


@dataclass(frozen=True)
class SavedHead:
    """A fitted estimator, the names of its classes in the scheme's order, and the space of its vectors.

    `train_hashes`: the first 8 bytes of each training image's hash, sorted, so that an evaluation can leave
    these images out; empty if unknown. `figures` and `split`: plain JSON values, how it did and on which images.
    `versions`: of embank and of the libraries that it was trained with.
    """

    estimator: Estimator
    head: str
    classes: tuple[str, ...]
    space: str
    recipe: dict[str, Any]
    scheme: Scheme | None = None
    split: dict[str, Any] | None = None
    figures: dict[str, Any] | None = None
    train_hashes: TrainHashes = field(default_factory=lambda: np.zeros(0, np.uint64))
    versions: dict[str, str] = field(default_factory=lambda: {name: version(name) for name in _LIBRARIES})

    @classmethod
    def of(
        cls,
        estimator: Estimator,
        *,
        classes: Iterable[str] | None = None,
        scheme: Scheme | None = None,
        space: Space | None = None,
        figures: Figures | Mapping[str, Any] | None = None,
        train_hashes: Iterable[str] | TrainHashes | None = None,
        split: Mapping[str, Any] | None = None,
        head: str | None = None,
    ) -> SavedHead:
        """A record of a fitted estimator; of a search (`GridSearchCV` and the like) that of its best estimator.

        `classes`: the names of codes 0, 1, … if it was fitted on codes, else the order of its classes; by default
        its own classes. `space` may be left out for one of our heads that was fitted on `Vectors`.
        `train_hashes`: hashes of the training images, as hex digits or uint64. Raises HeadError.
        """
        estimator = getattr(estimator, "best_estimator_", estimator)
        own = getattr(estimator, "classes_", None)
        if own is None:
            raise HeadError(f"the head {head_name(estimator)} is not fitted; call fit before saving it.")
        id_ = space.id if space is not None else getattr(estimator, "space_", None)
        recipe = space.recipe if space is not None else getattr(estimator, "recipe_", None)
        if not id_ or not recipe:
            raise HeadError(
                "it is not known which space this head's vectors came from: fit it on store.vectors(…), or say "
                "space=store.space(…) when saving it."
            )
        if fingerprint(recipe) != id_.rpartition("-")[2]:
            raise HeadError(
                f"the recipe does not fit the space {id_}: its fingerprint is {fingerprint(recipe)}."
            )
        names = tuple(classes) if classes is not None else tuple(as_text(one) for one in own)
        _columns(own, names)
        return cls(
            estimator,
            head or head_name(estimator),
            names,
            id_,
            dict(recipe),
            scheme,
            None if split is None else dict(split),
            figures.to_dict()
            if isinstance(figures, Figures)
            else (None if figures is None else dict(figures)),
            short_hashes(() if train_hashes is None else train_hashes),
        )

    @property
    def dim(self) -> int:
        """The number of dimensions of the vectors."""
        return int(self.estimator.n_features_in_)

    @property
    def multilabel(self) -> bool:
        """Whether it gives several labels an image."""
        return bool(
            getattr(self.estimator, "multilabel_", self.scheme is not None and self.scheme.multilabel)
        )

    def predict(self, X: ArrayLike) -> NDArray[np.object_]:
        """The class name of each row, (n,); several are joined by the scheme's separator.

        Raises SpaceMismatchError or HeadError.
        """
        separator = ";" if self.scheme is None else self.scheme.separator
        return class_names(self.classes, self.predict_codes(X), separator)

    def predict_codes(self, X: ArrayLike) -> Targets:
        """The class of each row as an index into `classes`, (n,).

        Of several labels an image an indicator (n, t) of those whose probability is above 0.5. (A ridge's own
        `predict`, as scikit-learn's, cuts its scores at 0 instead, and finds fewer of the rare labels.)
        """
        if self.multilabel:
            return (self._label_probabilities(X) > 0.5).astype(np.int8)
        own = self.estimator.classes_
        predicted = self._asked(self.estimator.predict, X)
        return self.columns[np.searchsorted(own, predicted)]

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities (n, k), columns in the order of `classes`; of several labels each by itself.

        For an estimator that has none (a support vector machine), the softmax of its scores: it orders the
        classes, and is not calibrated.
        """
        if self.multilabel:
            return self._label_probabilities(X)
        if hasattr(self.estimator, "predict_proba"):
            found = self._asked(self.estimator.predict_proba, X)
        elif hasattr(self.estimator, "decision_function"):
            found = probabilities(self._asked(self.estimator.decision_function, X))
        else:
            found = np.asarray(self._asked(self.estimator.predict, X)[:, None] == self.estimator.classes_)
        result = np.zeros((len(found), len(self.classes)))
        result[:, self.columns] = found
        return result

    def _label_probabilities(self, X: ArrayLike) -> NDArray[np.float64]:
        """Of several labels an image: (n, t); 0 and 1 if the estimator gives none."""

        def asked(vectors: NDArray[Any]) -> NDArray[Any]:
            found = class_probabilities(self.estimator, vectors, len(self.classes), multilabel=True)
            return self.estimator.predict(vectors) if found is None else found

        return np.asarray(self._asked(asked, X), np.float64)

    def trained_on(self, hashes: Iterable[str]) -> NDArray[np.bool_]:
        """Which images, by their hashes in hex digits, it was trained on: (n,)."""
        return np.isin(_beginnings(hashes), self.train_hashes)

    def check(self, other: object) -> None:
        """Raises SpaceMismatchError, saying what differs, if vectors or a recipe are not of this head's space.

        An array that does not know its space passes.
        """
        if not isinstance(other, Mapping):
            check_space(self.space, self.recipe, other)
        elif fingerprint(other) != fingerprint(self.recipe):
            raise SpaceMismatchError(
                f"this head was trained on the space {self.space}, made by another recipe. What differs: "
                f"{describe_difference(self.recipe, other)}. Embed with the head's recipe, or train a new head."
            )

    def save(self, path: str | Path) -> None:
        """Writes the head to `path`; `load_head` reads it. Raises HeadFileError."""
        from classifiers.head_files import write_head

        write_head(Path(path), self)

    @cached_property
    def columns(self) -> NDArray[np.intp]:
        """For each class of the estimator, its index in `classes`."""
        return _columns(self.estimator.classes_, self.classes)

    def _asked(self, method: Callable[[NDArray[Any]], NDArray[Any]], X: ArrayLike) -> NDArray[Any]:
        self.check(X)
        refuse_non_finite(refuse_other_than_vectors(X))
        try:
            return method(np.asarray(X))
        except HeadError:
            raise
        except ValueError as error:
            raise HeadError(str(error)) from error


def short_hashes(hashes: Iterable[str] | TrainHashes) -> TrainHashes:
    """The first 8 bytes of each hash (hex digits), as uint64, sorted, each once."""
    if isinstance(hashes, np.ndarray) and hashes.dtype == np.uint64:
        return np.unique(hashes)
    return np.unique(_beginnings(hashes))


def _beginnings(hashes: Iterable[str] | TrainHashes) -> TrainHashes:
    return np.array([int(str(one)[:16], 16) for one in hashes], np.uint64)


def _columns(own: NDArray[Any], names: tuple[str, ...]) -> NDArray[np.intp]:
    """The index in `names` of each of an estimator's classes, which are codes or the names themselves.

    Of several labels an image scikit-learn has a list with the values of each label: they are in order.
    """
    if len(set(names)) != len(names):
        raise HeadError(f"the classes {list(names)} are not all different.")
    if isinstance(own, list) and len(own) == len(names):
        return np.arange(len(names))
    texts = [as_text(one) for one in own]
    place = {name: number for number, name in enumerate(names)}
    if set(texts) <= set(place):
        return np.array([place[text] for text in texts], np.intp)
    if np.issubdtype(np.asarray(own).dtype, np.integer) and min(own) >= 0 and max(own) < len(names):
        return np.asarray(own, np.intp)
    raise HeadError(
        f"the head's classes {texts} are neither among the classes {list(names)} nor numbers of them."
    )
