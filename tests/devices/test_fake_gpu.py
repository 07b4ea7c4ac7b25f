"""Each backbone with each head on a GPU that is faked: nothing is left on the CPU, and nothing is waited for."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from medvid.config.checked import CheckedTask
from medvid.config.task import TrainOptions
from medvid.evaluation.build import build_evaluator
from medvid.evaluation.inference.model import InferenceModel
from medvid.evaluation.inference.sliding_window import stream_scores
from medvid.evaluation.restore import NativeLabels, PreparedLabels
from medvid.models.build import build_model
from medvid.models.fast.depthwise import depthwise_conv3d
from medvid.models.model import Model
from medvid.plugin.host import make_host
from medvid.testing.cells import blank_batch, cell_task, pairs
from medvid.testing.fake_gpu import GPU, fake_gpu
from medvid.testing.toy import ToyDataset
from medvid.training.ema import WeightAverage
from medvid.training.optim import build_optimizer, take_step
from medvid.training.optimizers.torchs import adamw
from medvid.training.parts import clip_gradients

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU to try it on")

HOST = make_host()
PAIRS = {name: cell for name, cell in pairs(HOST).items() if cell.what == "class" or cell.backbone.name == "vit"}

Infer = Callable[[nn.Module], object]


@pytest.mark.parametrize("names", PAIRS)
def test_a_step_and_an_evaluation(names: str) -> None:
    task = cell_task(HOST, PAIRS[names])
    dtype = torch.float32 if names.startswith("medt-") else torch.bfloat16
    autocast = partial(torch.autocast, "cuda", dtype, enabled=dtype == torch.bfloat16)
    model = build_model(task)
    infer = {"voxel": _segmentation, "frame": _frames, "case": _classification}[PAIRS[names].head.where](task)
    with fake_gpu(model):
        batch = blank_batch(task, GPU)
        with autocast():
            output = model.train()(batch.input)
        scales = tuple(scale.float() for scale in output) if isinstance(output, tuple) else output.float()
        losses = model.head.loss(scales, batch.target)
        assert {(value.device, value.dtype) for value in losses.values()} == {(GPU, torch.float32)}
        _update(model, task.task.train)
        inference = InferenceModel(SimpleNamespace(autocast=autocast), model)  # as of a Fabric that has a GPU
        with torch.no_grad():
            infer(inference)


def _update(model: Model, options: TrainOptions) -> None:
    """What follows the backward pass."""
    optimizer, average = build_optimizer(model, options, adamw), WeightAverage(model, 0.9)
    for parameter in model.parameters():
        parameter.grad = torch.empty_like(parameter)
    norm = clip_gradients(model.parameters(), 1.0)
    take_step(optimizer, (~torch.isfinite(norm)).float())
    average.update()
    with average.applied():
        assert {parameter.device for parameter in model.parameters()} == {GPU}


def _segmentation(task: CheckedTask) -> Infer:
    """Windows of a larger case, blended, and labelled on both grids."""
    *first, last = size = task.input_info.size
    dataset = ToyDataset(task.task.dataset.model_copy(update={"size": (*first, 2 * last)}))
    case = dataset.open_case(dataset.cases("validation")[0])
    prepared, native = PreparedLabels(), NativeLabels(case.grid)

    def infer(inference: nn.Module) -> None:
        blank = torch.empty(case.input().shape)
        slabs = stream_scores(inference, blank, size, overlap=0.5, blending="gaussian", window_batch=2)
        for slab in slabs:
            prepared.add(slab)
            native.add(slab)
        native.to_host()

    return infer


def _frames(task: CheckedTask) -> Infer:
    """The windows of several cases."""
    dataset = ToyDataset(task.task.dataset)
    evaluator = build_evaluator(task.task.evaluation, task.input_info, task.target_info, task.host)
    cases = [dataset.open_case(name) for name in dataset.cases("validation")]

    def infer(inference: nn.Module) -> None:
        blank = [replace(case, all=torch.empty(case.all.shape)) for case in cases]
        evaluator.inference.infer(inference, blank, final=True)

    return infer


def _classification(task: CheckedTask) -> Infer:
    """Views of several cases."""
    dataset = ToyDataset(task.task.dataset)
    evaluator = build_evaluator(task.task.evaluation, task.input_info, task.target_info, task.host)
    cases = [evaluator.inference.load(dataset.open_case(name)) for name in dataset.cases("validation")]

    def infer(inference: nn.Module) -> None:
        blank = [replace(case, views=torch.empty(case.views.shape)) for case in cases]
        evaluator.inference.infer(inference, blank, final=True)

    return infer


def test_depthwise_convolutions_of_volumes_are_left_to_torch() -> None:
    with fake_gpu():
        x = torch.empty(2, 8, 4, 6, 6, device=GPU).contiguous(memory_format=torch.channels_last_3d)
        found = depthwise_conv3d(x, torch.empty(8, 1, 3, 3, 3, device=GPU), (1, 2, 2), (1, 1, 1))
    assert found.is_contiguous()  # as torch's kernels leave it; cuDNN's keep channels last
