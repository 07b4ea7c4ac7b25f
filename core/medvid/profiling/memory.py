"""The memory that a computation takes at most, as the device counts it."""

from collections.abc import Callable

import torch


def peak_memory(call: Callable[[], object], device: torch.device) -> int | None:
    """Bytes of all tensors on a GPU at the peak of a call; None on devices that do not count them, as CPUs.

    Args:
        call: what is measured.
        device: where it computes.
    """
    if device.type != "cuda":
        return None
    torch.cuda.reset_peak_memory_stats(device)
    call()
    return torch.cuda.max_memory_allocated(device)
