"""Batches on their way to the device: the next one is copied while a step runs on the current one."""

from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from medvid.data.batch import Batch

Value = TypeVar("Value")


def on_device(
    batches: Iterator[Batch], device: torch.device, memory_format: torch.memory_format
) -> Generator[Batch, None, None]:
    """The batches on a device, in order; an error is raised in place of its batch.

    On a CUDA device the next batch is copied on its own stream while the current step is still computed. It goes
    through pinned memory, and the copy into it takes as long as the copy to the device: a thread does it (torch lets
    others run meanwhile), so that the kernels of the step do not wait to be launched.

    Args:
        batches: on the host; taken by the caller's thread.
        device: of the model.
        memory_format: of the inputs.
    """
    if device.type != "cuda":
        for batch in batches:
            yield batch.to(device, memory_format)
        return
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def send(batch: Batch) -> tuple[Batch, torch.cuda.Event]:
        with torch.cuda.stream(stream):
            return batch.pin_memory().to(device, memory_format), stream.record_event()

    with ThreadPoolExecutor(1, "transfer") as thread:
        for sent in one_ahead(thread.submit(send, batch) for batch in batches):
            batch, copied = sent.result()
            current = torch.cuda.current_stream(device)
            current.wait_event(copied)
            for tensor in (batch.input, batch.target):
                tensor.record_stream(current)  # keeps its memory from the next copy until the step is done
            yield batch


def one_ahead(values: Iterable[Value]) -> Iterator[Value]:
    """Each value, after the next one was taken; an error is raised in place of its value."""
    kept: tuple[Value, ...] = ()
    failure = None
    try:
        for value in values:
            yield from kept
            kept = (value,)
    except Exception as error:
        failure = error
    yield from kept
    if failure:
        raise failure
