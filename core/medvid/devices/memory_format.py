"""Channels-last, the memory format in which convolutions are fastest."""

import torch
from torch import nn

CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
"""By number of axes: of batches of images, and of volumes and videos, and of their convolutions' kernels."""


def lay_out_channels_last(model: nn.Module) -> None:
    """Bring each kernel to the channels-last format for its number of axes.

    A model of volumes may have a backbone of images (see `medvid.models.axes`), and so kernels of both kinds.
    """
    for parameter in model.parameters():
        if memory_format := CHANNELS_LAST.get(parameter.ndim):
            parameter.data = parameter.data.contiguous(memory_format=memory_format)
