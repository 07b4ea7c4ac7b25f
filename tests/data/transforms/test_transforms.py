"""The transforms that medvid ships, on examples of known content."""

import numpy as np
import pytest
import torch
from monai.transforms import RandFlip, RandRotate90
from pydantic import ValidationError
from torch import Tensor

from medvid.config.options import TransformOptions
from medvid.data.batch import Batch, Pixels
from medvid.data.transform import Transform, apply, drawing_from
from medvid.data.transforms.colour import ColorJitter, RandAugment
from medvid.data.transforms.erasing import RandomErasing
from medvid.data.transforms.geometry import Flip, HorizontalFlip, Rotate90, Rotation, VerticalFlip
from medvid.data.transforms.intensity import ScaleIntensity, ShiftIntensity
from medvid.data.transforms.options import (
    ColorJitterOptions,
    FlipOptions,
    HorizontalFlipOptions,
    RandAugmentOptions,
    RandomErasingOptions,
    Rotate90Options,
    RotationOptions,
    ScaleIntensityOptions,
    ShiftIntensityOptions,
    VerticalFlipOptions,
)
from medvid.plugin.info import InputInfo, TargetInfo

VOXELS = TargetInfo("voxel", "class", ("a", "b"))
CASES = TargetInfo("case", "class", ("a", "b"))


def labelled(*size: int, examples: int = 1) -> Batch:
    """Every voxel has its own number as value, and as label."""
    target = torch.arange(int(np.prod(size))).reshape(1, *size).expand(examples, *size)
    return Batch(target[:, None].float(), target, ("a",) * examples)


def video(examples: int = 1, frames: int = 4) -> Batch:
    """One and the same random picture in all frames, as bytes."""
    picture = torch.randint(0, 256, (examples, 3, 1, 32, 32), generator=seeded(0), dtype=torch.uint8)
    pixels = Pixels(torch.full((3,), 0.45), torch.full((3,), 0.225), (None,) * examples)
    return Batch(picture.expand(-1, -1, frames, -1, -1), torch.zeros(examples).long(), ("a",) * examples, pixels)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def changed(transform: Transform, batch: Batch, seed: int = 0) -> Batch:
    return transform(batch, seeded(seed))


@pytest.mark.parametrize(
    ("transform", "size"),
    [
        (HorizontalFlip(HorizontalFlipOptions()), (6, 8)),
        (VerticalFlip(VerticalFlipOptions()), (6, 8)),
        (Flip(FlipOptions(probability=0.5)), (4, 6, 8)),
        (Rotate90(Rotate90Options(probability=0.8)), (6, 6)),
        (Rotate90(Rotate90Options(probability=0.8)), (6, 6, 3)),
        (HorizontalFlip(HorizontalFlipOptions()), (2, 6, 8)),
    ],
)
def test_labels_move_with_their_voxels(transform: Transform, size: tuple[int, ...]) -> None:
    moved = changed(transform, labelled(*size, examples=40))
    assert torch.equal(moved.input[:, 0].long(), moved.target)
    assert 2 <= len({example.numpy().tobytes() for example in moved.target}) <= 8


@pytest.mark.parametrize("axes", [("R",), ("A", "S"), ("R", "A", "S")])
def test_only_the_asked_axes_are_mirrored_each_as_often_as_asked(axes: tuple[str, ...]) -> None:
    flip = Flip(FlipOptions(axes=axes, probability=0.2))
    moved = changed(flip, labelled(8, 8, 8, examples=600))
    corners = np.stack(np.unravel_index(moved.target[:, 0, 0, 0].numpy(), (8, 8, 8))) == 7
    wanted = [0.2 if axis in axes else 0.0 for axis in "RAS"]
    np.testing.assert_allclose(corners.mean(axis=1), wanted, atol=0.05)
    if len(axes) == 3:
        assert abs((corners[0] & corners[1]).mean() - 0.04) < 0.03


