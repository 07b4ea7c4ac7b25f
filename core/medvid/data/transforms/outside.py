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
    on_device = True

    def __init__(self, options: ZeroOutsideOptions) -> None:
        self.options = options

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:  # noqa: ARG002 (nothing is random)
        if batch.mask is None:
            return batch
        channels, outside = self.options.channels, ~batch.mask
        changed = [
            values.masked_fill(outside, 0) if channels is None or number in channels else values
            for number, values in enumerate(batch.input.unbind(1))
        ]
        return replace(batch, input=torch.stack(changed, 1))
