"""How fast pictures change."""

import numpy as np
import pytest

from medvid.planning.videos.motion import lag_of_half


@pytest.mark.parametrize("period", [8, 16])
def test_a_wave_has_changed_by_half_after_a_sixth_of_its_period(period: int) -> None:
    phases = 2 * np.pi * (np.arange(80)[:, None, None] / period + np.arange(64)[None, None] / 64)
    found = lag_of_half(127 + 100 * np.sin(phases).repeat(4, 1), 0.1)
    assert found == pytest.approx(0.1 * period / 6, rel=0.06)  # |sin(x + d) - sin x| goes with sin(d / 2)


def test_what_stands_still_has_none() -> None:
    assert lag_of_half(np.full((40, 16, 16), 90.0), 0.1) is None
    assert lag_of_half(np.zeros((1, 16, 16)), 0.1) is None


def test_a_jump_between_neighbours_takes_less_than_a_step() -> None:
    flicker = np.random.default_rng(0).uniform(0, 255, (40, 16, 16))
    found = lag_of_half(flicker, 0.1)
    assert found is not None
    assert found < 0.1
