"""How large a model is: parameters, and multiply-adds of one input, counted on tensors without memory.

torch's counter of operations knows matrix products and convolutions, but not the fused attention of CPUs, nor the fused
encoder layers of torch.nn. Both are kept from being fused here, so that attention counts as the products that it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from medvid.models.fakes import fake_copy
from medvid.models.model import Model
from medvid.plugin.info import InputInfo


@dataclass(frozen=True, slots=True)
class Size:
    """Of a part of a model, or of the whole.

    Args:
        parameters: numbers that can be trained; those that modules share count once.
        multiply_adds: of matrix products, convolutions and attention for one input; what else is computed, such as
            norms and activations, does not count, as in papers.
    """

    parameters: int
    multiply_adds: int

    def __add__(self, other: "Size") -> "Size":
        return Size(self.parameters + other.parameters, self.multiply_adds + other.multiply_adds)


@dataclass(frozen=True, slots=True)
class ModelSize:
    """Of a model, by its two stages.

    Args:
        backbone: with the adapter to other axes.
        head: the rest.
    """

    backbone: Size
    head: Size

    @property
    def whole(self) -> Size:
        """Of both."""
        return self.backbone + self.head


def count_model(model: Model, input_info: InputInfo) -> ModelSize:
    """Count a model in inference.

    Args:
        model: as built; stays as it is.
        input_info: what one input is.

    Raises:
        Exception: whatever the model raises where it cannot be run on tensors without memory, as when it reads values.
    """
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    with torch.random.fork_rng(devices=[]), mode, torch.no_grad(), _nothing_fused():
        fake = fake_copy(model, mode, torch.device("cpu")).eval()
        inputs = torch.empty(1, input_info.channels, *input_info.size)
        with FlopCounterMode(display=False) as of_backbone:
            features = fake.features(inputs)
        with FlopCounterMode(display=False) as of_head:
            fake.head(features, inputs)
    backbone = sum(parameter.numel() for parameter in model.backbone.parameters())
    return ModelSize(
        Size(backbone, of_backbone.get_total_flops() // 2),
        Size(_numbers(model) - backbone, of_head.get_total_flops() // 2),
    )


def _numbers(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@contextmanager
def _nothing_fused() -> Iterator[None]:
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
