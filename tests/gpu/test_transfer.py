"""Batches that are copied while a step runs on another one, on a GPU."""

import pytest
import torch
from tests.gpu.small import HOST, NEEDS_GPU
from torch import Tensor

from medvid.data.batch import Batch, Erased, Pixels, collate
from medvid.data.loading.transfer import on_device
from medvid.data.transform import apply, initial_size
from medvid.data.transforms.deferred import defer
from medvid.data.transforms.options import FlipOptions
from medvid.data.transforms.scan_options import (
    ContrastOptions,
    GammaOptions,
    GaussianBlurOptions,
    GaussianNoiseOptions,
    LowResolutionOptions,
    SpatialOptions,
    ZeroOutsideOptions,
)

pytestmark = NEEDS_GPU

ALWAYS = (
    (SpatialOptions, {"rotation_probability": 1.0, "scaling_probability": 1.0}),
    (GaussianNoiseOptions, {"probability": 1.0}),
    (GaussianBlurOptions, {"probability": 1.0}),
    (ContrastOptions, {"probability": 1.0}),
    (LowResolutionOptions, {"probability": 1.0}),
    (GammaOptions, {"probability": 1.0}),
    (FlipOptions, {"probability": 0.5}),
    (ZeroOutsideOptions, {}),
)
BEHIND = 20_000_000
"""Cycles by which the device lags behind the host: about 10 ms."""


def clips(seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randint(0, 256, (4, 3, 8, 64, 64), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 400, (4,), dtype=torch.int16, generator=generator)
    erased = (None, Erased(3, 5, torch.randn(3, 8, 20, 30, generator=generator)), None, None)
    return Batch(frames, labels, tuple("abcd"), Pixels(torch.tensor([0.4, 0.5, 0.6]), torch.full((3,), 0.225), erased))


def test_changes_that_follow_on_the_device_are_those_of_a_cpu() -> None:
    """Within the rounding of other kernels; a label may differ where two of them lie equally far."""
    size = (24, 20, 16)
    transforms = tuple(HOST.build(options(**chosen)) for options, chosen in ALWAYS)
    for transform in transforms:
        transform.axes = "volume"
    larger = initial_size(transforms, size)

    def scans(seed: int) -> Batch:
        generator = torch.Generator().manual_seed(seed)
        labels = torch.randint(0, 3, (1, 6, 6, 6), generator=generator).to(torch.uint8)
        for axis in (1, 2, 3):
            labels = labels.repeat_interleave(8, axis).narrow(axis, 0, larger[axis - 1])
        values = labels[:, None] + torch.rand(1, 2, *larger, generator=generator)
        return apply(defer(transforms), Batch(values, labels, ("a",), size=size), generator)

    device = torch.device("cuda", torch.cuda.current_device())
    stream = on_device((collate([scans(2 * n), scans(2 * n + 1)]) for n in range(4)), device, torch.contiguous_format)
    for number, batch in enumerate(stream):
        wanted = collate([scans(2 * number), scans(2 * number + 1)]).to(torch.device("cpu"))
        torch.testing.assert_close(batch.input.cpu(), wanted.input, rtol=1e-3, atol=1e-3)
        assert (batch.target.cpu() != wanted.target).float().mean() < 1e-3


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last_3d])
def test_they_arrive_whole_once_and_with_the_bits_of_a_cpu(memory_format: torch.memory_format) -> None:
    device, cpu = torch.device("cuda", torch.cuda.current_device()), torch.device("cpu")
    seen: list[tuple[Tensor, Tensor]] = []
    for batch in on_device(map(clips, range(12)), device, memory_format):
        assert batch.input.is_contiguous(memory_format=memory_format)
        torch.cuda._sleep(BEHIND)
        seen.append((batch.input.clone(), batch.target.clone()))
    assert len(seen) == 12
    for number, (values, labels) in enumerate(seen):
        wanted = clips(number).to(cpu)
        assert torch.equal(values.cpu(), wanted.input)
        assert torch.equal(labels.cpu(), wanted.target)