def test_flips_and_turns_are_those_of_monai() -> None:
    image = labelled(6, 6, 4).input
    for index, axis in enumerate("RAS"):
        ours = changed(Flip(FlipOptions(axes=(axis,), probability=1)), labelled(6, 6, 4)).input
        assert torch.equal(ours[0], RandFlip(1.0, index)(image[0]).as_tensor())
    turned = [changed(Rotate90(Rotate90Options(probability=1)), labelled(6, 6, 4), seed).input[0] for seed in range(30)]
    monais = [RandRotate90(1.0, 3).set_random_state(seed)(image[0]).as_tensor() for seed in range(30)]
    assert {each.numpy().tobytes() for each in turned} == {each.numpy().tobytes() for each in monais}


def test_rotations_keep_label_ids_and_bring_in_background() -> None:
    batch = Batch(torch.ones(1, 3, 24, 24), torch.ones(1, 24, 24).long(), ("a",))
    turned = changed(Rotation(RotationOptions(degrees=40)), batch, 3)
    assert set(turned.target.unique().tolist()) == {0, 1}
    assert (turned.input[0, :, 0, 0] == 0).all()


@pytest.mark.parametrize(
    ("transform", "low", "high"),
    [
        (ScaleIntensity(ScaleIntensityOptions(range=0.1, probability=1)), 0.45, 0.55),
        (ShiftIntensity(ShiftIntensityOptions(range=0.1, probability=1)), 0.4, 0.6),
    ],
)
def test_intensities_change_within_their_range(transform: Transform, low: float, high: float) -> None:
    batch = Batch(torch.full((80, 1, 2, 2, 2), 0.5), torch.zeros(80, 2, 2, 2).long(), ("a",) * 80)
    values = changed(transform, batch).input
    assert torch.equal(values, values[..., :1, :1, :1].expand_as(values))
    assert low <= values.min() < values.max() <= high
    assert values.max() - values.min() > 0.9 * (high - low)


def test_intensities_change_as_often_as_asked() -> None:
    batch = Batch(torch.ones(500, 1, 2, 2), torch.zeros(500).long(), ("a",) * 500)
    values = changed(ScaleIntensity(ScaleIntensityOptions(probability=0.1)), batch).input[:, 0, 0, 0]
    assert 25 < (values != 1).sum() < 80


COLOURS = (
    ColorJitter(ColorJitterOptions(probability=1.0, drop=0.3)),
    RandAugment(RandAugmentOptions(probability=1.0)),
)


@pytest.mark.parametrize("transform", COLOURS)
def test_all_frames_are_changed_alike(transform: Transform) -> None:
    seen = [changed(transform, video(), seed).input for seed in range(12)]
    for example in seen:
        assert (example.dtype, example.shape) == (torch.uint8, (1, 3, 4, 32, 32))
        assert torch.equal(example, example[:, :, :1].expand_as(example))
    assert len({example.numpy().tobytes() for example in seen}) == 12


def test_colours_change_with_the_asked_probability() -> None:
    jitter = ColorJitter(ColorJitterOptions(probability=0.8, drop=0.0))
    before, after = video(200, 1), changed(jitter, video(200, 1))
    assert 140 < sum(not torch.equal(*pair) for pair in zip(before.input, after.input, strict=True)) < 180
    gray = changed(ColorJitter(ColorJitterOptions(probability=0.0, drop=1.0)), video()).input[0]
    assert torch.equal(gray[0], gray[2])


@pytest.mark.parametrize(("magnitude", "low", "high"), [(0.0, -1.0, 2), (10.0, 10, 255)])
def test_rand_augment_is_as_strong_as_asked(magnitude: float, low: float, high: float) -> None:
    strong = RandAugment(RandAugmentOptions(magnitude=magnitude, magnitude_std=0, num_ops=1, probability=1))
    before = video(60, 1)
    differences = (changed(strong, before).input.float() - before.input).abs().mean(dim=(1, 2, 3, 4))
    assert low < differences.median() < high
    assert torch.equal(changed(RandAugment(RandAugmentOptions(probability=0)), before).input, before.input)


def test_areas_from_outside_get_the_data_sets_mean_colour() -> None:
    white = Batch(torch.full((40, 3, 1, 32, 32), 255, dtype=torch.uint8), torch.zeros(40).long(), ("a",) * 40)
    white = Batch(
        white.input, white.target, white.cases, Pixels(torch.tensor([0.2, 0.4, 0.6]), torch.ones(3), (None,) * 40)
    )
    corners = changed(RandAugment(RandAugmentOptions(num_ops=1, magnitude=10, probability=1)), white).input[
        ..., 0, 0, 0
    ]
    assert [51, 102, 153] in corners.tolist()


