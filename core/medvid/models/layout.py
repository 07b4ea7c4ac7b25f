"""Layout adapters: how a backbone runs on inputs of another layout than its own, see `medvid.config.layout`."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from medvid.models.features import FeatureInfo, Features, MapInfo


@dataclass(frozen=True, slots=True)
class AxisFold:
    """Runs a backbone of images on all slices of a volume, or frames of a video, as one batch.

    It holds no module: a model's backbone stays what the plugin built, under the same names in checkpoints, so that
    published weights are imported as for images.

    Args:
        axis: index in *S of the axis that is folded into the batch, 2 in a volume (X, Y, Z), 0 in a video (T, H, W).
            The other two are the backbone's (H, W), in that order and not turned.
    """

    axis: int

    def features(self, backbone: nn.Module, input: Tensor) -> Features:
        """Features of the input (B, C, *S), D long on the folded axis.

        Returns:
            Maps (B, C_i, *S_i), all D long on that axis, and the mean over it of the slices' embeddings, (B, C).
        """
        maps, embeddings = self.slices(backbone, input)
        return Features(maps, None if embeddings is None else embeddings.mean(dim=1))

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
        return replace(
            backbone, maps=tuple(MapInfo(info.channels, self._insert(info.stride)) for info in backbone.maps)
        )

    def _insert(self, stride: tuple[int, ...]) -> tuple[int, ...]:
        return (*stride[: self.axis], 1, *stride[self.axis :])

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
