"""Vectors in the coordinates in which a logistic regression on them is solved in few rounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.factor_cache import KeptFactors
from classifiers.factorization import Factorization, Float, factorize
from classifiers.scaling import mean_and_scale

_WORTH_ROTATING = 128  # columns to solve for; one problem is done before an eigendecomposition would be
_SMALL_SIDE = 512  # which decomposes in a few milliseconds
_ROWS_A_DIMENSION = 4  # a round costs rows × dimensions, the decomposition dimensions cubed


@dataclass(frozen=True)
class Turned:
    """Vectors in coordinates that suit the solver, and the way back."""

    Z: NDArray[Any]
    dtype: np.dtype[Any]  # of the vectors themselves
    curvatures: Float
    mean: Float | None  # of Z, if it is not centred
    basis: NDArray[Any] | None  # in whose columns the curvatures are, if not in those of Z
    back: Callable[[Float], tuple[Float, Float]]
    length: float  # mean squared length of the centred vectors
    factor: Factorization | None
    gaps: int  # at how many strengths the factorization knew its gaps before

    @classmethod
    def of(
        cls, X: NDArray[Any], standardize: bool, columns: int, factored: bool, kept: KeptFactors | None
    ) -> Turned:
        """Of vectors to be solved for so many columns of scores. `factored`: whether a factorization is needed anyhow.

        Many columns are worth to turn all rows into the eigenbasis. With few only the directions are turned,
        where the basis is known, will be kept, or costs less than the rounds it saves; else the curvatures of the
        dimensions themselves have to do.
        """
        divisor = mean_and_scale(X, True)[1] if standardize else None
        scaled, kept = (X, kept) if divisor is None else (X / divisor, None)
        many = columns >= _WORTH_ROTATING
        factor = kept.known(X) if kept is not None else None
        worth = (
            many
            or factored
            or kept is not None
            or min(X.shape) <= _SMALL_SIDE
            or len(X) >= _ROWS_A_DIMENSION * X.shape[1]
        )
        if factor is None and worth:
            factor = factorize(scaled) if kept is None else kept.factorization(X)
        gaps = 0 if factor is None else len(factor.known_gaps)
        mean = basis = None
        back: Callable[[Float], tuple[Float, Float]]
        if factor is None:
            own = scaled.mean(axis=0, dtype=np.float64)
            Z = scaled - own.astype(scaled.dtype)
            curvatures, back = np.einsum("nd,nd->d", Z, Z).astype(np.float64), partial(_uncentred, own)
        else:
            curvatures, back = factor.values, factor.unrotated
            if many or factor.wide:
                Z = factor.rotated()
            else:
                basis = factor.narrow()
                Z, mean = (factor.near(slice(None)), None) if factor.far else (scaled, factor.mean)

        def unscaled(W: Float) -> tuple[Float, Float]:
            coefficients, intercepts = back(W)
            return (coefficients if divisor is None else coefficients / divisor), intercepts

        length = float(curvatures.sum()) / len(X)
        return cls(
            Z,
            X.dtype,
            np.append(curvatures, len(X)),
            mean,
            basis,
            unscaled,
            length if length > 0 else 1.0,
            factor,
            gaps,
        )


def _uncentred(mean: Float, W: Float) -> tuple[Float, Float]:
    """Weights of centred columns and intercepts (t, d + 1) as coefficients (t, d) and intercepts (t,)."""
    return W[:, :-1], W[:, -1] - W[:, :-1] @ mean
