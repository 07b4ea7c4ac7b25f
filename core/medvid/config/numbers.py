"""Ranges of numbers that options share, in addition to pydantic's, such as PositiveInt and NonNegativeFloat."""

from typing import Annotated

from pydantic import Field

Fraction = Annotated[float, Field(ge=0, le=1)]
"""In [0, 1]: a share, a probability, or a factor that makes nothing larger."""
FractionBelowOne = Annotated[float, Field(ge=0, lt=1)]
"""In [0, 1): a share that leaves something, such as the rate of a dropout."""
PositiveFraction = Annotated[float, Field(gt=0, le=1)]
"""In (0, 1]."""


def check_range(name: str, values: tuple[float, float] | None) -> None:
    """Refuse a range whose first value is the higher one.

    Raises:
        ValueError: naming the option.
    """
    if values is not None and values[0] > values[1]:
        raise ValueError(f"{name} is {list(values)}, its first value has to be the lower one")
