"""A learning curve: how accurate a head is after training on few or many images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifiers.curves.power_law import PowerLaw


@dataclass(frozen=True)
class FewShot:
    """How accurate a head is after training on few or many images.

    sizes: (s,) numbers of training images, ascending. accuracy: (s, draws) on the same `n_test` images, each draw
    other images, each size of a draw within its next; all draws agree where all training images are taken. law: None
    where there are fewer than four sizes.
    """

    scheme: str
    space: str
    head: str
    classes: int
    n_test: int
    sizes: NDArray[np.intp]
    accuracy: NDArray[np.float64]
    law: PowerLaw | None

    def rows(self) -> Iterator[dict[str, object]]:
        """One plain row a size: mean, lowest and highest accuracy of the draws, the law with its band."""
        for i, size in enumerate(self.sizes.tolist()):
            draws, law = self.accuracy[i], self.law
            yield {
                **{"scheme": self.scheme, "head": self.head, "space": self.space},
                **{"n_train": size, "n_test": self.n_test, "per_class": size / self.classes},
                "accuracy": float(draws.mean()),
                **{"lowest": float(draws.min()), "highest": float(draws.max())},
                "law": None if law is None else law.at(size),
                "law_low": None if law is None else float(law.low[i]),
                "law_high": None if law is None else float(law.high[i]),
            }
