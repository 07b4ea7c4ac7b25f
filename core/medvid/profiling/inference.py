"""How fast and in how much memory a model answers inputs of the size it is trained on."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import cast

import torch
from lightning_fabric import Fabric
from torch import Tensor

from medvid.config.checked import CheckedTask
from medvid.config.evaluation import (
    CaseEvaluationOptions,
    FrameEvaluationOptions,
    VoxelEvaluationOptions,
    windows_at_once,
)
from medvid.devices.memory_format import CHANNELS_LAST
from medvid.models.model import Model
from medvid.profiling.energy import joules
from medvid.profiling.memory import peak_memory
from medvid.profiling.timing import Times, measure

ENERGY_SECONDS = 2.0
"""For which energy is counted, as counters are coarse."""


@dataclass(frozen=True, slots=True)
class InferenceSpeed:
    """Of inputs that are on the device already; nothing is read, scored or written.

    Args:
        latency: of one input.
        backbone: its share, of the median.
        head: its share.
        batch: inputs that an evaluation has at once.
        throughput: inputs per second in such batches.
        peak: bytes of such a batch, with the weights; None where the device does not tell.
        energy: joules per input of such a batch; None where the device does not tell.
    """

    latency: Times
    backbone: float
    head: float
    batch: int
    throughput: float
    peak: int | None
    energy: float | None


def measure_inference(checked: CheckedTask, model: Model, fabric: Fabric, seconds: float) -> InferenceSpeed:
    """Measure a model on random inputs, in the precision of the task.

    Args:
        checked: the task.
        model: on its device; the mode it is in is kept.
        fabric: has device and precision.
        seconds: for each of the four measurements.
    """
    training = model.training
    model.eval()
    try:
        with torch.inference_mode(), cast(AbstractContextManager[None], fabric.autocast()):
            return _measure(checked, model, fabric.device, seconds)
    finally:
        model.train(training)


def _measure(checked: CheckedTask, model: Model, device: torch.device, seconds: float) -> InferenceSpeed:
    options = cast(VoxelEvaluationOptions | FrameEvaluationOptions | CaseEvaluationOptions, checked.task.evaluation)
    batch = windows_at_once(options.window_batch, device.type, checked.target_info.where, checked.input_info.axes)
    one, many = _inputs(checked, 1, device), _inputs(checked, batch, device)
    latency = measure(lambda: model(one), device, seconds)
    backbone = measure(lambda: model.features(one), device, seconds).median
    features = model.features(one)
    head = measure(lambda: model.head(features, one), device, seconds).median
    answered = measure(lambda: model(many), device, seconds)
    peak = peak_memory(lambda: model(many), device)
    calls = max(1, round(ENERGY_SECONDS / answered.median)) if answered.median < ENERGY_SECONDS else 1
    used = joules(_repeated(lambda: model(many), calls), device)
    energy = used / (calls * batch) if used is not None else None
    return InferenceSpeed(latency, backbone, head, batch, batch / answered.median, peak, energy)


def _inputs(checked: CheckedTask, count: int, device: torch.device) -> Tensor:
    info = checked.input_info
    inputs = torch.randn(count, info.channels, *info.size, device=device)
    if checked.task.train.channels_last:
        inputs = inputs.contiguous(memory_format=CHANNELS_LAST[inputs.ndim])
    return inputs


def _repeated(call: Callable[[], object], times: int) -> Callable[[], None]:
    def repeat() -> None:
        for _ in range(times):
            call()

    return repeat
