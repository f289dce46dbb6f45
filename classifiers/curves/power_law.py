"""The power law of a learning curve: accuracy(n) = ceiling - scale * n ** -exponent, with its uncertainty.

Cortes et al. 1993, "Learning curves: asymptotic values and rate of convergence" (NIPS); fitted with weights as in
Figueroa et al. 2012, "Predicting sample size required for classification performance" (BMC Med. Inform. Decis.
Mak. 12, 8). Viering & Loog 2022, "The shape of learning curves" (IEEE TPAMI 45, 7799) say how far it can be
trusted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float = NDArray[np.float64]

FEWEST_SIZES = 4  # one more than the law has numbers
FURTHEST = 10  # times the largest size: what is said beyond it is no figure
_EXPONENTS = np.geomspace(0.05, 3, 160)
_FITS = 400
_SMALLEST_SPREAD = 1e-6  # a variance: a tenth of a percentage point, squared


@dataclass(frozen=True)
class PowerLaw:
    """accuracy(n) = ceiling - scale * n ** -exponent, for n training images.

    ceiling: at most 1. scale: 0 or more, so that the curve never falls. low, high: (s,) the 95 % band at `sizes`
    (s,). fits: (b, 3) ceilings, scales and exponents of the law fitted to curves as they might have been.
    """

    ceiling: float
    scale: float
    exponent: float
    low: Float
    high: Float
    sizes: NDArray[np.intp]
    fits: Float = field(repr=False)

    def at(self, n: ArrayLike) -> Any:  # noqa: ANN401 (a number for a number, else an array)
        """The accuracy with n training images: a float, or an array of the shape of n."""
        found = _law(np.array([self.ceiling, self.scale, self.exponent]), np.asarray(n, np.float64))
        return float(found) if np.ndim(n) == 0 else found

    def band(self, n: ArrayLike) -> tuple[Float, Float]:
        """The 95 % band at n (m,) training images: two arrays (m,)."""
        return _quantiles(_law(self.fits, np.asarray(n, np.float64)))

    @property
    def ceiling_interval(self) -> tuple[float, float]:
        """The 95 % interval of the ceiling."""
        low, high = np.quantile(self.fits[:, 0], (0.025, 0.975))
        return float(low), float(high)

    def needed(self, target: float) -> tuple[int, int, float] | None:
        """How many training images reach an accuracy, with the ends of a 95 % interval; the upper may be infinite.

        None where the target is above the ceiling. Beyond ten times the largest size it is no figure to plan with:
        `describe` says so.
        """
        best = _inverse(np.array([[self.ceiling, self.scale, self.exponent]]), target)[0]
        if not math.isfinite(best):
            return None
        numbers = np.sort(_inverse(self.fits, target))
        low, high = (numbers[round(share * (len(numbers) - 1))] for share in (0.025, 0.975))
        return _whole(best), _whole(min(low, best)), float(np.ceil(max(high, best)))

    def describe(self, target: float) -> str:
        """The answer to `how many images reach this accuracy?` as one sentence."""
        goal, largest = f"{100 * target:.1f} %", int(self.sizes[-1])
        furthest, found = FURTHEST * largest, self.needed(target)
        if found is None:
            return self._describe_ceiling(target)
        number, least, most = found
        if number < self.sizes[0]:
            return (
                f"{goal} is reached with fewer than {int(self.sizes[0]):,} training images, the fewest tried."
            )
        if number > furthest:
            return (
                f"{goal} is reached, if at all, with more than {furthest:,} training images, {FURTHEST} times the "
                f"{largest:,} that were tried (95 % interval from {_rounded(least):,}): too far beyond them to say "
                "how many."
            )
        end = f"{_rounded(int(most)):,}" if most <= furthest else f"more than {furthest:,}"
        beyond = number / largest
        further = f", {beyond:.1f} times the {largest:,} that were tried" if beyond > 1.05 else ""
        return (
            f"{goal} is reached with about {_rounded(number):,} training images "
            f"(95 % interval {_rounded(least):,} to {end}){further}."
        )

    def _describe_ceiling(self, target: float) -> str:
        low, high = self.ceiling_interval
        end = (
            "more labels of this kind will not reach it."
            if high <= target
            else "more labels of this kind are not expected to reach it, but more test images would be needed to rule "
            "it out."
        )
        return (
            f"{100 * target:.1f} % is above the fitted ceiling of {100 * self.ceiling:.1f} % (95 % interval "
            f"{100 * low:.1f} to {100 * high:.1f}): {end}"
        )


def fit_power_law(
    sizes: ArrayLike,
    accuracy: ArrayLike,
    *,
    pool: int | None = None,
    noise: NDArray[Any] | None = None,
    seed: int = 0,
) -> PowerLaw | None:
    """The law of accuracies (s, draws) at ascending sizes (s,); None for fewer than four sizes.

    pool: of how many images the draws are parts, each size of a draw within the next; None where each draw has
    images of its own. noise: (s, s) covariance of the mean accuracies because other test images might have been
    taken. The fit is by least squares, weighted by how little the draws differ at a size, over a grid of exponents.
    The band is from 400 curves that differ from the law as draws and test images would make them, each fitted again.
    """
    at, values = np.asarray(sizes, np.intp), np.asarray(accuracy, np.float64)
    if len(at) < FEWEST_SIZES:
        return None
    mean = values.mean(axis=1)
    covariance = _covariance_of_draws(at, values, pool)
    weights = 1.0 / np.diag(covariance)
    best = _fit(at, mean[None], weights)[0]
    fitted = _law(best, at)
    # Where points lie further from the law than draws explain, the law is wrong by that much (Birge 1932).
    strain = float(weights @ (mean - fitted) ** 2) / (len(at) - 3)
    covariance *= max(1.0, strain)
    if noise is not None:
        covariance = covariance + noise
    generator = np.random.default_rng(seed)
    might = generator.multivariate_normal(fitted, covariance, _FITS, method="eigh")
    fits = _fit(at, np.clip(might, 0.0, 1.0), weights)
    low, high = _quantiles(_law(fits, at))
    ceiling, scale, exponent = best.tolist()
    return PowerLaw(ceiling, scale, exponent, low, high, at, fits)


def _fit(sizes: NDArray[np.intp], curves: Float, weights: Float) -> Float:
    """Ceiling, scale and exponent (b, 3) of each of (b, s) curves.

    For one exponent the law is linear in the other two, which are solved for with their bounds; so the best of all
    exponents is found without starting values.
    """
    share = weights / weights.sum()
    Z = (sizes / sizes[0]) ** -_EXPONENTS[:, None]  # (e, s), 1 at the smallest size
    z, y = Z @ share, curves @ share
    variance = ((Z - z[:, None]) ** 2) @ share
    scale = -(((Z - z[:, None]) * share) @ (curves - y[:, None]).T) / variance[:, None]  # (e, b)
    ceiling = y + scale * z[:, None]
    above = ceiling > 1
    held = ((Z * share) @ (1 - curves).T) / ((Z**2) @ share)[:, None]
    scale, ceiling = np.where(above, held, scale), np.where(above, 1.0, ceiling)
    falling = scale < 0
    scale, ceiling = np.where(falling, 0.0, scale), np.where(falling, np.minimum(y, 1.0), ceiling)
    both, squares = (Z * share) @ curves.T, (Z**2 @ share)[:, None]
    errors = (
        ceiling**2
        + scale**2 * squares
        - 2 * ceiling * y
        + 2 * scale * both
        - 2 * scale * ceiling * z[:, None]
    )
    chosen = errors.argmin(axis=0)  # less a part that is the same for all exponents
    each = np.arange(len(curves))
    exponent = _EXPONENTS[chosen]
    own = scale[chosen, each] * float(sizes[0]) ** exponent
    return np.stack([ceiling[chosen, each], own, exponent], axis=1)


def _covariance_of_draws(sizes: NDArray[np.intp], values: Float, pool: int | None) -> Float:
    """(s, s) covariance of the mean accuracies over draws, were the images of the pool others of their kind.

    An accuracy moves as the mean of something over the images that are trained on: two sizes of one draw, the smaller
    within the larger, are correlated by the square root of their ratio, and two draws from one pool by the share of
    the pool that they have in common.
    """
    spread, draws = np.sqrt(_variances(sizes, values, pool)), values.shape[1]
    smaller, larger = np.minimum.outer(sizes, sizes), np.maximum.outer(sizes, sizes)
    correlation = np.sqrt(smaller / larger) / draws
    if pool is not None:
        correlation += (1 - 1 / draws) * np.sqrt(np.multiply.outer(sizes / pool, sizes / pool))
    return np.asarray(correlation * np.multiply.outer(spread, spread))


def _variances(sizes: NDArray[np.intp], values: Float, pool: int | None) -> Float:
    """(s,) variance of one draw at each size, as a power of the size, which evens out that draws are few.

    Draws from one pool differ by less than such from everywhere, by the share of it that they leave out.
    """
    from scipy.special import digamma

    draws = values.shape[1]
    left = np.ones(len(sizes)) if pool is None else 1 - sizes / pool
    usable = left > 0
    if draws < 2 or usable.sum() < 2:
        return np.full(len(sizes), _SMALLEST_SPREAD)
    seen = values[usable].var(axis=1, ddof=1) / left[usable]
    logs = np.log(np.maximum(seen, _SMALLEST_SPREAD))
    logs -= digamma((draws - 1) / 2) - np.log((draws - 1) / 2)  # the mean of the logarithm of such a variance
    x = np.log(sizes[usable])
    steepness = float(np.clip(np.polyfit(x, logs, 1)[0], -2, 0))
    evened = logs.mean() + steepness * (np.log(sizes) - x.mean())
    return np.asarray(np.maximum(np.exp(evened), _SMALLEST_SPREAD))


def _law(numbers: Float, n: Float | NDArray[np.intp]) -> Float:
    """The accuracy at n of one law (3,), or at n (m,) of several (b, 3): (b, m)."""
    ceiling, scale, exponent = (numbers[..., i, None] if np.ndim(n) else numbers[..., i] for i in range(3))
    return np.asarray(ceiling - scale * np.asarray(n, np.float64) ** -exponent)


def _inverse(laws: Float, target: float) -> Float:
    """(b,) images that each law (b, 3) needs for an accuracy; infinite above its ceiling."""
    ceiling, scale, exponent = laws.T
    room = ceiling - target
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        numbers = np.where(scale > 0, (scale / np.maximum(room, 1e-300)) ** (1 / exponent), 1.0)
    return np.asarray(np.where(room > 0, numbers, np.inf))


def _quantiles(values: Float) -> tuple[Float, Float]:
    low, high = np.quantile(values, (0.025, 0.975), axis=0)
    return low, high


def _whole(number: float) -> int:
    return max(1, math.ceil(number))


def _rounded(number: int) -> int:
    """Two digits: more are not known."""
    return round(number, 2 - len(str(number)))
