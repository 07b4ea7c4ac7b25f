"""The norm that several GPUs share, on one: outputs, gradients and statistics are those of torch's own."""

from collections.abc import Iterator

import pytest
import torch
from tests.gpu.small import ACCELERATOR, NEEDS_GPU
from torch import Tensor, nn

from medvid.training.sync_norm import synchronise_norms

pytestmark = NEEDS_GPU


@pytest.fixture(autouse=True)
def one_process() -> Iterator[None]:
    torch.distributed.init_process_group("nccl", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def passed(norm: nn.BatchNorm3d, x: Tensor, gradient: Tensor) -> dict[str, Tensor]:
    x = x.clone().requires_grad_()
    output = norm(x)
    output.backward(gradient)
    found = {"output": output.detach(), "input": x.grad, "weight": norm.weight.grad, "bias": norm.bias.grad}
    return {name: value.float() for name, value in found.items() if value is not None} | dict(norm.named_buffers())


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_is_torchs(dtype: torch.dtype, memory_format: torch.memory_format) -> None:
    norm, shared = (nn.BatchNorm3d(8, device=ACCELERATOR) for _ in range(2))
    synchronise_norms(shared)
    x, gradient = (
        torch.randn(4, 8, 6, 5, 7, device=ACCELERATOR).to(dtype, memory_format=memory_format) for _ in range(2)
    )
    close = {"rtol": 1e-4, "atol": 1e-4} if dtype == torch.float32 else {"rtol": 3e-2, "atol": 3e-2}
    torch.testing.assert_close(passed(shared, x, gradient), passed(norm, x, gradient), **close)
