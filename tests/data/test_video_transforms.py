"""From frames to the input of a model."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional

from medvid.config.video_augment import RandAugmentOptions, VideoAugmentOptions
from medvid.config.videos import VideoDatasetOptions
from medvid.data.video_transforms import normalise, test_clips, to_clip, train_clip

test_clips.__test__ = False  # not pytest's


def options(**values: object) -> VideoDatasetOptions:
    return VideoDatasetOptions.model_validate({"name": "videos", "root": "x", "size": 32, "antialias": False, **values})


def still(frames: int = 4, size: tuple[int, int] = (40, 60)) -> Tensor:
    """A clip of one and the same random picture (T, 3, H, W), smooth enough to be resized."""
    generator = torch.Generator().manual_seed(0)
    picture = functional.interpolate(torch.rand(1, 3, 6, 8, generator=generator), size, mode="bilinear")
    return (picture * 255).round().to(torch.uint8).expand(frames, -1, -1, -1)


EVERYTHING = {
    "resized_crop": {},
    "color_jitter": {"probability": 1.0, "drop": 0.3},
    "rand_augment": {"probability": 1.0},
}
PLAIN = {"horizontal_flip": 0.0, "short_side": [40, 40]}


@pytest.mark.parametrize("augment", [EVERYTHING, {}, {"short_side": [36, 50]}])
def test_all_frames_are_changed_alike(augment) -> None:
    changed = options(augment=augment)
    seen = [train_clip(still(), changed, seed) for seed in range(12)]
    for example in seen:
        assert (example.dtype, example.shape) == (torch.float32, (3, 4, 32, 32))
        assert example.is_contiguous()
        assert torch.equal(example, example[:, :1].expand_as(example))
    assert len({example.numpy().tobytes() for example in seen}) == 12


def test_the_seed_decides_everything_and_the_global_state_stays() -> None:
    changed = options(augment={**EVERYTHING, "random_erasing": {"probability": 1.0}})
    state = torch.get_rng_state()
    first = train_clip(still(), changed, 5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    assert torch.equal(train_clip(still(), changed, 5), first)
    assert not torch.equal(train_clip(still(), changed, 6), first)


def test_normalisation() -> None:
    clip = torch.randint(0, 256, (2, 3, 4, 5), dtype=torch.uint8)
    plain = normalise(clip, options())
    torch.testing.assert_close(plain, (clip.transpose(0, 1) / 255 - 0.45) / 0.225)
    centred = normalise(clip, options(mean=[0.5] * 3, std=[0.5] * 3))
    torch.testing.assert_close(centred, clip.transpose(0, 1) / 127.5 - 1)
    each = normalise(clip, options(mean=[0.1, 0.2, 0.3], std=[1, 2, 4]))
    torch.testing.assert_close(each[2], (clip[:, 2] / 255 - 0.3) / 4)


def test_crops_for_inference_are_pyslowfasts() -> None:
    """There: resized to the short side without averaging, then cut at the start, the middle and the end."""
    clip = still(2, (40, 61))
    for crops, short in ((1, 37), (3, 32)):
        wanted = options(augment={"short_side": [37, 45]}, test_short_side=None)
        found = test_clips(clip, wanted, crops)
        size = (short, int(61 * short / 40))
        resized = functional.interpolate(clip.float(), size, mode="bilinear", align_corners=False)
        top, free = -(-(short - 32) // 2), size[1] - 32
        lefts = [-(-free // 2)] if crops == 1 else [0, -(-free // 2), free]
        for crop, left in zip(found, lefts, strict=True):
            part = resized[..., top : top + 32, left : left + 32].transpose(0, 1)
            expected = (part / 255 - 0.45) / 0.225
            assert (crop - expected).abs().max() < 0.02  # it rounds to whole values first
    tall = test_clips(clip.transpose(2, 3), options(), 3)
    wide = test_clips(clip, options(), 3)
    torch.testing.assert_close(tall, wide.transpose(3, 4), atol=0.02, rtol=0)
    assert test_clips(clip, options(test_short_side=40), 3).shape == (3, 3, 2, 32, 32)


def test_random_crops_stay_within_and_reach_everywhere() -> None:
    height, width = np.mgrid[:40, :60]
    place = np.stack([height * 4, width * 4, height * 0], axis=2).astype(np.uint8)
    clip = to_clip(np.repeat(place[None], 2, axis=0))
    changed = options(augment=PLAIN, mean=[0, 0, 0], std=[1, 1, 1])
    corners = set()
    for seed in range(300):
        example = (train_clip(clip, changed, seed) * 255).round()
        top, left = int(example[0, 0, 0, 0]) // 4, int(example[1, 0, 0, 0]) // 4
        assert torch.equal(example, clip[:, :, top : top + 32, left : left + 32].transpose(0, 1).float())
        corners.add((top, left))
    assert {top for top, _ in corners} == set(range(9))
    assert {left for _, left in corners} == set(range(29))


def test_flips_and_their_probability() -> None:
    clip = still(size=(32, 32))
    mirrored = clip.flip(-1)
    expected = {probability: normalise(both, options()) for probability, both in ((0, clip), (1, mirrored))}
    square = {"short_side": [32, 32]}
    for probability, wanted in expected.items():
        changed = options(augment={**square, "horizontal_flip": probability})
        assert all(torch.equal(train_clip(clip, changed, seed), wanted) for seed in range(5))
    half = options(augment=square)
    flipped = sum(torch.equal(train_clip(clip, half, seed), expected[1]) for seed in range(200))
    assert 70 < flipped < 130


def test_resized_crops_have_the_asked_area() -> None:
    place = np.mgrid[:200, :200].transpose(1, 2, 0).astype(np.uint8)
    clip = to_clip(np.concatenate([place, place[..., :1]], axis=2)[None])
    crop = {"area": [0.08, 0.3], "aspect": [0.5, 2.0]}
    changed = options(augment={"resized_crop": crop, "horizontal_flip": 0}, mean=[0, 0, 0], std=[1, 1, 1])
    areas, aspects = [], []
    for seed in range(200):
        example = train_clip(clip, changed, seed) * 255
        sides = [(example[0, 0, -1, 0] - example[0, 0, 0, 0]), (example[1, 0, 0, -1] - example[1, 0, 0, 0])]
        height, width = (float(side) * 32 / 31 for side in sides)
        areas.append(height * width / 200**2)
        aspects.append(width / height)
    assert 0.07 < min(areas) < 0.1
    assert 0.28 < max(areas) < 0.32
    assert 0.45 < min(aspects) < 0.6
    assert 1.7 < max(aspects) < 2.2
    assert abs(np.log(aspects).mean()) < 0.1


def test_erasing_puts_noise_into_one_place_of_all_frames() -> None:
    clip, erasing = still(size=(32, 32)), {"probability": 1.0}
    square = {"short_side": [32, 32], "horizontal_flip": 0}
    before = train_clip(clip, options(augment=square), 0)
    shares = []
    for seed in range(60):
        after = train_clip(clip, options(augment={**square, "random_erasing": erasing}), seed)
        changed = (after != before).any(0)  # (T, H, W)
        assert torch.equal(changed, changed[:1].expand_as(changed))
        rows, columns = changed[0].any(1).nonzero()[:, 0], changed[0].any(0).nonzero()[:, 0]
        box = after[:, :, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert changed[0].sum() == box[0, 0].numel()  # a whole rectangle
        assert box.std() == pytest.approx(1, abs=0.35)
        assert not torch.equal(box[:, 0], box[:, 1])
        shares.append(float(changed[0].float().mean()))
    assert 0.01 < min(shares) < 0.1
    assert 0.25 < max(shares) < 0.36
    rarely = options(augment={**square, "random_erasing": {"probability": 0.25}})
    assert 25 < sum(not torch.equal(train_clip(clip, rarely, seed), before) for seed in range(200)) < 75


def test_colours_change_with_the_asked_probability() -> None:
    clip, square = still(2, (32, 32)), {"short_side": [32, 32], "horizontal_flip": 0}
    before = train_clip(clip, options(augment=square), 0)
    jitter = {"probability": 0.8, "drop": 0.0}
    changed = options(augment={**square, "color_jitter": jitter})
    assert 140 < sum(not torch.equal(train_clip(clip, changed, seed), before) for seed in range(200)) < 180
    gray = train_clip(clip, options(augment={**square, "color_jitter": {"probability": 0.0, "drop": 1.0}}), 0)
    assert torch.equal(gray[0], gray[2])


@pytest.mark.parametrize(("magnitude", "low", "high"), [(0.0, -1.0, 0.03), (10.0, 0.2, 10.0)])
def test_rand_augment_is_as_strong_as_asked(magnitude, low, high) -> None:
    clip, square = still(2, (32, 32)), {"short_side": [32, 32], "horizontal_flip": 0}
    before = train_clip(clip, options(augment=square), 0)
    strong = {"magnitude": magnitude, "magnitude_std": 0, "num_ops": 1, "probability": 1}
    changed = options(augment={**square, "rand_augment": strong})
    differences = [(train_clip(clip, changed, seed) - before).abs().mean() for seed in range(60)]
    assert low < np.median(differences) < high
    never = options(augment={**square, "rand_augment": {"probability": 0}})
    assert torch.equal(train_clip(clip, never, 1), before)


def test_the_published_settings_are_the_defaults() -> None:
    found = RandAugmentOptions()
    assert (found.magnitude, found.num_ops, found.magnitude_std, found.probability) == (7, 4, 0.5, 0.5)
    plain = VideoDatasetOptions(name="videos", root="x")
    assert (plain.short_side_range, plain.augment.horizontal_flip) == ((256, 320), 0.5)
    assert VideoDatasetOptions(name="videos", root="x", size=448).short_side_range == (512, 640)
    assert (plain.mean, plain.std) == ((0.45,) * 3, (0.225,) * 3)
    assert VideoAugmentOptions(resized_crop={}).resized_crop.model_dump() == {
        "area": (0.08, 1),
        "aspect": (0.75, 4 / 3),
    }
    assert plain.input_info().size == (16, 224, 224)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"augment": {"short_side": [20, 50]}}, "is smaller than size 32"),
        ({"augment": {"short_side": [50, 40]}}, "has to be the lower one"),
        ({"augment": {"short_side": [40, 50], "resized_crop": {}}}, "leave one of them out"),
        ({"augment": {"resized_crop": {"area": [0.5, 0.2]}}}, "has to be the lower one"),
        ({"augment": {"rate_jitter": [0.8, 1.2]}, "sampling": "segments"}, "spans all videos"),
        ({"augment": {"rand_augment": {"magnitude": 20}}}, "less than or equal to 10"),
        ({"test_short_side": 20}, "is smaller than size 32"),
        ({"std": [0, 1, 1]}, "greater than 0"),
        ({"classes": ["Cough", "no cough", "cough"]}, "'Cough' and 'cough' are the same class"),
        ({"reader": "opencv"}, "'auto', 'av' or 'decord'"),
    ],
)
def test_options_that_contradict_each_other(values, reason) -> None:
    with pytest.raises(ValidationError, match=reason):
        options(**values)
