"""Waiting for the other processes of a run, for as long as it takes, and small exchanges between them.

Nobody can know how long one process takes for what the others wait for, such as preparing data, evaluating and saving.
The collectives of a training step have a time limit, so that lost processes are noticed. So this waiting has a group of
its own: over gloo, on the host, and without keeping a GPU busy.
"""

from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

import torch

Value = TypeVar("Value")

TIMEOUT = timedelta(days=7)
"""After which a process is taken to be stuck. One that ends is noticed at once, by its closed connections."""


def wait_for_all() -> None:
    """Return once every process of the run has called this."""
    largest(0)


def largest(value: int) -> int:
    """The largest of the values that the processes give."""
    if not _has_others():
        return value
    found = torch.tensor(value)
    torch.distributed.all_reduce(found, op=torch.distributed.ReduceOp.MAX, group=_group())
    return int(found)


def gather(value: Value) -> list[Value]:
    """The values of all processes, in their order; each gets all of them."""
    if not _has_others():
        return [value]
    values: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value, group=_group())
    return values


def from_first(value: Value) -> Value:
    """The value of the first process, in all of them."""
    if not _has_others():
        return value
    values = [value]
    torch.distributed.broadcast_object_list(values, src=0, group=_group())
    return values[0]


def leave_group() -> None:
    """Leave the group of processes, if there is one; the others notice it as soon as they wait for this one."""
    _group.cache_clear()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _has_others() -> bool:
    distributed = torch.distributed
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


@cache
def _group() -> Any:
    return torch.distributed.new_group(backend="gloo", timeout=TIMEOUT)
