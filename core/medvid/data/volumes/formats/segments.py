"""The segments that 3D Slicer names in a .seg.nrrd: SegmentN_Name, and where each is: SegmentN_Layer, _LabelValue."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medvid.data.volumes.formats.format import UnusableError

_KEY = re.compile(r"Segment(\d+)_(\w+)")


@dataclass(frozen=True, slots=True)
class Segment:
    """One of them: the voxels of a value on a layer.

    Args:
        name: what its maker calls it.
        layer: its layer, from 0; layers overlap.
        value: of its voxels there.
    """

    name: str
    layer: int
    value: int


def segments_of(pairs: Mapping[str, str]) -> tuple[Segment, ...]:
    """The segments that a header names, in their order; raises UnusableError for values that are not numbers."""
    found: dict[int, dict[str, str]] = {}
    for key, value in pairs.items():
        if match := _KEY.fullmatch(key):
            found.setdefault(int(match[1]), {})[match[2]] = value
    try:
        return tuple(
            Segment(
                about.get("Name") or about.get("ID") or f"Segment_{number}",
                # Until 2020 each segment had a layer of its own, which was not said.
                int(about.get("Layer", 0 if "LabelValue" in about else number)),
                int(about.get("LabelValue", 1)),
            )
            for number, about in sorted(found.items())
        )
    except ValueError as error:
        raise UnusableError(f"has a layer or value of a segment that is not a number ({error})") from None


def as_masks(data: np.ndarray, segments: Sequence[Segment]) -> np.ndarray:
    """The segments of layers, see `medvid.data.volumes.formats.format.Volume.masks`.

    Args:
        data: (X, Y, Z), or (X, Y, Z, layers).
        segments: at least one.

    Returns:
        (X, Y, Z) uint8 or uint16, the number of the segment from 1 or 0, where all are on one layer; else
        (X, Y, Z, N) uint8, 0 or 1.

    Raises:
        UnusableError: a segment is on a layer that there is not.
    """
    layers = data if data.ndim == 4 else data[..., None]
    if beyond := [segment.name for segment in segments if not 0 <= segment.layer < layers.shape[3]]:
        raise UnusableError(f"has {layers.shape[3]} layers; the segment {beyond[0]} is on another one")
    found = [layers[..., segment.layer] == segment.value for segment in segments]
    if len({segment.layer for segment in segments}) > 1:
        return np.stack(found, axis=3).astype(np.uint8)
    numbered = np.zeros(data.shape[:3], np.min_scalar_type(len(segments)))
    for number, mask in enumerate(found, start=1):
        numbered[mask] = number
    return numbered
