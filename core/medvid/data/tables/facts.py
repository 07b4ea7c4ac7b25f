"""What a plan has to know of a file, before it is brought to the size of the model's input."""

from dataclasses import dataclass

AIR = -900.0
"""Hounsfield units below which only air and what scanners write outside of the field of view lie."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One image or volume.

    Args:
        size: of the file, along the axes of the input.
        channels: colours count as 3.
        lowest: of its values.
        low: 0.5th percentile of the values that are not air, where there are Hounsfield units, else of all.
        high: the 99.5th, likewise.
        white: the value that is white by the type of the file; 0: none.
        spacing: mm along the axes; empty for images.
    """

    size: tuple[int, ...]
    channels: int
    lowest: float
    low: float
    high: float
    white: float
    spacing: tuple[float, ...] = ()
