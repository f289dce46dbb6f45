"""The values that images have on the way to their labels: one, none, or several an image."""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from classifiers.errors import SchemeError
from classifiers.suggestions import counted
from classifiers.targets import Targets, labelled
from classifiers.values import Texts, given


@dataclass(frozen=True)
class Values:
    """`texts[i]` (m,) is a value of image `rows[i]` (m,), None for none; `known` (n,) says which images are labelled.

    An image that is known and has no value has none of the labels.
    """

    rows: NDArray[np.intp]
    texts: Texts
    known: NDArray[np.bool_]

    @classmethod
    def of_texts(cls, texts: Texts) -> Values:
        """One text an image, None for none."""
        return cls(np.arange(len(texts)), texts, np.array([text is not None for text in texts], bool))

    @classmethod
    def of_targets(cls, targets: Targets, classes: tuple[str, ...]) -> Values:
        """The class or classes of each image."""
        if targets.ndim == 1:
            return cls.of_texts(np.array([*classes, None], object)[targets])
        rows, codes = np.nonzero(targets == 1)
        return cls(rows, np.array([*classes, None], object)[codes], labelled(targets))

    def split(self, separator: str) -> Values:
        """The parts of each text between separators, without the blanks around them."""
        return self._several(lambda text: [part.strip() for part in text.split(separator)])

    def found(self, pattern: re.Pattern[str], several: bool) -> Values:
        """The one group of a pattern where it is found in each text: everywhere, or only the first time."""
        if several:
            return self._several(pattern.findall)
        matches = [None if text is None else pattern.search(text) for text in self.texts]
        return Values.of_texts(np.array([(match[1] or None) if match else None for match in matches], object))

    def without(self, dropped: Set[str]) -> Values:
        """Some of the values left out; an image that loses its last one is not labelled."""
        if not dropped:
            return self
        kept = [None if text in dropped else text for text in self.texts]
        return self.renamed(np.array(kept, object))

    def renamed(self, texts: Texts) -> Values:
        """Other texts (m,) in place of these; an image that loses its last one is not labelled."""
        return replace(
            self, texts=texts, known=self.known & ~(self._with_text(self.texts) & ~self._with_text(texts))
        )

    def among(self, images: NDArray[np.bool_]) -> Values:
        """Only the images (n,) that are chosen keep their labels."""
        texts = self.texts.copy()
        texts[~images[self.rows]] = None
        return Values(self.rows, texts, self.known & images)

    def present(self) -> set[str]:
        """The values that occur."""
        return set(given(self.texts))

    def targets(self, classes: tuple[str, ...], several: bool) -> Targets:
        """Codes (n,) of the values in `classes`, or with `several` an indicator (n, t); see classifiers.targets."""
        position = {name: code for code, name in enumerate(classes)}
        codes = np.array([position.get(text, -1) for text in self.texts], np.intp)
        if not several:
            return codes
        indicator = np.zeros((len(self.known), len(classes)), np.int8)
        indicator[self.rows[codes >= 0], codes[codes >= 0]] = 1
        indicator[~self.known] = -1
        return indicator

    def _several(self, parts: Callable[[str], list[str]]) -> Values:
        """The parts of each text that are not empty; an image without any is not labelled."""
        texts = zip(self.rows, self.texts, strict=True)
        pairs = [(row, part) for row, text in texts if text is not None for part in parts(text) if part]
        rows = np.array([row for row, _ in pairs], np.intp)
        known = np.zeros(len(self.known), bool)
        known[rows] = True
        return Values(rows, np.array([part for _, part in pairs], object), known)

    def _with_text(self, texts: Texts) -> NDArray[np.bool_]:
        """Which images have one of these texts: (n,)."""
        has = np.zeros(len(self.known), bool)
        has[self.rows[[text is not None for text in texts]]] = True
        return has


def label_pattern(regex: str, name: str) -> re.Pattern[str]:
    """The pattern of a scheme's regular expression. Raises SchemeError unless it has one group, the label."""
    try:
        pattern = re.compile(regex)
    except (re.error, RecursionError, OverflowError) as error:
        raise SchemeError(f"scheme {name!r}: cannot read the regex {regex!r}: {error}.") from error
    if pattern.groups != 1:
        raise SchemeError(
            f"scheme {name!r}: the regex {regex!r} has {counted(pattern.groups, 'group')}; "
            "put brackets around the one part that is the label."
        )
    return pattern
