"""Batches that are copied while a step runs on another one, on a GPU."""

import pytest
import torch
from tests.gpu.small import NEEDS_GPU
from torch import Tensor

from medvid.data.batch import Batch, Erased, Pixels
from medvid.data.loading.transfer import on_device

pytestmark = NEEDS_GPU

BEHIND = 20_000_000
"""Cycles by which the device lags behind the host: about 10 ms."""


def clips(seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randint(0, 256, (4, 3, 8, 64, 64), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 400, (4,), dtype=torch.int16, generator=generator)
    erased = (None, Erased(3, 5, torch.randn(3, 8, 20, 30, generator=generator)), None, None)
    return Batch(frames, labels, tuple("abcd"), Pixels(torch.tensor([0.4, 0.5, 0.6]), torch.full((3,), 0.225), erased))


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
