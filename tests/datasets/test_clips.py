from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional

from medvid.data.videos.encoding import encode
from medvid.errors import DataError
from medvid_kinetics.clips import DIRECTIONS, FRAME_RATES, film, generate
from medvid_kinetics.config import ClipsOptions, KineticsOptions
from medvid_kinetics.data import Kinetics

TINY = ClipsOptions(train=2, validation=1, size=(32, 40))
ROOM, FRAMES, SPAN, SIDE = (48, 24), 4, 0.9, 16  # clips per class to fit and to score; frames over seconds; pixels


def decode(file: Path) -> tuple[np.ndarray, list[bool], Fraction]:
    """Frames (T, H, W, 3), which of them are key frames, and frames per second."""
    with av.open(str(file)) as container:
        frames = list(container.decode(video=0))
        pictures = np.stack([frame.to_ndarray(format="rgb24") for frame in frames])
        return pictures, [frame.key_frame for frame in frames], container.streams.video[0].average_rate


def test_the_demo_is_laid_out_as_kinetics(tmp_path: Path) -> None:
    generate(tmp_path / "clips", TINY)
    data = Kinetics(KineticsOptions(root=tmp_path / "clips", frames=4, size=16))
    assert data.target_info.names == tuple(sorted(DIRECTIONS)) == tuple(DIRECTIONS)
    assert data.cases("validation") == tuple(f"val/{name}/0001.mp4" for name in DIRECTIONS)
    assert len(data.cases("train")) == 8
    example = data.draw("train/moving up/0002.mp4", 0)
    assert (example.input.shape, example.target.tolist()) == ((1, 3, 4, 16, 16), [3])


def test_the_same_options_give_the_same_files_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        generate(tmp_path / name, ClipsOptions(train=1, validation=1, size=(32, 40), seed=seed))
    a, b, c = ([file.read_bytes() for file in sorted((tmp_path / name).rglob("*.mp4"))] for name in "abc")
    assert a == b
    assert len({*a, *c}) == 16


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.mp4").write_bytes(b"precious")
    with pytest.raises(DataError, match="was not made by the generator"):
        generate(tmp_path, TINY)
    assert (tmp_path / "mine.mp4").read_bytes() == b"precious"


def test_sizes_lengths_and_frame_rates_vary_within_their_ranges(tmp_path: Path) -> None:
    options = ClipsOptions(train=12, validation=1, size=(33, 49), seconds=(0.5, 0.8))
    generate(tmp_path / "clips", options)
    shapes, rates = set(), set()
    for file in (tmp_path / "clips" / "train").rglob("*.mp4"):
        pictures, _, rate = decode(file)
        shapes.add(pictures.shape[1:3])
        rates.add(rate)
        assert 0.5 - 0.5 / rate <= len(pictures) / rate <= 0.8 + 0.5 / rate
    heights, widths = zip(*shapes, strict=True)
    assert {*heights, *widths} == set(range(34, 49, 2))
    assert any(height > width for height, width in shapes)
    assert any(height < width for height, width in shapes)
    assert rates == set(FRAME_RATES)


@pytest.mark.parametrize("name", ["size", "seconds", "speed"])
def test_a_range_from_much_to_little_is_refused(name) -> None:
    with pytest.raises(ValidationError, match=f"{name} is \\[40.*lower one"):
        ClipsOptions.model_validate({name: (40, 20)})


def test_a_size_without_an_even_number_is_refused() -> None:
    with pytest.raises(ValidationError, match="no even number from 41 to 41"):
        ClipsOptions(size=(41, 41))


def test_an_object_moves_as_its_class_says() -> None:
    options = ClipsOptions(size=(64, 64), speed=(0.25, 0.25), seconds=(1, 1))
    for direction in DIRECTIONS.values():
        frames = film(np.random.default_rng(3), options, direction, Fraction(16))
        assert frames.shape == (16, 64, 64, 3)
        places = frames.min(axis=3) > 140  # the object is bright, the background dark
        moved = np.roll(places[0], 12 * np.array(direction), axis=(0, 1))  # 0.25 sides per second for 12 / 16 s
        assert places[0].sum() > 100
        assert (moved != places[12]).sum() < 0.05 * places[0].sum()  # but for pixels that it covers in part


