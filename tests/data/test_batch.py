"""Batches: how they are put together, how they travel, and what a model gets."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from medvid.data.batch import Batch, Erased, Pixels, collate

CPU = torch.device("cpu")


def sample(target: Tensor, **values: object) -> Batch:
    return replace(Batch(torch.randn(len(target), 2, 3, 3), target, ("a",) * len(target)), **values)


@given(st.lists(st.integers(-(2**40), 2**40) | st.integers(-300, 300), min_size=1, max_size=5))
def test_label_ids_travel_small_and_arrive_as_they_were(ids: list[int]) -> None:
    samples = [sample(torch.tensor([label])) for label in ids]
    travelling, placed = collate(samples), collate(samples).to(CPU)
    assert placed.target.tolist() == ids
    assert placed.target.dtype == torch.int64
    assert torch.equal(placed.input, torch.cat([each.input for each in samples]))
    low, high = min(0, *ids), max(0, *ids)
    fitting = {
        torch.uint8: (0, 255),
        torch.int8: (-128, 127),
        torch.int16: (-(2**15), 2**15 - 1),
        torch.int32: (-(2**31), 2**31 - 1),
    }
    sizes = [dtype for dtype, (least, most) in fitting.items() if least <= low and high <= most]
    assert travelling.target.dtype == (sizes or [torch.int64])[0]


def test_targets_that_are_no_label_ids_stay_as_they_are() -> None:
    for target in (torch.rand(2, 3), torch.rand(2, 3, dtype=torch.float64), torch.tensor([True, False])):
        assert collate([sample(target)]).to(CPU).target.dtype == target.dtype


def test_bytes_become_the_same_floats_before_and_after_they_travel() -> None:
    generator = torch.Generator().manual_seed(0)
    mean, std = torch.tensor([0.1, 0.45, 0.7]), torch.tensor([0.2, 0.225, 1.5])
    erased = [None, Erased(1, 2, torch.randn(3, 2, 3, 4, generator=generator)), None]
    clips = torch.randint(0, 256, (3, 3, 2, 6, 7), dtype=torch.uint8, generator=generator)
    shape = (3, 1, 1, 1)
    wanted = clips.float() / 255
    wanted = torch.stack([(clip - mean.view(shape)) / std.view(shape) for clip in wanted])
    wanted[1, :, :, 1:4, 2:6] = erased[1].values
    samples = [
        Batch(clips[:2], torch.tensor([0, 1]), ("a", "a"), Pixels(mean, std, tuple(erased[:2]))),
        Batch(clips[2:], torch.tensor([2]), ("b",), Pixels(mean, std, (None,))),
    ]
    travelling = collate(samples)
    assert travelling.input.dtype == torch.uint8
    for memory_format in (torch.contiguous_format, torch.channels_last_3d):
        placed = travelling.to(CPU, memory_format)
        assert torch.equal(placed.input, wanted)
        assert placed.input.is_contiguous(memory_format=memory_format)
        assert placed.pixels is None
        again = placed.to(CPU, memory_format)
        assert again.input.data_ptr() == placed.input.data_ptr()
        assert again.target.data_ptr() == placed.target.data_ptr()
    assert torch.equal(travelling.input, clips)


def test_erased_places_are_told_of_every_example() -> None:
    clips, each = torch.zeros(2, 3, 1, 4, 4, dtype=torch.uint8), torch.ones(3)
    with pytest.raises(ValueError, match="zip"):
        Batch(clips, torch.tensor([0, 1]), ("a", "a"), Pixels(each, each, (None,))).to(CPU)
