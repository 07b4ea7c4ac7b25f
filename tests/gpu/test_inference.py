"""Inference on a GPU: it does not wait for windows, and goes on in smaller batches where memory really runs out."""

from collections.abc import Iterator

import pytest
import torch
from lightning_fabric import Fabric
from tests.gpu.small import ACCELERATOR, NEEDS_GPU, each_kind, make_trainer, small_task
from torch import Tensor, nn

from medvid.config.matrix import Cell
from medvid.evaluation.inference.model import InferenceModel
from medvid.evaluation.inference.sliding_window import stream_scores
from medvid.testing.toy import ToyDataset

pytestmark = NEEDS_GPU
FEW = 2**28
"""Bytes that are enough for a few windows."""


@each_kind
def test_no_window_waits_for_the_device(cell: Cell) -> None:
    if cell.head.where != "voxel":
        pytest.skip("there are no windows")
    task = small_task(cell)
    trainer, dataset = make_trainer(task), ToyDataset(task.task.dataset)
    model, size = InferenceModel(trainer.fabric, trainer.model), task.input_info.size
    prepared = dataset.open_case("validation/0").input().pin_memory()
    prepared = torch.cat([prepared] * 2, dim=-1).pin_memory()  # several windows, which overlap

    def infer() -> Tensor:
        with torch.inference_mode():
            slabs = stream_scores(model, prepared, size, overlap=0.5, blending="gaussian", window_batch=2)
            return torch.cat([*slabs], dim=-1)

    infer()  # what is asked once is asked by now
    torch.cuda.synchronize()
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        scores = infer()
    finally:
        torch.cuda.set_sync_debug_mode(before)
    assert scores.shape[1:] == prepared.shape[1:]


class Hungry(nn.Module):
    """Takes 64 MB for each window for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, input: Tensor) -> Tensor:
        eaten = torch.ones(len(input), 2**24, device=input.device)
        return input * self.scale * eaten.mean(dim=1).view(-1, *[1] * (input.ndim - 1))


@pytest.fixture
def little_memory() -> Iterator[None]:
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + FEW) / total)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.usefixtures("little_memory")
def test_a_batch_that_does_not_fit_is_halved(caplog: pytest.LogCaptureFixture) -> None:
    model = InferenceModel(Fabric(accelerator=ACCELERATOR, devices=1), Hungry().to(ACCELERATOR))
    windows = torch.arange(16.0, device=ACCELERATOR).view(16, 1, 1)
    with torch.inference_mode():
        assert torch.equal(model(windows), windows)
    assert "memory is not enough for 16 windows at once" in caplog.text
