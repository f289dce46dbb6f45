"""Vectors that know the recipe they were made by, so that spaces are never mixed by accident."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Vectors(np.ndarray[tuple[int, int], np.dtype[np.float32]]):
    """(n, dim) float32, an ordinary array that carries `space` and `recipe`.

    Slices, copies and pickles keep both; the result of arithmetic, and of numpy's functions, is a plain array,
    since scaled or centred vectors are no longer what the recipe makes.
    """

    space: str | None
    recipe: dict[str, Any] | None

    @classmethod
    def of(cls, array: NDArray[np.float32], space: str | None, recipe: dict[str, Any] | None) -> Vectors:
        """`array` itself (no copy), marked with the space that it came from."""
        vectors = array.view(cls)
        vectors.space, vectors.recipe = space, recipe
        return vectors

    def __array_finalize__(self, origin: object) -> None:
        self.space = getattr(origin, "space", None)
        self.recipe = getattr(origin, "recipe", None)

    def __array_wrap__(  # type: ignore[override]
        self, array: NDArray[Any], context: object = None, return_scalar: bool = False
    ) -> NDArray[Any]:
        plain = np.asarray(array)
        return plain[()] if return_scalar else plain

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:  # noqa: ANN401
        result = super().__array_function__(function, types, arguments, options)
        return np.asarray(result) if isinstance(result, Vectors) else result

    def __reduce__(self) -> tuple[Any, ...]:
        return Vectors.of, (np.array(self), self.space, self.recipe)
