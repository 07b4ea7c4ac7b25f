"""Models of tensors without memory: what they compute is gone through, not computed."""

import copy

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode

from medvid.models.model import Model


def fake_copy(model: Model, mode: FakeTensorMode, device: torch.device) -> Model:
    """The model on a device, of tensors without memory.

    Args:
        model: as built; stays as it is.
        mode: the one in which the copy will be run.
        device: need not be there.
    """
    with FakeCopyMode(mode):
        fake = copy.deepcopy(model)
    moved: dict[nn.Parameter, nn.Parameter] = {}  # what modules share, they share there too
    for module in fake.modules():  # `Module.to` cannot swap such tensors
        for name, parameter in module._parameters.items():
            if parameter is not None:
                if parameter not in moved:
                    moved[parameter] = nn.Parameter(parameter.detach().to(device), parameter.requires_grad)
                module._parameters[name] = moved[parameter]
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = buffer.to(device)
    return fake
