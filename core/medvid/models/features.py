"""The contract between backbone and head: what flows between them and what is known of it once built."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Features:
    """What a backbone returns.

    Args:
        maps: feature maps (B, C_i, *S_i), earliest and finest first.
        embedding: one vector per input (B, C), or None.
        frames: one vector per frame or slice (B, T, C), made of it alone, or None.
    """

    maps: tuple[Tensor, ...] = ()
    embedding: Tensor | None = None
    frames: Tensor | None = None


@dataclass(frozen=True, slots=True)
class MapInfo:
    """One feature map: its channels, and how many input voxels one of its voxels spans on each axis."""

    channels: int
    stride: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FeatureInfo:
    """What a built backbone declares of its Features: heads are built from this, never from a backbone's name.

    Args:
        maps: one entry per map, in the order of ``Features.maps``.
        embedding: width of the embedding, or None.
        frames: width of ``Features.frames``, or None.
    """

    maps: tuple[MapInfo, ...] = ()
    embedding: int | None = None
    frames: int | None = None


def embedding_of(features: Features) -> Tensor:
    """The embedding (B, C), or the mean of the coarsest map where there is none."""
    if features.embedding is None:
        return features.maps[-1].flatten(2).mean(dim=2)
    return features.embedding


def width_of(feature_info: FeatureInfo) -> int:
    """Channels of what `embedding_of` returns."""
    return feature_info.embedding or feature_info.maps[-1].channels
