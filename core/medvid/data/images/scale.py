"""The scale at which a model saw its training images, and at which it should see others.

Training resizes every image to one size. If all had about one size, that was one scale, which is kept for an image of
another size. If their sizes differed, the model met a range of scales; an image outside this range is resized like the
training images, and named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Self

from medvid.data.images.options import Size2D

TOLERANCE = 1.25
"""Scales that differ by less than this factor count as one: augmentation and patients vary as much."""

Range = tuple[float, float, float]
"""The smallest, the median and the largest value."""


@dataclass(frozen=True, slots=True)
class TrainingSizes:
    """The sizes of the training images.

    Args:
        height: in pixels.
        width: in pixels.
        shape: width / height.
    """

    height: Range
    width: Range
    shape: Range

    @classmethod
    def of(cls, sizes: Sequence[Size2D]) -> Self:
        """The sizes (height, width) of all training images, at least one."""
        heights, widths = zip(*sizes, strict=True)
        return cls(_range(heights), _range(widths), _range([width / height for height, width in sizes]))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """From the result of `to_json`."""
        height, width, shape = (tuple(map(float, values[name])) for name in ("height", "width", "shape"))
        return cls(height, width, shape)  # type: ignore[arg-type]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @property
    def mixed(self) -> bool:
        """Whether they differ so much that resizing to one size gives several scales."""
        return not all(values[2] <= TOLERANCE * values[0] for values in (self.height, self.width))

    def cover(self, size: Size2D) -> bool:
        """Whether an image (height, width) is like the training images."""
        height, width = size
        pairs = ((height, self.height), (width, self.width), (width / height, self.shape))
        return all(values[0] / TOLERANCE <= value <= values[2] * TOLERANCE for value, values in pairs)

    def prepared(self, size: Size2D, trained: Size2D) -> Size2D:
        """The size to which an image is resized.

        Args:
            size: height and width of the image.
            trained: height and width to which training images were resized.
        """
        if self.mixed or self.cover(size):
            return trained
        height, width = (
            max(1, round(length * to / seen[1]))
            for length, to, seen in zip(size, trained, (self.height, self.width), strict=True)
        )
        return height, width

    def __str__(self) -> str:
        return f"{_span(self.width)} x {_span(self.height)}"


def _range(values: Sequence[float]) -> Range:
    return float(min(values)), float(median(values)), float(max(values))


def _span(values: Range) -> str:
    low, _, high = values
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