def test_erasing_puts_noise_into_one_place_of_all_frames() -> None:
    erasing = RandomErasing(RandomErasingOptions(probability=1.0))
    plain = video().to(torch.device("cpu")).input[0]
    shares = []
    for seed in range(60):
        erased = changed(erasing, video(), seed)
        assert torch.equal(erased.input, video().input)  # bytes: after they are normalised
        after = erased.to(torch.device("cpu")).input[0]
        shares.append(float(noise_in(after, plain).mean()))
    assert 0.01 < min(shares) < 0.1
    assert 0.25 < max(shares) < 0.36


def noise_in(after: Tensor, before: Tensor) -> Tensor:
    """Where an example (C, T, H, W) was erased (H, W): a rectangle of noise, at one place in all frames."""
    place = (after != before).any(0)
    assert torch.equal(place, place[:1].expand_as(place))
    rows, columns = place[0].any(1).nonzero()[:, 0], place[0].any(0).nonzero()[:, 0]
    box = after[:, :, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert place[0].sum() == box[0, 0].numel()
    assert box.std() == pytest.approx(1, abs=0.35)
    assert not torch.equal(box[:, 0], box[:, 1])
    return place[0].float()


def test_erasing_of_numbers_and_its_probability() -> None:
    before = Batch(torch.zeros(200, 3, 16, 16), torch.zeros(200).long(), ("a",) * 200)
    after = changed(RandomErasing(RandomErasingOptions(probability=0.25)), before)
    assert 25 < int((after.input != 0).flatten(1).any(1).sum()) < 75


def test_a_list_is_applied_in_its_order_from_one_generator() -> None:
    first, second = (
        ScaleIntensity(ScaleIntensityOptions(probability=1)),
        ShiftIntensity(ShiftIntensityOptions(probability=1)),
    )
    generator = seeded(4)
    expected = second(first(labelled(4, 4), generator), generator)
    assert torch.equal(apply([first, second], labelled(4, 4), seeded(4)).input, expected.input)
    assert not torch.equal(apply([second, first], labelled(4, 4), seeded(4)).input, expected.input)


def test_torchvisions_draws_come_from_the_generator_and_move_it_on() -> None:
    state, generator = torch.get_rng_state(), seeded(3)
    with drawing_from(generator):
        drawn = torch.rand(2)
    assert torch.equal(torch.cat([drawn, torch.rand(2, generator=generator)]), torch.rand(4, generator=seeded(3)))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("options", "size", "target", "words"),
    [
        (Rotate90Options(), (64, 96, 32), VOXELS, "the first two numbers have to be equal"),
        (Rotate90Options(), (64, 64, 32), VOXELS, ""),
        (RandAugmentOptions(), (4, 64, 64), VOXELS, "would leave their labels where they were"),
        (RandAugmentOptions(), (4, 64, 64), CASES, ""),
    ],
)
def test_what_a_transform_cannot_change_is_refused(
    options: TransformOptions, size: tuple[int, ...], target: TargetInfo, words: str
) -> None:
    given = InputInfo("volume" if target is VOXELS else "video", 1, size)
    if not words:
        options.check(given, target)
        return
    with pytest.raises(ValueError, match=words):
        options.check(given, target)


def test_the_published_settings_are_the_defaults() -> None:
    found = RandAugmentOptions()
    assert (found.magnitude, found.num_ops, found.magnitude_std, found.probability) == (7, 4, 0.5, 0.5)
    erasing = RandomErasingOptions()
    assert (erasing.probability, erasing.area, erasing.aspect) == (0.25, (0.02, 1 / 3), (0.3, 1 / 0.3))
    with pytest.raises(ValidationError, match="less than or equal to 10"):
        RandAugmentOptions(magnitude=20)
    with pytest.raises(ValidationError, match="has to be the lower one"):
        RandomErasingOptions(area=(0.5, 0.2))
