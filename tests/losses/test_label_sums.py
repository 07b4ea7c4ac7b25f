"""The sums of the loss: the way of CPUs and that of other devices agree, in values, gradients and memory format."""

from unittest.mock import patch

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from medvid.losses import label_sums
from medvid.losses.label_sums import in_one_piece, in_pieces


def with_gradient(sums: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    weights = torch.randn(sums.shape, dtype=sums.dtype, generator=torch.Generator().manual_seed(1))
    return sums, torch.autograd.grad((sums * weights).sum(), logits)[0]


@given(
    batch=st.integers(1, 3),
    labels=st.integers(1, 5),
    voxels=st.integers(1, 40),
    piece=st.integers(8, 50),
    squared=st.booleans(),
    labels_last=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_both_ways_agree(
    batch: int, labels: int, voxels: int, piece: int, squared: bool, labels_last: bool, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 5 * torch.randn(batch, labels, voxels, dtype=torch.float64, generator=generator)
    logits = (logits.mT.contiguous().mT if labels_last else logits).requires_grad_()
    target = torch.randint(-1, labels + 1, (batch, voxels), generator=generator)  # ids of no label count for none
    with patch.object(label_sums, "PIECE", piece):
        wanted = with_gradient(in_pieces(logits, target, squared), logits)
    torch.testing.assert_close(with_gradient(in_one_piece(logits, target, squared), logits), wanted)


def test_the_gradient_is_that_of_the_sums() -> None:
    logits = torch.randn(2, 3, 7, dtype=torch.float64, requires_grad=True)
    target = torch.randint(3, (2, 7))
    for squared in (True, False):
        assert torch.autograd.gradcheck(lambda x, squared=squared: in_one_piece(x, target, squared), logits)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_low_precision_is_summed_in_float32(dtype: torch.dtype) -> None:
    logits = torch.randn(2, 5, 300).to(dtype).requires_grad_()
    target = torch.randint(5, (2, 300))
    sums, gradient = with_gradient(in_one_piece(logits, target, True), logits)
    assert (sums.dtype, gradient.dtype) == (torch.float32, dtype)
    full = logits.detach().float().requires_grad_()
    wanted_sums, wanted = with_gradient(in_pieces(full, target, True), full)
    torch.testing.assert_close(sums, wanted_sums)
    torch.testing.assert_close(gradient, wanted.to(dtype))


def test_logits_with_channels_last_keep_them() -> None:
    logits = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last).requires_grad_()
    in_one_piece(logits.flatten(2), torch.randint(3, (2, 20)), True).sum().backward()
    assert logits.grad is not None
    assert logits.grad.is_contiguous(memory_format=torch.channels_last)
