"""How a backbone runs on inputs of other axes than its own, see `medvid.config.axes`.

An adapter holds no module: a model's backbone stays what the plugin built, under the same names in checkpoints, so that
published weights are imported as for its own axes.
"""

from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from medvid.config.axes import SLICES, Adaptation
from medvid.models.features import FeatureInfo, Features, MapInfo


class Adapter(Protocol):
    """Runs a backbone on inputs of other axes."""

    def features(self, backbone: nn.Module, input: Tensor) -> Features:
        """Features of the input (B, C, *S): maps (B, C_i, *S_i) with the input's axes, and embedding (B, C)."""
        ...

    def feature_info(self, backbone: FeatureInfo) -> FeatureInfo:
        """What `features` returns, given what the backbone declares."""
        ...


def make_adapter(adaptation: Adaptation, depth: int) -> Adapter:
    """The adapter that does what was decided.

    Args:
        adaptation: how the backbone runs.
        depth: length of an inserted axis.
    """
    match adaptation.kind:
        case "fold":
            return AxisFold(SLICES[adaptation.given])
        case "move":
            return AxisMove(SLICES[adaptation.given], SLICES[adaptation.native])
        case "insert":
            return AxisInsert(SLICES[adaptation.native], depth)


@dataclass(frozen=True, slots=True)
class AxisFold:
    """Runs a backbone of images on all slices of a volume, or frames of a video, as one batch.

    Args:
        axis: index in *S of the axis that is folded into the batch, 2 in a volume (X, Y, Z), 0 in a video (T, H, W).
            The other two are the backbone's (H, W), in that order and not turned.
    """

    axis: int

    def features(self, backbone: nn.Module, input: Tensor) -> Features:
        """Features of the input (B, C, *S), D long on the folded axis.

        Returns:
            Maps (B, C_i, *S_i), all D long on that axis; the slices' embeddings (B, D, C), and their mean (B, C).
        """
        maps, embeddings = self.slices(backbone, input)
        return Features(maps, None if embeddings is None else embeddings.mean(dim=1), embeddings)

    def slices(self, backbone: nn.Module, input: Tensor) -> tuple[tuple[Tensor, ...], Tensor | None]:
        """As `features`, but with the embedding of each slice, (B, D, C), where the backbone gives one."""
        shape = len(input), input.shape[2 + self.axis]  # B, D
        slices: Features = backbone(self._fold(input))
        embeddings = slices.embedding
        return (
            tuple(self._unfold(feature_map, shape) for feature_map in slices.maps),
            None if embeddings is None else embeddings.view(*shape, -1),
        )

    def feature_info(self, backbone: FeatureInfo) -> FeatureInfo:
        """What `features` returns, given what the backbone declares: stride 1 on the folded axis."""
        maps = tuple(MapInfo(info.channels, _inserted(info.stride, self.axis)) for info in backbone.maps)
        return replace(backbone, maps=maps, frames=backbone.embedding)

    def _fold(self, input: Tensor) -> Tensor:
        """(B, C, *S) to (B * D, C, H, W) with at most one copy, channels last in memory where the input has them so."""
        folded = 2 + self.axis
        if input.is_contiguous():
            return input.movedim(folded, 1).flatten(0, 1).contiguous()
        return input.movedim((folded, 1), (1, -1)).flatten(0, 1).contiguous().movedim(-1, 1)

    def _unfold(self, slices: Tensor, shape: tuple[int, int]) -> Tensor:
        """(B * D, C, H, W) to (B, C, *S) with at most one copy, channels last in memory where the slices have them so.

        Laid out here and not left as a view: a decoder that joins maps of different formats would copy more than once.
        """
        memory_format = torch.contiguous_format if slices.is_contiguous() else torch.channels_last_3d
        stacked = slices.view(*shape, *slices.shape[1:])  # B, D, C, H, W
        return stacked.movedim(1, 2 + self.axis).contiguous(memory_format=memory_format)


@dataclass(frozen=True, slots=True)
class AxisMove:
    """Runs a backbone of videos on volumes, its time along the slices, or the other way round.

    Args:
        source: index in *S of the input's axis of slices (or frames).
        target: index where the backbone has its own.
    """

    source: int
    target: int

    def features(self, backbone: nn.Module, input: Tensor) -> Features:
        """Features of the input (B, C, *S); maps have the input's order of axes."""
        moved: Features = backbone(input.movedim(2 + self.source, 2 + self.target))
        return replace(moved, maps=tuple(item.movedim(2 + self.target, 2 + self.source) for item in moved.maps))

    def feature_info(self, backbone: FeatureInfo) -> FeatureInfo:
        """What `features` returns, given what the backbone declares: strides in the input's order of axes."""
        return replace(backbone, maps=tuple(MapInfo(info.channels, self._back(info.stride)) for info in backbone.maps))

    def _back(self, stride: tuple[int, ...]) -> tuple[int, ...]:
        return _inserted(_removed(stride, self.target), self.source, stride[self.target])


@dataclass(frozen=True, slots=True)
class AxisInsert:
    """Runs a backbone of videos or volumes on images, which are repeated along the axis that they lack.

    Args:
        axis: index of that axis in the backbone's *S.
        depth: how often the image is repeated, for backbones that need more than one frame or slice.
    """

    axis: int
    depth: int

    def features(self, backbone: nn.Module, input: Tensor) -> Features:
        """Features of the input (B, C, H, W); maps are averaged over the axis that was inserted."""
        axis = 2 + self.axis
        repeated = input.unsqueeze(axis)
        if self.depth > 1:
            repeated = repeated.repeat_interleave(self.depth, dim=axis)
        inner: Features = backbone(repeated)
        return replace(inner, maps=tuple(item.mean(dim=axis) for item in inner.maps))

    def feature_info(self, backbone: FeatureInfo) -> FeatureInfo:
        """What `features` returns, given what the backbone declares: without the inserted axis."""
        return replace(
            backbone, maps=tuple(MapInfo(info.channels, _removed(info.stride, self.axis)) for info in backbone.maps)
        )


def _inserted(stride: tuple[int, ...], axis: int, value: int = 1) -> tuple[int, ...]:
    return (*stride[:axis], value, *stride[axis:])


def _removed(stride: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return (*stride[:axis], *stride[axis + 1 :])
