"""Norms of two processes take the statistics of both: outputs, gradients and running statistics are those of one."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from medvid.devices.whole_batch import whole_batch_moments
from medvid.training.sync_norm import synchronise_norms
from medvid_medt.similarity import SimilarityNorm

SEEDS = 6
SPLITS = ((1, 1), (1, 4), (3, 2))
"""Examples of each process."""


class NormThenReLU(nn.BatchNorm2d):
    """With a forward pass of its own, as in other libraries."""

    def forward(self, input: Tensor) -> Tensor:
        return functional.relu(super().forward(input) + 0.1)


NORMS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "1d": (lambda: nn.BatchNorm1d(3), ()),
    "lines": (lambda: nn.BatchNorm1d(3, affine=False), (5,)),
    "2d": (lambda: nn.BatchNorm2d(3, momentum=None), (4, 2)),
    "own": (lambda: NormThenReLU(3), (4, 2)),
    "no statistics": (lambda: nn.BatchNorm2d(3, track_running_stats=False), (4, 2)),
    "3d": (lambda: nn.BatchNorm3d(3, eps=0.1), (2, 3, 2)),
    "frozen": (lambda: nn.BatchNorm2d(3).eval(), (4, 2)),
}


class Similar(nn.Module):
    """MedT's norm of the similarities of its input (N, 3, 4, 2): two heads, three channels, four pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = SimilarityNorm(2, 2)
        self.positions = nn.Parameter(torch.randn(3, 4, 4))

    def forward(self, input: Tensor) -> Tensor:
        q, k = (head.unsqueeze(1).repeat(1, 2, 1, 1) for head in input.unbind(-1))
        factors: Tensor = self.norm([(q, k), (q, self.positions)])
        return factors.sum() * q


NORMS["similarity"] = (Similar, (4, 2))


def case(name: str, seed: int) -> tuple[nn.Module, Tensor, Tensor]:
    """A norm, its input and the gradient of its output."""
    torch.manual_seed(seed)
    make, size = NORMS[name]
    norm = make().double()
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    x = 3 * torch.randn(sum(SPLITS[seed % 3]), 3, *size, dtype=torch.float64) + 10 * (seed % 2)
    if x.ndim == 4 and seed > 2:
        x = x.contiguous(memory_format=torch.channels_last)
    return norm, x, torch.randn_like(norm(x).detach())


def passed(norm: nn.Module, x: Tensor, gradient: Tensor) -> dict[str, Tensor]:
    """All that two passes forward and one backward give."""
    x = x.clone().requires_grad_()
    norm(x)
    output = norm(x)
    output.backward(gradient.to(output))
    assert x.grad is not None
    found = {"output": output.detach(), "by input": x.grad}
    found |= {f"by {name}": value.grad for name, value in norm.named_parameters() if value.grad is not None}
    return found | {name: value.clone() for name, value in norm.named_buffers()}


SCRIPT = """
import sys
import torch
from lightning_fabric import Fabric
sys.path.insert(0, {folder!r})
from test_sync_norm import NORMS, SEEDS, SPLITS, case, passed
from medvid.training.sync_norm import synchronise_norms

fabric = Fabric(accelerator="cpu", devices=2, strategy="ddp")
fabric.launch()
found = {{}}
for name in NORMS:
    for seed in range(SEEDS):
        norm, *tensors = case(name, seed)
        norm = torch.nn.Sequential(norm)
        names = [*norm.state_dict()]
        synchronise_norms(norm)
        assert names == [*norm.state_dict()]
        mine = [torch.split(tensor, SPLITS[seed % 3])[fabric.global_rank] for tensor in tensors]
        found[name, seed] = passed(norm, *mine)
torch.save(found, f"{{sys.argv[1]}}/{{fabric.global_rank}}.pt")
fabric.barrier()
"""


@pytest.fixture(scope="module")
def of_both(tmp_path_factory: pytest.TempPathFactory) -> list[dict[Any, dict[str, Tensor]]]:
    """What each of two processes found, by norm and seed."""
    folder = tmp_path_factory.mktemp("norms")
    (folder / "script.py").write_text(SCRIPT.format(folder=str(Path(__file__).parent)))
    done = subprocess.run(
        [sys.executable, str(folder / "script.py"), str(folder)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("name", NORMS)
def test_two_processes_normalise_as_one_does(name: str, seed: int, of_both: list[dict[Any, dict[str, Tensor]]]) -> None:
    norm, x, gradient = case(name, seed)
    wanted = passed(nn.Sequential(norm), x, gradient)
    first, second = (found[name, seed] for found in of_both)
    assert first.keys() == wanted.keys()
    for key, value in wanted.items():
        if key in ("output", "by input"):
            found = torch.cat([first[key], second[key]])
        elif key.startswith("by "):
            found = first[key] + second[key]
        else:
            found = first[key]
            assert torch.equal(found, second[key])
        torch.testing.assert_close(found, value, rtol=1e-9, atol=1e-9)


def test_a_single_process_has_the_whole_batch() -> None:
    mean, variance = torch.rand(3), torch.rand(3)
    found = whole_batch_moments(mean, variance, 7)
    assert found[0] is mean
    assert found[1] is variance
    assert found[2] == 7


class Called(TorchDispatchMode):
    """Keeps what the backward pass of norms is called with."""

    def __init__(self) -> None:
        super().__init__()
        self.arguments: list[tuple[Any, ...]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.native_batch_norm_backward.default:
            self.arguments.append(args)
        return func(*args, **(kwargs or {}))


def test_cuda_kernels_get_the_statistics_that_they_insist_on() -> None:
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        norm, x, gradient = case("2d", 0)
        synchronise_norms(norm)
        with Called() as called:
            passed(norm, x, gradient)
    finally:
        torch.distributed.destroy_process_group()
    [(_, _, _, mean, variance, saved_mean, saved_inverse, *_)] = called.arguments
    assert torch.equal(saved_mean, mean)
    torch.testing.assert_close(saved_inverse, (variance + 1e-5).rsqrt())


def test_other_modules_are_left_alone() -> None:
    net = nn.Sequential(nn.Conv2d(3, 3, 1), nn.InstanceNorm2d(3, track_running_stats=True), nn.LayerNorm(3))
    synchronise_norms(net)
    assert not any("forward" in vars(module) for module in net.modules())
