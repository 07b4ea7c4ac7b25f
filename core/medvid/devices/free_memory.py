"""How much memory a device has left."""

import torch

from medvid.machine import usable_memory


def free_memory(device: torch.device) -> int:
    """Bytes that tensors can still take on a device: what is free, and what torch keeps there for further tensors.

    Of devices that do not say so, and of the CPU, what this process may use of the machine's memory.
    """
    if device.type != "cuda" or not torch.cuda.is_available():
        return usable_memory()
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + kept
