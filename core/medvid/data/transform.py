"""The contract of transforms: random changes of training examples."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from medvid.data.batch import Batch


class Transform(ABC):
    """Base of all transforms. Built as ``Target(options)``; it keeps no state between examples."""

    @abstractmethod
    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Change training examples at random, each in its own way.

        Args:
            batch: examples of one case, or a batch on its device, as the spec's `acts_on` says; it is not modified.
            generator: the only source of randomness, on the CPU.
        """


def apply(transforms: Sequence[Transform], batch: Batch, generator: torch.Generator) -> Batch:
    """Apply transforms in their order, all drawing from one generator."""
    for transform in transforms:
        batch = transform(batch, generator)
    return batch


@contextmanager
def drawing_from(generator: torch.Generator) -> Iterator[None]:
    """Within the block, torch's global generator is this one: for torchvision, which takes none."""
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(generator.get_state())
        yield
        generator.set_state(torch.get_rng_state())