def test_a_frame_is_decoded_alike_whatever_comes_before_and_after_it(tmp_path: Path) -> None:
    """So compression leaves nothing of the motion in it: a clip backwards is of another class with the same frames."""
    frames = film(np.random.default_rng(0), ClipsOptions(), DIRECTIONS["moving left"], Fraction(10))
    for name, pictures in (("forwards", frames), ("backwards", frames[::-1]), ("alone", frames[5:6])):
        encode(tmp_path / f"{name}.mp4", pictures, Fraction(10))
    forwards, keys, _ = decode(tmp_path / "forwards.mp4")
    np.testing.assert_array_equal(decode(tmp_path / "backwards.mp4")[0][::-1], forwards)
    np.testing.assert_array_equal(decode(tmp_path / "alone.mp4")[0][0], forwards[5])
    assert all(keys)
    assert np.abs(forwards.astype(int) - frames).mean() < 6


def test_what_a_clip_shows_but_its_motion_does_not_depend_on_its_class() -> None:
    """The first frames of the same draw are equal for all classes."""
    options = ClipsOptions(size=(32, 32))
    first, *others = (film(np.random.default_rng(7), options, way, Fraction(10)) for way in DIRECTIONS.values())
    for other in others:
        np.testing.assert_array_equal(other[0], first[0])
        assert (other[1:] != first[1:]).any()


class Classifier(nn.Sequential):
    """A small convolutional network on frames side by side (B, 3 * frames, H, W); places go round the edges."""

    def __init__(self, frames: int) -> None:
        layers: list[nn.Module] = []
        for channels, out in ((3 * frames, 24), (24, 32), (32, 48)):
            layers += [
                nn.Conv2d(channels, out, 3, padding=1, stride=1 + (out == 24), padding_mode="circular"),
                nn.BatchNorm2d(out),
                nn.ReLU(),
            ]
        super().__init__(*layers, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(48, len(DIRECTIONS)))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Tensor, Tensor]]:
    """Decoded frames (N, FRAMES, 3, SIDE, SIDE) and classes (N,) of each split."""
    folder = tmp_path_factory.mktemp("clips") / "clips"
    generate(folder, ClipsOptions(train=ROOM[0], validation=ROOM[1], size=(32, 40)))
    return {split: read(folder / split) for split in ("train", "val")}


def read(folder: Path) -> tuple[Tensor, Tensor]:
    inputs, targets = [], []
    for label, name in enumerate(DIRECTIONS):
        for file in sorted((folder / name).iterdir()):
            frames, _, rate = decode(file)
            chosen = frames[(np.linspace(0, SPAN, FRAMES) * float(rate)).astype(int)]
            side = min(chosen.shape[1:3])
            square = torch.from_numpy(chosen[:, :side, :side]).permute(0, 3, 1, 2).float() / 255
            inputs.append(functional.interpolate(square, (SIDE, SIDE), mode="bilinear", antialias=True))
            targets.append(label)
    return torch.stack(inputs), torch.tensor(targets)


def accuracy(train: tuple[Tensor, Tensor], held_out: tuple[Tensor, Tensor]) -> float:
    """Share of right answers on pictures (N, C, H, W), after 25 passes over the others."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Classifier(train[0].shape[1] // 3)
        optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
        for _ in range(25):
            for batch in torch.randperm(len(train[0])).split(48):
                optimizer.zero_grad()
                functional.cross_entropy(model(train[0][batch]), train[1][batch]).backward()
                optimizer.step()
        model.eval()
        with torch.inference_mode():
            return (model(held_out[0]).argmax(dim=1) == held_out[1]).float().mean().item()


def test_four_frames_tell_the_class_and_one_does_not(pictures) -> None:
    """The same network in the same training; 96 held-out clips, so that 0.25 by chance has a deviation of 0.044."""
    stacked = {split: (frames.flatten(1, 2), classes) for split, (frames, classes) in pictures.items()}
    assert accuracy(stacked["train"], stacked["val"]) > 0.8
    for index in (0, FRAMES - 1):
        single = {split: (frames[:, index], classes) for split, (frames, classes) in pictures.items()}
        assert accuracy(single["train"], single["val"]) < 0.25 + 3 * 0.044
