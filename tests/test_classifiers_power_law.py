"""The power law of learning curves: known laws are found again, with honest bands."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from classifiers.curves.power_law import FURTHEST, PowerLaw, fit_power_law

SIZES = np.array([10, 20, 40, 80, 160, 320, 640])


def law_of(ceiling: float, scale: float, exponent: float, draws: int = 3) -> PowerLaw:
    accuracy = ceiling - scale * SIZES**-exponent
    law = fit_power_law(SIZES, np.repeat(accuracy[:, None], draws, axis=1))
    assert law is not None
    return law


@pytest.mark.parametrize("numbers", [(0.9, 1.5, 0.5), (0.97, 2.0, 0.9), (1.0, 0.8, 0.3), (0.6, 0.9, 1.4)])
def test_a_law_without_noise_is_found(numbers: tuple[float, float, float]) -> None:
    law = law_of(*numbers)
    ceiling, scale, exponent = numbers
    assert law.ceiling == pytest.approx(ceiling, abs=0.01)
    assert law.exponent == pytest.approx(exponent, rel=0.03)
    np.testing.assert_allclose(
        law.at([15, 500, 2000]), ceiling - scale * np.array([15, 500, 2000.0]) ** -exponent, atol=0.005
    )
    target = ceiling - scale * 60.0**-exponent
    found = law.needed(target)
    assert found is not None
    assert found[0] == pytest.approx(60, rel=0.05)
    assert found[1] <= found[0] <= found[2]


def test_the_band_holds_the_truth() -> None:
    """Draws from one pool, as few_shot makes them: accuracies move as means over the images that are trained on."""
    generator = np.random.default_rng(0)
    pool, draws, further = SIZES[-1], 5, np.array([20, 160, 640, 1280])

    def truth(n: Any) -> Any:
        return 0.9 - 1.2 * n**-0.5

    held = []
    for repetition in range(100):
        moves = generator.normal(0, 0.15, pool)
        orders = [np.cumsum(moves[generator.permutation(pool)]) for _ in range(draws)]
        accuracy = np.stack([truth(SIZES) + order[SIZES - 1] / SIZES for order in orders], axis=1)
        law = fit_power_law(SIZES, accuracy, pool=int(pool), seed=repetition)
        assert law is not None
        low, high = law.band(further)
        held.append((low <= truth(further)) & (truth(further) <= high))
    assert np.mean(held, axis=0).min() >= 0.85


def test_noise_of_test_images_widens_the_band() -> None:
    accuracy = np.repeat((0.9 - SIZES**-0.5)[:, None], 3, axis=1)
    narrow = fit_power_law(SIZES, accuracy)
    wide = fit_power_law(SIZES, accuracy, noise=np.full((7, 7), 0.03**2))
    assert narrow is not None and wide is not None
    assert (wide.high - wide.low > 2 * (narrow.high - narrow.low)).all()
    assert wide.at(640) == pytest.approx(narrow.at(640))


def test_a_law_never_falls_nor_passes_one() -> None:
    generator = np.random.default_rng(1)
    for _ in range(20):
        law = fit_power_law(SIZES, generator.random((7, 2)))
        assert law is not None
        grid = law.at(np.geomspace(2, 1e6, 50))
        assert (np.diff(grid) >= -1e-12).all()
        assert grid[-1] <= 1 and law.scale >= 0
        assert np.isfinite(law.fits).all()
    falling = fit_power_law(SIZES, np.linspace(0.9, 0.5, 7)[:, None])
    assert falling is not None
    assert falling.scale == 0 and falling.needed(0.99) is None and (falling.needed(0.1) or ())[:2] == (1, 1)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_too_few_sizes_have_no_law(count: int) -> None:
    assert fit_power_law(SIZES[:count], np.full((count, 5), 0.5)) is None


def test_the_answer_is_a_sentence() -> None:
    law = law_of(0.9, 1.5, 0.5)
    assert law.describe(0.95).startswith("95.0 % is above the fitted ceiling of 90.")
    assert "will not reach it" in law.describe(0.95)
    assert "with about 220 training images (95 % interval" in law.describe(0.9 - 1.5 / math.sqrt(225))
    assert "times the 640 that were tried" in law.describe(0.9 - 1.5 / math.sqrt(2000))
    assert f"more than {FURTHEST * 640:,} training images" in law.describe(0.9 - 1.5 / math.sqrt(20_000))
    assert "fewer than 10 training images" in law.describe(0.1)
    unsure = fit_power_law(SIZES, (0.9 - 1.5 * SIZES**-0.5)[:, None], noise=np.full((7, 7), 0.05**2))
    assert unsure is not None
    assert "more test images would be needed" in unsure.describe(0.93)
