"""From frames to the input of a model."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional

from medvid.data.transforms.options import HorizontalFlipOptions
from medvid.data.videos.options import VideoDatasetOptions
from medvid.data.videos.transforms import normalise, random_crop, test_clips, to_clip

test_clips.__test__ = False  # not pytest's


def options(**values: object) -> VideoDatasetOptions:
    return VideoDatasetOptions.model_validate({"name": "videos", "root": "x", "size": 32, "antialias": False, **values})


def crop(clip: Tensor, chosen: VideoDatasetOptions, seed: int) -> Tensor:
    """A training crop (3, T, H, W)."""
    cropped = random_crop(clip, chosen, torch.Generator().manual_seed(seed))
    assert cropped.dtype == torch.uint8
    return cropped.transpose(0, 1)


def still(frames: int = 4, size: tuple[int, int] = (40, 60)) -> Tensor:
    """A clip of one and the same random picture (T, 3, H, W), smooth enough to be resized."""
    generator = torch.Generator().manual_seed(0)
    picture = functional.interpolate(torch.rand(1, 3, 6, 8, generator=generator), size, mode="bilinear")
    return (picture * 255).round().to(torch.uint8).expand(frames, -1, -1, -1)


@pytest.mark.parametrize("chosen", [{"resized_crop": {}}, {}, {"short_side": [36, 50]}])
def test_all_frames_are_cropped_alike_and_the_generator_decides(chosen: dict) -> None:
    state = torch.get_rng_state()
    seen = [crop(still(), options(**chosen), seed) for seed in range(12)]
    assert torch.equal(torch.get_rng_state(), state)
    for example in seen:
        assert example.shape == (3, 4, 32, 32)
        assert torch.equal(example, example[:, :1].expand_as(example))
    assert len({example.numpy().tobytes() for example in seen}) == 12
    assert torch.equal(crop(still(), options(**chosen), 5), seen[5])


def test_a_margin_of_the_mean_colour_is_cut_into() -> None:
    chosen = options(margin=6, short_side=[40, 40], mean=[0.2, 0.4, 0.6])
    clip = torch.full((2, 3, 40, 40), 255, dtype=torch.uint8)
    colours = {tuple(column.tolist()) for seed in range(30) for column in crop(clip, chosen, seed).flatten(1).T}
    assert colours == {(255, 255, 255), (51, 102, 153)}
    [shares] = torch.stack([(crop(clip, chosen, seed) == 255).all(0)[None] for seed in range(30)]).float().mean(0)
    assert shares[:, 10:22, 10:22].min() == 1  # at most 6 of 32 columns are margin
    assert shares[:, 0].max() < 1
    with pytest.raises(ValidationError, match="margin and resized_crop cannot be combined"):
        options(margin=1, resized_crop={})


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
        wanted = options(short_side=[37, 45], test_short_side=None)
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
    corners = set()
    for seed in range(300):
        example = crop(clip, options(short_side=[40, 40]), seed)
        top, left = int(example[0, 0, 0, 0]) // 4, int(example[1, 0, 0, 0]) // 4
        assert torch.equal(example, clip[:, :, top : top + 32, left : left + 32].transpose(0, 1))
        corners.add((top, left))
    assert {top for top, _ in corners} == set(range(9))
    assert {left for _, left in corners} == set(range(29))


def test_resized_crops_have_the_asked_area() -> None:
    place = np.mgrid[:200, :200].transpose(1, 2, 0).astype(np.uint8)
    clip = to_clip(np.concatenate([place, place[..., :1]], axis=2)[None])
    chosen = options(resized_crop={"area": [0.08, 0.3], "aspect": [0.5, 2.0]})
    areas, aspects = [], []
    for seed in range(200):
        example = crop(clip, chosen, seed).float()
        sides = [(example[0, 0, -1, 0] - example[0, 0, 0, 0]), (example[1, 0, 0, -1] - example[1, 0, 0, 0])]
        height, width = (float(side) * 32 / 31 for side in sides)
        areas.append(height * width / 200**2)
        aspects.append(width / height)
    assert 0.07 < min(areas) < 0.1
    assert 0.28 < max(areas) < 0.32
    assert 0.45 < min(aspects) < 0.6
    assert 1.7 < max(aspects) < 2.2
    assert abs(np.log(aspects).mean()) < 0.1


def test_the_published_settings_are_the_defaults() -> None:
    plain = VideoDatasetOptions(name="videos", root="x")
    assert (plain.short_side_range, plain.augment) == ((256, 320), (HorizontalFlipOptions(probability=0.5),))
    assert VideoDatasetOptions(name="videos", root="x", size=448).short_side_range == (512, 640)
    assert (plain.mean, plain.std) == ((0.45,) * 3, (0.225,) * 3)
    assert options(resized_crop={}).resized_crop.model_dump() == {"area": (0.08, 1), "aspect": (0.75, 4 / 3)}
    assert plain.input_info().size == (16, 224, 224)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"short_side": [20, 50]}, "is smaller than size 32"),
        ({"short_side": [50, 40]}, "has to be the lower one"),
        ({"short_side": [40, 50], "resized_crop": {}}, "leave one of them out"),
        ({"resized_crop": {"area": [0.5, 0.2]}}, "has to be the lower one"),
        ({"rate_jitter": [0.8, 1.2], "sampling": "segments"}, "spans the video"),
        ({"test_short_side": 20}, "is smaller than size 32"),
        ({"std": [0, 1, 1]}, "greater than 0"),
        ({"classes": ["Cough", "no cough", "cough"]}, "'Cough' and 'cough' are the same class"),
        ({"reader": "opencv"}, "'auto', 'av' or 'decord'"),
    ],
)
def test_options_that_contradict_each_other(values, reason) -> None:
    with pytest.raises(ValidationError, match=reason):
        options(**values)
