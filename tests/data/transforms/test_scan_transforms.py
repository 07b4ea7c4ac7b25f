"""The transforms that nnU-Net trains with: how often, how much, and what they leave alone."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from medvid.config.options import TransformOptions
from medvid.data.batch import Batch, Pixels
from medvid.data.transform import Transform, apply, initial_size
from medvid.data.transforms import margins
from medvid.data.transforms.outside import ZeroOutside
from medvid.data.transforms.quality import GaussianBlur, GaussianNoise, LowResolution, blur, gaussian_kernel
from medvid.data.transforms.resampling import cut_middle, resample_labels, resample_linearly
from medvid.data.transforms.scan_options import (
    BrightnessOptions,
    ContrastOptions,
    GammaOptions,
    GaussianBlurOptions,
    GaussianNoiseOptions,
    LowResolutionOptions,
    SpatialOptions,
    ZeroOutsideOptions,
)
from medvid.data.transforms.spatial import Spatial, rotation_matrix
from medvid.data.transforms.tones import Brightness, Contrast, Gamma, change_contrast, change_gamma
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.plugin.specs import Axes

ALWAYS = {"rotation_probability": 1.0, "scaling_probability": 1.0}
OF_VALUES: list[tuple[type[Transform], type[TransformOptions], float]] = [
    (GaussianNoise, GaussianNoiseOptions, 0.1),
    (GaussianBlur, GaussianBlurOptions, 0.2 * 0.75),  # of two channels at least one
    (Brightness, BrightnessOptions, 0.15),
    (Contrast, ContrastOptions, 0.15),
    (LowResolution, LowResolutionOptions, 0.25 * 0.75),
    (Gamma, GammaOptions, 0.3),
]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=seeded(7))


def for_axes(transform: Transform, axes: Axes) -> Transform:
    transform.axes = axes
    return transform


def spatial(axes: Axes = "volume", **options: object) -> Transform:
    return for_axes(Spatial(SpatialOptions(**{**ALWAYS, **options})), axes)


def ball(examples: int = 1, length: int = 20) -> Batch:
    """A ball a little off the middle, which is its own label."""
    axis = torch.arange(length) - length / 2 + 2.0
    inside = (axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2 < (length / 4) ** 2).expand(examples, -1, -1, -1)
    return Batch(inside[:, None].float(), inside.long(), ("a",) * examples)


@pytest.mark.parametrize(("target", "options", "share"), OF_VALUES)
def test_values_change_as_often_as_published_and_labels_never(
    target: Callable[..., Transform], options: Callable[..., TransformOptions], share: float
) -> None:
    batch = Batch(noise(1, 2, 4, 6, 8).expand(400, -1, -1, -1, -1), torch.zeros(400, 4, 6, 8).long(), ("a",) * 400)
    changed = for_axes(target(options()), "volume")(batch, seeded())
    different = (changed.input != batch.input).flatten(1).any(1).float().mean()
    assert abs(different - share) < 0.08
    assert changed.target is batch.target


@given(st.floats(-50, 50), st.floats(0.1, 20), st.floats(0.5, 2), st.booleans())
def test_gamma_keeps_mean_and_deviation_and_order(mean: float, std: float, exponent: float, inverted: bool) -> None:
    values = mean + std * noise(200)
    changed = change_gamma(values, exponent, inverted=inverted)
    assert torch.isclose(changed.mean(), values.mean(), atol=1e-3 * std)
    assert torch.isclose(changed.std(), values.std(), rtol=1e-3)
    assert (changed[values.argsort()].diff() > -1e-3 * std).all()


def test_contrast_stays_in_the_range_and_constant_channels_as_they_are() -> None:
    values = noise(500)
    changed = change_contrast(values, 1.5)
    assert (changed.min(), changed.max()) == (values.min(), values.max())
    flat = torch.full((3, 4), 2.5)
    for effect in (change_contrast, change_gamma):
        torch.testing.assert_close(effect(flat, 0.8), flat)


def test_channels_are_changed_each_on_its_own_but_share_the_noise_level() -> None:
    batch = Batch(torch.ones(60, 2, 9, 9), torch.zeros(60), ("a",) * 60)
    factors = Brightness(BrightnessOptions(probability=1))(batch, seeded()).input[..., 0, 0]
    assert (factors[:, 0] != factors[:, 1]).all()
    assert 0.75 <= factors.min() < 0.8
    assert 1.2 < factors.max() <= 1.25
    added = GaussianNoise(GaussianNoiseOptions(probability=1))(batch, seeded()).input - 1
    levels = added.flatten(2).std(2)
    assert levels.max() < 0.13
    assert torch.corrcoef(levels.T)[0, 1] > 0.9


@given(st.floats(0.2, 3), st.integers(2, 9))
def test_a_blur_keeps_constants_and_means_near_the_rim(sigma: float, length: int) -> None:
    assert len(gaussian_kernel(sigma)) % 2 == 1
    torch.testing.assert_close(blur(torch.ones(length, 3), (sigma, 0)), torch.ones(length, 3))


def test_a_volume_of_one_slice_is_blurred_in_its_plane() -> None:
    blurred = blur(noise(8, 8, 1), (1.0, 1.0, 1.0))
    torch.testing.assert_close(blurred[..., 0], blur(noise(8, 8, 1)[..., 0], (1.0, 1.0)))


@given(st.lists(st.integers(1, 300), min_size=2, max_size=3), st.floats(0, 180), st.none() | st.integers(0, 2))
def test_what_is_cut_is_larger_but_not_along_the_axis_of_slices(
    size: list[int], degrees: float, slices: int | None
) -> None:
    slices = slices if len(size) == 3 else None
    larger = margins.initial_size(size, degrees, slices)
    assert all(
        n >= int(length / 0.85) for axis, (n, length) in enumerate(zip(larger, size, strict=True)) if axis != slices
    )
    assert slices is None or larger[slices] == size[slices]


def test_the_first_axis_of_nnunet_is_our_last() -> None:
    assert spatial().initial_size((160, 192, 64)) == (200, 289, 178)
    assert spatial().initial_size((256, 256, 20)) == (301, 301, 20)
    assert spatial("image").initial_size((320, 192)) == (422, 225)
    assert spatial("video").initial_size((8, 100, 100)) == (8, 117, 117)
    assert spatial(rotation_probability=0, scaling_probability=0).initial_size((9, 9, 9)) == (9, 9, 9)
    assert initial_size([spatial(), GaussianNoise(GaussianNoiseOptions())], (128,) * 3) == (205,) * 3


def test_labels_regions_and_mask_turn_with_the_image() -> None:
    batch = ball(12)
    regions = torch.stack([batch.target, 1 - batch.target], 1).to(torch.int8)
    moved = spatial()(Batch(batch.input, regions, batch.cases, mask=batch.target > 0), seeded())
    assert (moved.input != batch.input).any()
    inside = moved.input[:, 0] > 0.5
    assert moved.mask is not None
    assert (moved.mask != inside).float().mean() < 1e-3
    assert torch.equal(moved.target[:, 0] > 0, moved.mask)
    assert ((moved.target.sum(1) == 1) | (moved.target.sum(1) == 0)).all()  # outside of the image it is neither


def test_scales_above_one_make_things_smaller_and_angles_keep_their_size() -> None:
    batch = ball(30)
    turned = spatial(scaling_probability=0)(batch, seeded()).target.flatten(1).sum(1)
    assert ((turned - batch.target[0].sum()).abs() < 0.15 * batch.target[0].sum()).all()
    smaller = spatial(rotation_probability=0, scaling=(1.3, 1.4))(batch, seeded()).target.flatten(1).sum(1)
    assert (smaller < 0.6 * batch.target[0].sum()).all()


def test_what_is_not_moved_is_the_middle() -> None:
    still = spatial(rotation_probability=0, scaling_probability=0.5)
    larger = noise(40, 1, 9, 11, 10)
    cut = still(Batch(larger, torch.zeros(40).long(), ("a",) * 40, size=(6, 6, 6)), seeded())
    assert cut.input.shape[2:] == (6, 6, 6)
    assert cut.size is None
    kept = (cut.input == larger[:, :, 1:7, 2:8, 2:8]).flatten(1).all(1)
    assert 8 < kept.sum() < 32


@given(st.integers(1, 9), st.integers(1, 9))
def test_the_middle_of_a_short_axis_is_padded(length: int, wanted: int) -> None:
    line = torch.arange(1.0, length + 1).expand(2, 3, length)
    cut = cut_middle(line, (3, wanted), fill=-1)
    assert cut.shape == (2, 3, wanted)
    assert (cut == -1).sum() == 6 * max(0, wanted - length)
    assert cut[0, 0, wanted // 2] == line[0, 0, length // 2]


@pytest.mark.parametrize(("axis", "size"), [(2, (12, 12, 3)), (0, (3, 12, 12)), (1, (12, 3, 12))])
def test_slices_turn_alike_and_stay_apart(axis: int, size: tuple[int, ...]) -> None:
    image = torch.zeros(8, 1, *size)
    image.select(2 + axis, 1).copy_(noise(12, 12))
    target = (image[:, 0] != 0).long()
    moved = spatial()(Batch(image, target, ("a",) * 8), seeded())
    assert (moved.input.select(2 + axis, 0) == 0).all()
    assert (moved.input.select(2 + axis, 1) != image.select(2 + axis, 1)).any()
    assert (moved.target.select(1 + axis, 1) == 1).any()
    assert (moved.target.select(1 + axis, 2) == 0).all()


def test_a_still_video_stays_still_and_frames_are_not_blended() -> None:
    picture = noise(1, 3, 1, 24, 24)
    still = Batch(picture.expand(6, -1, 5, -1, -1), torch.zeros(6).long(), ("a",) * 6)
    for transform in (
        spatial("video"),
        for_axes(GaussianBlur(GaussianBlurOptions(probability=1)), "video"),
        for_axes(LowResolution(LowResolutionOptions(probability=1)), "video"),
    ):
        frames = transform(still, seeded()).input
        assert (frames != still.input).any()
        torch.testing.assert_close(frames, frames[:, :, :1].expand_as(frames))
    blinking = torch.ones(4, 1, 6, 8, 8)
    blinking[:, :, ::2] = 0
    batch = Batch(blinking, torch.zeros(4).long(), ("a",) * 4)
    for transform in (
        for_axes(GaussianBlur(GaussianBlurOptions(probability=1)), "video"),
        for_axes(LowResolution(LowResolutionOptions(probability=1)), "video"),
    ):
        torch.testing.assert_close(transform(batch, seeded()).input, blinking)


def test_bytes_become_what_a_model_gets() -> None:
    pixels = Pixels(torch.full((3,), 0.5), torch.full((3,), 0.25), (None,))
    clip = torch.randint(0, 256, (1, 3, 2, 8, 8), generator=seeded(), dtype=torch.uint8)
    changed = for_axes(Gamma(GammaOptions(probability=0)), "video")(
        Batch(clip, torch.zeros(1), ("a",), pixels), seeded()
    )
    assert changed.pixels is None
    torch.testing.assert_close(changed.input, (clip / 255 - 0.5) / 0.25)


def test_outside_of_the_body_is_0_again_wherever_it_went() -> None:
    batch = ball(10)
    image = torch.cat([batch.input * 3 + 5 * (batch.input > 0), batch.input], 1)
    transforms = [
        spatial(),
        Brightness(BrightnessOptions(probability=1)),
        GaussianNoise(GaussianNoiseOptions(probability=1, sigma=(0.1, 0.1))),
        ZeroOutside(ZeroOutsideOptions(channels=(0,))),
    ]
    changed = apply(transforms, Batch(image, batch.target, batch.cases), seeded())
    assert changed.mask is None
    assert torch.equal(changed.input[:, 0] != 0, changed.target > 0)
    assert (changed.input[:, 1] != 0).all()


def test_what_nobody_annotated_stays_unknown_and_ids_stay_ids() -> None:
    target = torch.randint(-1, 4, (4, 14, 14, 14), generator=seeded())
    target[:, :, :7] = -1
    moved = spatial()(Batch(noise(4, 1, 14, 14, 14), target, ("a",) * 4), seeded()).target
    assert set(moved.unique().tolist()) <= {-1, 0, 1, 2, 3}
    assert (moved == -1).any()


@given(st.integers(0, 100), st.lists(st.floats(-3, 3), min_size=3, max_size=3), st.floats(0.6, 1.6))
def test_labels_are_the_largest_interpolated_indicator(seed: int, angles: list[float], scale: float) -> None:
    labels = torch.randint(0, 3, (1, 6, 7, 5), generator=seeded(seed))
    matrix, size = rotation_matrix(angles) * scale, (5, 6, 7)
    scores = torch.cat([resample_linearly((labels == label).float(), matrix, size) for label in range(1, 3)])
    inside = resample_linearly(torch.ones(labels.shape), matrix, size)
    scores = torch.cat([inside - scores.sum(0, keepdim=True) + 1 - inside, scores])
    best = scores.topk(2, dim=0)
    clear = best.values[0] - best.values[1] > 2e-3
    assert torch.equal(resample_labels(labels, matrix, size)[0][clear], best.indices[0][clear])


@pytest.mark.parametrize(
    ("options", "values", "reason"),
    [
        (SpatialOptions, {"scaling": (1.4, 0.7)}, "scaling"),
        (GaussianNoiseOptions, {"sigma": (0.1, 0.0)}, "sigma"),
        (BrightnessOptions, {"factor": (1.1, 1.2)}, "has to include 1"),
        (GammaOptions, {"exponent": (0.5, 0.9)}, "has to include 1"),
        (LowResolutionOptions, {"zoom": (0.5, 1.5)}, "zoom"),
    ],
)
def test_impossible_ranges_are_refused(options: type[TransformOptions], values: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        options(**values)


def test_what_does_not_suit_the_input_is_refused() -> None:
    image, target = InputInfo("image", 2, (8, 8)), TargetInfo("voxel", "class", ("a", "b"))
    with pytest.raises(ValueError, match="slice_axis S is an axis of volumes"):
        SpatialOptions(slice_axis="S").check(image, target)
    with pytest.raises(ValueError, match=r"channels \[2\]: the inputs have 2"):
        ZeroOutsideOptions(channels=(0, 2)).check(image, target)
    SpatialOptions().check(image, target)
