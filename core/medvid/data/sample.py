"""Samples and batches: what a data set hands to the training loop."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """Training examples, one or more of a single case, or those of several cases.

    Args:
        input: (N, C, *S) float32.
        target: (N, *S) int64 label ids for segmentation, (N,) for classification.
        cases: the case of each of the N examples.
    """

    input: Tensor
    target: Tensor
    cases: tuple[str, ...]

    def to(self, device: torch.device, memory_format: torch.memory_format = torch.preserve_format) -> "Batch":
        """Copy to a device without waiting for it (the host memory is pinned by the loader)."""
        return replace(
            self,
            input=self.input.to(device, non_blocking=True, memory_format=memory_format),
            target=self.target.to(device, non_blocking=True),
        )

    def pin_memory(self) -> "Batch":
        """A copy in pinned host memory, from which a GPU copies by itself."""
        return replace(self, input=self.input.pin_memory(), target=self.target.pin_memory())


def collate(samples: Sequence[Batch]) -> Batch:
    """Concatenate the examples of several cases along N."""
    return Batch(
        input=torch.cat([sample.input for sample in samples]),
        target=torch.cat([sample.target for sample in samples]),
        cases=tuple(case for sample in samples for case in sample.cases),
    )
