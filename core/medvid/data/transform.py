"""The contract of transforms: random changes of training examples."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import ClassVar

import torch

from medvid.data.batch import Batch
from medvid.plugin.specs import Axes


class Transform(ABC):
    """Base of all transforms. Built as ``Target(options)``; it keeps no state between examples."""

    axes: Axes | None = None
    """What *S of the examples stand for; given by who builds it for a data set."""
    needs_mask: bool = False
    """Whether it reads the batch's mask, see `medvid.data.batch.Batch`, which is then made."""
    on_device: ClassVar[bool] = False
    """Whether it changes examples on any device as on the CPU: it draws its numbers there, reads no value of a tensor,
    and makes the tensors that it needs where the examples are."""

    def initial_size(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """The size *S of examples that it makes ones of `size` of; default: the same.

        A data set that can cut larger examples does so, with `size` in the batch, see `medvid.data.batch.Batch`.
        """
        return size

    @abstractmethod
    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Change training examples at random, each in its own way.

        Args:
            batch: examples of one case, or a batch on its device, as the spec's `acts_on` says; it is not modified.
            generator: the only source of randomness, on the CPU.
        """


def initial_size(transforms: Sequence[Transform], size: tuple[int, ...]) -> tuple[int, ...]:
    """The size *S of examples that transforms make ones of `size` of."""
    for transform in reversed(transforms):
        size = transform.initial_size(size)
    return size


def apply(transforms: Sequence[Transform], batch: Batch, generator: torch.Generator) -> Batch:
    """Apply transforms in their order, all drawing from one generator; deferred ones are then pending."""
    if not any(transform.needs_mask for transform in transforms):
        batch = replace(batch, mask=None)
    elif batch.mask is None:
        batch = replace(batch, mask=(batch.input != 0).any(1))
    for transform in transforms:
        batch = transform(batch, generator)
    return batch if batch.pending else replace(batch, mask=None, size=None)


@contextmanager
def drawing_from(generator: torch.Generator) -> Iterator[None]:
    """Within the block, torch's global generator is this one: for torchvision, which takes none."""
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(generator.get_state())
        yield
        generator.set_state(torch.get_rng_state())
