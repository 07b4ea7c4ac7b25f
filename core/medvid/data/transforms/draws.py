"""Random numbers that transforms share; all from the generator that they are given, on the CPU."""

from collections.abc import Sequence

import torch
from torch import Tensor

Range = tuple[float, float]


def fractions(count: int, generator: torch.Generator) -> list[float]:
    """Numbers drawn uniformly from [0, 1)."""
    drawn: list[float] = torch.rand(count, generator=generator).tolist()
    return drawn


def happens(probability: float, generator: torch.Generator) -> bool:
    """Whether something of this probability happens now."""
    [drawn] = fractions(1, generator)
    return drawn < probability


def uniform(within: Range, count: int, generator: torch.Generator) -> list[float]:
    """Numbers drawn uniformly from a range."""
    low, high = within
    return [low + (high - low) * place for place in fractions(count, generator)]


def around_one(within: Range, count: int, generator: torch.Generator) -> list[float]:
    """Numbers drawn from the part of a range below 1 or above, with the same probability, there uniformly."""
    low, high = within
    sides, places = fractions(count, generator), fractions(count, generator)
    return [
        low + (1 - low) * place if side < 0.5 and low < 1 else 1 + (high - 1) * place
        for side, place in zip(sides, places, strict=True)
    ]


def normal(shape: Sequence[int], device: torch.device, generator: torch.Generator) -> Tensor:
    """Numbers of mean 0 and deviation 1, float32, the same on any device, and sent there without a wait."""
    drawn = torch.randn(*shape, generator=generator)
    return (drawn.pin_memory() if device.type == "cuda" else drawn).to(device, non_blocking=True)
