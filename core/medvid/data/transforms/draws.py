"""Random numbers that transforms share; all from the generator that they are given, on the CPU."""

import torch

Range = tuple[float, float]


def happens(probability: float, generator: torch.Generator) -> bool:
    """Whether something of this probability happens now."""
    return float(torch.rand((), generator=generator)) < probability


def uniform(within: Range, count: int, generator: torch.Generator) -> list[float]:
    """Numbers drawn uniformly from a range."""
    low, high = within
    places: list[float] = torch.rand(count, generator=generator).tolist()
    return [low + (high - low) * place for place in places]


def around_one(within: Range, count: int, generator: torch.Generator) -> list[float]:
    """Numbers drawn from the part of a range below 1 or above, with the same probability, there uniformly."""
    low, high = within
    sides: list[float] = torch.rand(count, generator=generator).tolist()
    places = uniform((0, 1), count, generator)
    return [
        low + (1 - low) * place if side < 0.5 and low < 1 else 1 + (high - 1) * place
        for side, place in zip(sides, places, strict=True)
    ]
