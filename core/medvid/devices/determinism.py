"""What makes GPUs compute the same bits each time, and what has to be said where they cannot."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from medvid.errors import ConfigError


def train_deterministically(enabled: bool) -> None:
    """Whether each operation on a GPU has to give the same bits each time; the fastest algorithms are sought if not.

    Not in the mode that only warns: in it, the gradients of torch's fused attention are still summed in a random order.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS has no deterministic algorithm
    torch.use_deterministic_algorithms(enabled)
    # For finding faults: nothing here reads memory that was not written.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic = enabled
    torch.backends.cudnn.benchmark = not enabled  # sizes are fixed in training, so that each is tried out once


@contextmanager
def repeatable_inference() -> Iterator[None]:
    """Within the block, only forward passes give the same bits each time, which saves the cost for backward passes.

    Only gradients are summed in a random order, and convolutions, whose algorithm is chosen here without trying out
    which is the fastest at the moment.
    """
    cudnn = torch.backends.cudnn
    before = torch.get_deterministic_debug_mode(), cudnn.deterministic, cudnn.benchmark
    torch.set_deterministic_debug_mode("default")
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before[0])
        cudnn.deterministic, cudnn.benchmark = before[1:]


@contextmanager
def indeterminism_named() -> Iterator[None]:
    """Within the block, it is an error of the task that an operation cannot be deterministic.

    Raises:
        ConfigError: naming the operation, and what to do.
    """
    try:
        yield
    except RuntimeError as error:
        if not (found := re.search(r"(\w[^\n]*?) does not have a deterministic implementation", str(error))):
            raise
        raise ConfigError(
            f"{found[1]} has no deterministic implementation on this device, and train.deterministic asks for one",
            hint="a newer torch may have one; else --set train.deterministic=false, and a resumed run no longer ends "
            "with the bits of one that was never stopped",
        ) from error
