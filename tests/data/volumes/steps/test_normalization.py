import numpy as np
import pytest

from medvid.data.volumes.steps.normalization import ScalingError, scale
from medvid.data.volumes.steps.options import CTOptions, PercentileOptions, RescaleOptions, RGBOptions, ZScoreOptions

CHANNEL = np.random.default_rng(0).normal(300, 50, (9, 8, 7)).astype(np.float32)


def test_ct_is_clipped_and_standardized() -> None:
    options = CTOptions(low=250, high=320, mean=300, std=20)
    np.testing.assert_allclose(scale(options, CHANNEL), (CHANNEL.clip(250, 320) - 300) / 20, rtol=1e-6)


def test_a_masked_z_score_is_of_the_mask_alone() -> None:
    mask = CHANNEL > 290
    scaled = scale(ZScoreOptions(masked=True), CHANNEL, mask)
    assert (scaled[~mask] == 0).all()
    np.testing.assert_allclose([scaled[mask].mean(), scaled[mask].std()], (0, 1), atol=1e-5)
    whole = scale(ZScoreOptions(), CHANNEL, mask)
    np.testing.assert_allclose([whole.mean(), whole.std()], (0, 1), atol=1e-5)


@pytest.mark.parametrize("options", [ZScoreOptions(), RescaleOptions()])
def test_a_constant_becomes_zero(options) -> None:
    assert (scale(options, np.full((3, 3, 3), 7.3, np.float32)) == 0).all()


def test_what_does_not_fit_the_scheme_is_refused() -> None:
    with pytest.raises(ScalingError, match="rgb takes those from 0 to 255"):
        scale(RGBOptions(), CHANNEL)
    with pytest.raises(ScalingError, match="nearly all voxels have the same value"):
        scale(PercentileOptions(), np.eye(64, dtype=np.float32)[None] * np.eye(64, dtype=np.float32)[:1])
