"""Changes that are left to the device are those that the loader would have made."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medvid.config.options import TransformOptions
from medvid.data.batch import Batch, Erased, Pixels, collate
from medvid.data.dataset import Dataset
from medvid.data.loading.batches import training_batches
from medvid.data.loading.workers import Loading
from medvid.data.transform import Transform, apply, initial_size
from medvid.data.transforms.deferred import Deferred, count_deferred, defer, placed
from medvid.data.transforms.options import (
    ColorJitterOptions,
    FlipOptions,
    HorizontalFlipOptions,
    Rotate90Options,
    ScaleIntensityOptions,
    ShiftIntensityOptions,
    VerticalFlipOptions,
)
from medvid.data.transforms.resampling import resample_labels
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
from medvid.data.transforms.spatial import rotation_matrix
from medvid.errors import ConfigError
from medvid.plugin.host import make_host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.plugin.specs import Axes
from medvid.testing.fake_gpu import META, NoMixing
from medvid.testing.toy import ToyDataset, ToyOptions

HOST, CPU = make_host(), torch.device("cpu")
SIZES: dict[Axes, tuple[int, ...]] = {"image": (12, 12), "volume": (12, 12, 8), "video": (4, 12, 12)}
HALF = {"probability": 0.5}
TURN = SpatialOptions(rotation_probability=0.5, scaling_probability=0.5)
OF_INTENSITIES: tuple[TransformOptions, ...] = (
    GaussianNoiseOptions(**HALF),
    GaussianBlurOptions(**HALF),
    BrightnessOptions(**HALF),
    ContrastOptions(**HALF),
    LowResolutionOptions(**HALF),
    GammaOptions(**HALF),
    GammaOptions(inverted=True, **HALF),
)
OF_IMAGES = (ScaleIntensityOptions(**HALF), ShiftIntensityOptions(**HALF), Rotate90Options(**HALF))
FLIPS = (HorizontalFlipOptions(), VerticalFlipOptions())
CHANGES: dict[Axes, tuple[TransformOptions, ...]] = {
    "volume": (TURN, *OF_INTENSITIES, *OF_IMAGES, FlipOptions(**HALF), ZeroOutsideOptions(channels=(1,))),
    "image": (TURN, *OF_INTENSITIES, *OF_IMAGES, *FLIPS, ZeroOutsideOptions()),
    "video": (TURN, *OF_INTENSITIES, *FLIPS, ZeroOutsideOptions()),
}
EACH = [(axes, options) for axes, changes in CHANGES.items() for options in changes]


def built(axes: Axes, *options: TransformOptions) -> tuple[Transform, ...]:
    transforms = tuple(HOST.build(each) for each in options)
    for transform in transforms:
        transform.axes = axes
    return transforms


def example(axes: Axes, seed: int, transforms: Sequence[Transform] = ()) -> Batch:
    """Two examples, cut larger where transforms ask for it, labelled per voxel."""
    random, size = torch.Generator().manual_seed(seed), SIZES[axes]
    larger = initial_size(transforms, size)
    values = torch.rand(2, 3, *larger, generator=random)
    values[..., :5] = 0
    target = torch.randint(-1, 3, (2, *larger), generator=random).to(torch.int8)
    return Batch(values, target, (f"case {seed}",) * 2, size=size)


def drawn(axes: Axes, transforms: Sequence[Transform], seeds: Sequence[int] = range(6)) -> Batch:
    """A batch of examples of several cases, changed by transforms, as a data set and the loader make it."""
    return collate(
        [apply(transforms, example(axes, seed, transforms), torch.Generator().manual_seed(seed)) for seed in seeds]
    )


@pytest.mark.parametrize(("axes", "options"), EACH, ids=[f"{axes}-{options.name}" for axes, options in EACH])
def test_each_changes_on_the_device_what_it_changes_in_the_loader(axes: Axes, options: TransformOptions) -> None:
    transforms = built(axes, options)
    waiting = drawn(axes, defer(transforms))
    assert len(waiting.pending) == 6
    wanted, found = drawn(axes, transforms).to(CPU), waiting.to(CPU)
    assert found.input.shape[2:] == SIZES[axes]
    assert options.name == "zero_outside" or not torch.equal(found.input, drawn(axes, ()).input)
    assert torch.equal(found.input, wanted.input)
    assert torch.equal(found.target, wanted.target)
    assert (found.cases, found.pending, found.mask, found.size) == (wanted.cases, (), None, None)


@pytest.mark.parametrize("axes", CHANGES)
def test_all_of_them_together(axes: Axes) -> None:
    transforms = built(axes, *CHANGES[axes])
    found = drawn(axes, defer(transforms)).to(CPU)
    assert torch.equal(found.input, drawn(axes, transforms).to(CPU).input)


@pytest.mark.parametrize("axes", CHANGES)
def test_no_value_is_read_and_nothing_left_behind(axes: Axes) -> None:
    waiting = drawn(axes, defer(built(axes, *CHANGES[axes])))
    with NoMixing():
        there = waiting.to(META)
    assert (there.input.device, there.target.device) == (META, META)
    assert there.input.shape == (12, 3, *SIZES[axes])


def test_what_is_left_behind_would_be_found() -> None:
    with NoMixing(), pytest.raises(RuntimeError, match=r"index_select.* gets tensors of cpu and meta"):
        torch.zeros(3, device=META).index_select(0, torch.arange(2))


@given(st.integers(0, 100), st.lists(st.floats(-3, 3), min_size=3, max_size=3), st.floats(0.6, 1.6), st.booleans())
def test_labels_do_not_depend_on_how_they_are_found(seed: int, angles: list[float], scale: float, plane: bool) -> None:
    shape, size = ((2, 6, 7), (5, 6)) if plane else ((2, 6, 7, 5), (5, 6, 7))
    labels = torch.randint(-1, 3, shape, generator=torch.Generator().manual_seed(seed)).to(torch.int8)
    matrix = rotation_matrix(angles[: 1 if plane else 3]) * scale
    sparse, dense = (resample_labels(labels, matrix, size, sparse=sparse) for sparse in (True, False))
    assert torch.equal(sparse, dense)


def test_bytes_are_changed_before_they_are_normalised_and_erased_as_in_the_loader() -> None:
    erased = Erased(2, 3, torch.full((3, 4, 5, 5), 9.0))
    pixels = Pixels(torch.full((3,), 0.5), torch.full((3,), 0.25), (None, erased))
    clip = torch.randint(0, 256, (2, 3, 4, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    batch = Batch(clip, torch.zeros(2).long(), ("a", "b"), pixels)
    [flip] = built("video", HorizontalFlipOptions(probability=1))
    for transforms in ((flip,), (flip, *built("video", GammaOptions(probability=1)))):
        wanted, found = (
            apply(each, batch, torch.Generator().manual_seed(1)).to(CPU) for each in (transforms, defer(transforms))
        )
        assert torch.equal(found.input, wanted.input)
        assert (found.input == 9).any() == (len(transforms) == 1)


def test_the_loader_makes_those_before_one_of_colours() -> None:
    jitter, flip, gamma = built("image", ColorJitterOptions(), HorizontalFlipOptions(), GammaOptions())
    kept, last = defer((flip, jitter, gamma, flip))[:2], defer((flip, jitter, gamma, flip))[2:]
    assert kept == (flip, jitter)
    assert [each.transforms for each in last if isinstance(each, Deferred)] == [(gamma, flip)]
    assert defer((flip, jitter)) == (flip, jitter)


class Turned(ToyDataset):
    """The toy data set, which applies its transforms."""

    transforms_last = True

    def draw(self, case: str, seed: int) -> Batch:
        return apply(self.transforms, super().draw(case, seed), torch.Generator().manual_seed(seed))


def turned(kind: type[Dataset] = Turned, *options: TransformOptions) -> Dataset:
    given, target = InputInfo("volume", 2, SIZES["volume"]), TargetInfo("voxel", "class", ("a", "b"))
    dataset = kind(ToyOptions.of(given, target))
    dataset.transforms = built("volume", *options)
    return dataset


def test_it_does_not_matter_which_process_loads() -> None:
    dataset = turned(Turned, TURN, GaussianNoiseOptions(**HALF), FlipOptions())
    streams = []
    for transforms, workers in (
        (dataset.transforms, 0),
        (defer(dataset.transforms), 0),
        (defer(dataset.transforms), 2),
    ):
        dataset.transforms = transforms
        cases, loading = dataset.cases("train"), Loading(workers)
        loaded = training_batches(dataset, cases, seed=3, batch_size=2, first=2, stop=5, loading=loading)
        streams.append([batch.to(CPU) for batch in loaded])
    for here, later, elsewhere in zip(*streams, strict=True):
        assert torch.equal(here.input, later.input)
        assert torch.equal(here.input, elsewhere.input)
        assert torch.equal(here.target, elsewhere.target)


def test_where_they_follow_is_said_or_decided_by_the_device() -> None:
    dataset, gpu = turned(Turned, TURN, FlipOptions()), torch.device("cuda")
    for where, device, count in [("auto", CPU, 2), ("auto", gpu, 1), ("loader", gpu, 2), ("device", CPU, 1)]:
        assert len(placed(dataset, where, device)) == count
        assert count_deferred(placed(dataset, where, device)) == 2 * (count == 1)
    later = turned(ToyDataset, FlipOptions())
    assert placed(later, "auto", gpu) == later.transforms
    with pytest.raises(ConfigError, match="data set toy cannot be made there: its examples are finished later"):
        placed(later, "device", gpu)
    with pytest.raises(ConfigError, match="the last of the list cannot"):
        placed(turned(Turned, FlipOptions(), ColorJitterOptions()), "device", CPU)
    assert placed(turned(), "device", CPU) == ()


def test_the_type_of_targets_is_that_of_the_loader() -> None:
    """Such as of regions, which travel as small integers and are trained on as floats."""
    dataset = turned(Turned, FlipOptions())
    dataset.transforms = defer(dataset.transforms)
    batch = dataset.draw("train/0", 0).then(lambda batch: Batch(batch.input, batch.target.float(), batch.cases))
    assert batch.target.dtype == torch.int64
    assert batch.to(CPU).target.dtype == torch.float32
