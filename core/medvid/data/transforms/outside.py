"""What lies outside of the body stays 0."""

from dataclasses import replace

import torch

from medvid.data.batch import Batch
from medvid.data.transform import Transform
from medvid.data.transforms.scan_options import ZeroOutsideOptions


class ZeroOutside(Transform):
    """0 outside of the batch's mask.

    Args:
        options: which channels.
    """

    needs_mask = True

    def __init__(self, options: ZeroOutsideOptions) -> None:
        self.options = options

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:  # noqa: ARG002 (nothing is random)
        if batch.mask is None:
            return batch
        channels = self.options.channels
        chosen = torch.ones(batch.input.shape[1]).bool()
        if channels is not None:
            chosen = torch.isin(torch.arange(len(chosen)), torch.tensor(channels))
        outside = ~batch.mask[:, None] & chosen.view(-1, *[1] * (batch.input.ndim - 2))
        return replace(batch, input=batch.input.masked_fill(outside, 0))
