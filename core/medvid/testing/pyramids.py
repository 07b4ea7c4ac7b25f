"""Feature pyramids that no backbone gave: what heads have to work from, whatever their axes and strides."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from medvid.config.axes import SLICES
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.plugin.info import InputInfo
from medvid.plugin.specs import Axes, FeatureKind, HeadSpec

Strides = tuple[tuple[int, ...], ...]

SIZES: dict[Axes, tuple[int, ...]] = {"image": (32, 32), "volume": (16, 16, 16), "video": (8, 32, 32)}
"""No map is a single frame deep: oneDNN 3.12 convolves these wrongly in bf16."""
STRIDES: dict[Axes, tuple[Strides, ...]] = {
    "image": (
        ((1, 1), (2, 2), (4, 4), (8, 8)),  # a U-Net
        ((8, 8),) * 3,  # a ViT tapped at several depths
        ((2, 4), (8, 8)),
    ),
    "volume": (
        ((2, 2, 2), (4, 4, 4), (8, 8, 8)),
        ((8, 8, 8),) * 3,
        ((2, 2, 1), (4, 4, 1), (8, 8, 1)),  # slice by slice
    ),
    "video": (
        ((2, 4, 4), (2, 8, 8), (2, 16, 16)),  # MViT
        ((1, 16, 16),) * 2,  # TimeSformer
        ((4, 4, 4), (4, 8, 8)),
    ),
}
UNEVEN: dict[Axes, tuple[int, ...]] = {"image": (31, 26), "volume": (15, 14, 13), "video": (7, 30, 27)}
"""Sizes that no stride divides."""
CHANNELS = (6, 10, 14, 18)
WIDTH = 12
BATCH = 2


@dataclass(frozen=True, slots=True)
class Pyramid:
    """A backbone's side of the contract with a head.

    Args:
        input_info: what the backbone would be fed.
        feature_info: what it would declare.
    """

    input_info: InputInfo
    feature_info: FeatureInfo

    def __str__(self) -> str:
        parts = []
        if self.feature_info.maps:
            strides = ", ".join(str(list(info.stride)) for info in self.feature_info.maps)
            parts.append(f"maps of strides {strides}")
        if self.feature_info.embedding:
            parts.append("an embedding")
        if self.feature_info.frames:
            parts.append("embeddings of frames")
        return f"{' and '.join(parts)} of {self.input_info.axes}s of size {list(self.input_info.size)}"

    def input(self, seed: int = 0) -> torch.Tensor:
        """A random input (B, C, *S)."""
        return _random((BATCH, self.input_info.channels, *self.input_info.size), seed)

    def features(self, seed: int = 0) -> Features:
        """Random features of such an input."""
        size = self.input_info.size
        maps = tuple(
            _random((BATCH, info.channels, *(-(-a // b) for a, b in zip(size, info.stride, strict=True))), seed + index)
            for index, info in enumerate(self.feature_info.maps)
        )
        width, of_frame = self.feature_info.embedding, self.feature_info.frames
        return Features(
            maps,
            _random((BATCH, width), seed) if width else None,
            _random((BATCH, size[SLICES[self.input_info.axes]], of_frame), seed) if of_frame else None,
        )


def pyramids(spec: HeadSpec) -> Iterator[Pyramid]:
    """All that a head has to work from: its axes, and the parts of Features that it says are enough."""
    for axes in spec.axes:
        for strides in STRIDES[axes] if "maps" in spec.needs else ((),):
            yield _pyramid(axes, strides, {"maps", "embedding"}, SIZES[axes])
        for kind in spec.needs:
            yield _pyramid(axes, STRIDES[axes][0], {kind}, SIZES[axes])
        yield _pyramid(axes, STRIDES[axes][-1], {"maps", "embedding"}, UNEVEN[axes])
        if spec.where == "frame":  # of a backbone of images, frame by frame
            given = _pyramid(axes, STRIDES[axes][0], {"maps", "embedding"}, SIZES[axes])
            yield replace(given, feature_info=replace(given.feature_info, frames=WIDTH))


def _pyramid(axes: Axes, strides: Strides, parts: set[FeatureKind], size: tuple[int, ...]) -> Pyramid:
    maps = tuple(MapInfo(channels, stride) for channels, stride in zip(CHANNELS, strides, strict=False))
    info = FeatureInfo(maps if "maps" in parts else (), WIDTH if "embedding" in parts else None)
    return Pyramid(InputInfo(axes, 1 if axes == "volume" else 3, size), info)


def _random(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
