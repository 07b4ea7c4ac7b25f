"""Deterministic training on GPUs, as far as it can be seen without one."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from medvid.config.matrix import Cell, matrix
from medvid.config.task import TrainOptions
from medvid.data.batch import collate
from medvid.devices.determinism import indeterminism_named, repeatable_inference, train_deterministically
from medvid.errors import ConfigError
from medvid.evaluation.inference.model import InferenceModel
from medvid.models.build import build_model
from medvid.plugin.host import make_host
from medvid.testing.cells import cell_task
from medvid.testing.kernels import KernelCount
from medvid.testing.toy import ToyDataset
from medvid.training.device import make_fabric
from medvid.training.optimizers.options import AdamWOptions

RAISING = {
    "_adaptive_avg_pool2d_backward",
    "_adaptive_avg_pool3d_backward",
    "adaptive_max_pool2d_backward",
    "avg_pool3d_backward",
    "fractional_max_pool2d_backward",
    "fractional_max_pool3d_backward",
    "max_unpool2d",
    "max_unpool3d",
    "upsample_linear1d_backward",
    "upsample_bilinear2d_backward",
    "upsample_trilinear3d_backward",
    "upsample_bicubic2d_backward",
    "_upsample_bilinear2d_aa_backward",
    "_upsample_bicubic2d_aa_backward",
    "grid_sampler_2d_backward",
    "grid_sampler_3d_backward",
    "cudnn_grid_sampler_backward",
    "reflection_pad1d_backward",
    "reflection_pad2d_backward",
    "reflection_pad3d_backward",
    "replication_pad1d_backward",
    "replication_pad2d_backward",
    "replication_pad3d_backward",
    "nll_loss2d_forward",
    "_ctc_loss_backward",
    "_embedding_bag_backward",
    "bincount",
    "histc",
    "median",
    "nanmedian",
    "put_",
    "index_reduce",
    "scatter_reduce",
}
"""Operations that raise on CUDA where torch has to be deterministic: those that the documentation of
`torch.use_deterministic_algorithms` lists (torch 2.14), by the names under which the library of 2.14.1 does it."""
SLOW = {"_unsafe_index", "_unsafe_index_put"}
"""What torch makes of its linear interpolation in that mode."""

HOST = make_host()
CELLS = {(cell.backbone.name, cell.head.name, cell.axes): cell for cell in matrix(HOST) if cell.trains}
PAIRS = {names[:2]: cell for names, cell in CELLS.items()}
"""One cell for each backbone with each head."""


@pytest.fixture(autouse=True)
def mode_restored() -> Iterator[None]:
    cudnn, memory = torch.backends.cudnn, torch.utils.deterministic
    before = cudnn.deterministic, cudnn.benchmark, memory.fill_uninitialized_memory
    yield
    torch.use_deterministic_algorithms(False)
    cudnn.deterministic, cudnn.benchmark, memory.fill_uninitialized_memory = before


def names_of_a_step(cell: Cell) -> set[str]:
    """The operations of a step on a device that is not a CPU and has no numbers."""
    task = cell_task(HOST, cell)
    dataset = ToyDataset(task.task.dataset)
    model = build_model(task).to("meta").train()
    batch = collate([dataset.draw(case, 0) for case in dataset.cases("train")[:2]])
    with KernelCount() as count:
        mixed, target = model.head.mix(batch.to(torch.device("meta")))
        model.head.loss(model(mixed), target)["loss"].backward()
    return {*count.by_name}


@pytest.mark.parametrize("names", PAIRS, ids="-".join)
def test_no_model_needs_what_gpus_cannot_do_deterministically(names: tuple[str, str]) -> None:
    train_deterministically(True)
    needed = names_of_a_step(PAIRS[names])
    assert any(name.endswith("_backward") for name in needed), "its gradient was computed"
    assert not needed & (RAISING | SLOW)


def test_torch_itself_is_seen_to_need_it() -> None:
    """Else the test above would find nothing whatever there is."""
    pool, x = nn.AvgPool3d(2), torch.zeros(1, 1, 4, 4, 4, device="meta", requires_grad=True)
    train_deterministically(True)
    with KernelCount() as count:
        nn.functional.interpolate(pool(x), (4, 4, 4), mode="trilinear").sum().backward()
    assert "avg_pool3d_backward" in RAISING.intersection(count.by_name)
    assert SLOW.intersection(count.by_name)


@pytest.mark.parametrize("enabled", [True, False])
def test_the_mode_is_the_one_that_raises(enabled: bool) -> None:
    train_deterministically(enabled)
    assert torch.get_deterministic_debug_mode() == (2 if enabled else 0)
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == (enabled, not enabled)
    assert not torch.utils.deterministic.fill_uninitialized_memory


class Modes(nn.Module):
    """Notes the mode in which it runs."""

    def forward(self, input: Tensor) -> Tensor:
        cudnn = torch.backends.cudnn
        self.seen = torch.get_deterministic_debug_mode(), cudnn.deterministic, cudnn.benchmark
        return input


@pytest.mark.parametrize("enabled", [True, False])
def test_inference_is_outside_of_it_but_repeatable(enabled: bool) -> None:
    train_deterministically(enabled)
    model = Modes()
    options = TrainOptions(steps=1, batch_size=1, optimizer=AdamWOptions(lr=0.1), accelerator="cpu")
    InferenceModel(make_fabric(options), model)(torch.zeros(1))
    assert model.seen == (0, True, False)
    with pytest.raises(ZeroDivisionError), repeatable_inference():
        raise ZeroDivisionError
    model(torch.zeros(1))
    assert model.seen == (2 if enabled else 0, enabled, not enabled), "as the training has it"


def test_an_operation_that_cannot_be_deterministic_is_named_with_the_way_out() -> None:
    train_deterministically(True)
    with pytest.raises(ConfigError, match="put_ has no deterministic") as caught, indeterminism_named():
        torch.zeros(3).put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))
    assert "--set train.deterministic=false" in caught.value.hint
    with pytest.raises(RuntimeError, match="size"), indeterminism_named():
        torch.zeros(3) + torch.zeros(2)
