"""Turning and scaling, as nnU-Net does it: one interpolation, of an example cut larger than it will be."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from medvid.data.batch import Batch
from medvid.data.transform import Transform
from medvid.data.transforms.draws import happens, uniform
from medvid.data.transforms.floats import as_floats
from medvid.data.transforms.margins import initial_size, largest_angle, slice_axis_of
from medvid.data.transforms.moving import moved
from medvid.data.transforms.resampling import cut_middle, resample_labels, resample_linearly, resample_values
from medvid.data.transforms.scan_options import SpatialOptions


def rotation_matrix(angles: Sequence[float]) -> Tensor:
    """The turn by one angle in the plane, or by three about the first axis, then the second and the third; radians."""
    if len(angles) == 1:
        return _turn(angles[0])
    matrix = torch.eye(3)
    for axis, angle in enumerate(angles):
        others = [(axis + 1) % 3, (axis + 2) % 3]
        about = torch.eye(3)
        about[torch.tensor(others)[:, None], torch.tensor(others)] = _turn(angle)
        matrix = about @ matrix
    return matrix


class Spatial(Transform):
    """Turns and scales, and cuts out the middle. Slices, and the frames of a video, all turn alike in their plane.

    Args:
        options: how often and how much.
    """

    on_device = True

    def __init__(self, options: SpatialOptions) -> None:
        self.options = options

    def initial_size(self, size: tuple[int, ...]) -> tuple[int, ...]:
        if not self.options.rotation_probability and not self.options.scaling_probability:
            return size
        slices = self._slice_axis(size)
        degrees = largest_angle(self.options.rotation, size, slices)
        if self.axes != "volume":
            return initial_size(size, degrees, slices)
        # nnU-Net's first axis is S, and ours is the last.
        return initial_size(size[::-1], degrees, None if slices is None else 2 - slices)[::-1]

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        size = batch.size or tuple(batch.input.shape[2:])
        slices = self._slice_axis(size)

        def move(input: Tensor, maps: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
            matrix = self._draw(size, slices, generator)
            if matrix is None:
                return cut_middle(input, size).contiguous(), [_cut_map(each, size).contiguous() for each in maps]
            on_it = [
                _resample(each, matrix, size, slices, resample_values if each.is_floating_point() else resample_labels)
                for each in maps
            ]
            return _resample(input, matrix, size, slices, resample_linearly), on_it

        return replace(moved(as_floats(batch), move), size=None)

    def _draw(self, size: Sequence[int], slices: int | None, generator: torch.Generator) -> Tensor | None:
        """The matrix of an example, (3, 3), or (2, 2) in the plane; None where nothing changes."""
        options, axes = self.options, len(size) - (slices is not None)
        is_turned, is_scaled = (
            happens(probability, generator)
            for probability in (options.rotation_probability, options.scaling_probability)
        )
        limit = math.radians(largest_angle(options.rotation, size, slices))
        angles = uniform((-limit, limit), 3 if axes == 3 else 1, generator)
        [factor] = uniform(options.scaling, 1, generator)
        if not is_turned and not is_scaled:
            return None
        return (rotation_matrix(angles) if is_turned else torch.eye(axes)) * (factor if is_scaled else 1)

    def _slice_axis(self, size: Sequence[int]) -> int | None:
        axes = self.axes or ("image" if len(size) == 2 else "volume")
        return slice_axis_of(self.options.slice_axis, axes, size)


def _cut_map(each: Tensor, size: Sequence[int]) -> Tensor:
    """The middle of what lies on an example; outside of it labels are background, values unknown."""
    return cut_middle(each, size, torch.nan if each.is_floating_point() else 0)


def _resample(
    source: Tensor, matrix: Tensor, size: Sequence[int], slices: int | None, resample: Callable[..., Tensor]
) -> Tensor:
    """Resample (..., *S): what comes before *S, and slices, each on its own."""
    among = None if slices is None else slices - len(size)
    apart = source if among is None else source.movedim(among, -len(size))
    plane = [length for axis, length in enumerate(size) if axis != slices]
    stack = apart.reshape(-1, *apart.shape[apart.ndim - len(plane) :])
    changed = resample(stack, matrix, plane)
    result = changed.view(*apart.shape[: apart.ndim - len(plane)], *plane)
    outside = torch.nan if resample is resample_values else 0
    return result if among is None else cut_middle(result.movedim(-len(size), among), size, outside).contiguous()


def _turn(angle: float) -> Tensor:
    cos, sin = math.cos(angle), math.sin(angle)
    return torch.tensor([[cos, -sin], [sin, cos]])
