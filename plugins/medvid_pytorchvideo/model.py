"""SlowFast and X3D, their layers built by pytorchvideo."""

import warnings

import torch
from torch import Tensor, nn

from medvid.models.backbone import Backbone
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.plugin import InputInfo
from medvid_pytorchvideo.config import STAGE_DEPTHS, SlowFastOptions, X3DOptions

with warnings.catch_warnings():  # fvcore, which pytorchvideo builds on, scripts a loss that nothing here uses
    warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", FutureWarning)
    from pytorchvideo.models.slowfast import create_slowfast
    from pytorchvideo.models.x3d import create_x3d

STRIDES = (4, 8, 16, 32)
"""Of the stages res2 to res5, in height and width."""


class SlowFast(Backbone):
    """Two pathways over one clip, with lateral connections from the fast to the slow one (Feichtenhofer et al., 2019).

    Its maps are those of the slow pathway after each stage, together with what the fast one brings to it there (after
    the last stage, nothing); their stride in time is alpha. Its embedding is the mean over space and time of both
    pathways' last maps, slow channels first. Where a clip has the size that the published code pools over, this is the
    same; over larger frames that slides its window, so that pixels at the border count less.

    Args:
        options: the backbone's options.
        input_info: what it will be fed.
    """

    def __init__(self, options: SlowFastOptions, input_info: InputInfo) -> None:
        super().__init__()
        self.alpha = options.alpha
        fast_width = options.width // options.beta_inv
        kernels = _kernels(options)
        network = create_slowfast(
            slowfast_channel_reduction_ratio=options.beta_inv,
            slowfast_conv_channel_fusion_ratio=options.fusion_conv_channel_ratio,
            slowfast_fusion_conv_kernel_size=(options.fusion_kernel_size, 1, 1),
            slowfast_fusion_conv_stride=(options.alpha, 1, 1),
            input_channels=(input_info.channels,) * 2,
            model_depth=options.depth,
            stem_dim_outs=(options.width, fast_width),
            stage_conv_a_kernel_sizes=kernels,
            head=None,
        )
        self.blocks = network.blocks[:-1]  # the stem and four stages, without pooling
        for block in self.blocks:
            block.inplace = False  # a new list of maps is made, so that a block can be run twice
        channels = [options.width * factor for factor in (4, 8, 16, 32)]
        lateral = [width * options.fusion_conv_channel_ratio // options.beta_inv for width in channels[:-1]]
        maps = [width + more for width, more in zip(channels, [*lateral, 0], strict=True)]
        self.feature_info = FeatureInfo(
            maps=_map_infos(maps, time=options.alpha), embedding=channels[-1] + channels[-1] // options.beta_inv
        )

    def forward(self, input: Tensor) -> Features:
        """Map a clip (B, C, T, H, W) to maps (B, C_i, T / alpha, H_i, W_i) and an embedding.

        Raises:
            ValueError: T is not a multiple of alpha.
        """
        frames = input.shape[2]
        if frames % self.alpha:
            raise ValueError(f"clips of {frames} frames: their number has to be a multiple of alpha ({self.alpha})")
        # As in PySlowFast: not exactly every alpha-th frame, but evenly from the first to the last one.
        chosen = torch.linspace(0, frames - 1, frames // self.alpha, device=input.device).long()
        pathways = [input.index_select(2, chosen), input]
        maps = []
        for block in self.blocks:
            pathways = block(pathways)
            maps.append(pathways[0])
        embedding = torch.cat([pathway.mean(dim=(2, 3, 4)) for pathway in pathways], dim=1)
        return Features(maps=tuple(maps[1:]), embedding=embedding)

    @property
    def layers(self) -> tuple[nn.Module, ...]:
        """The stem and the stages, of both pathways."""
        return tuple(self.blocks)


class X3D(Backbone):
    """A 3D ResNet of channel-wise convolutions (Feichtenhofer, 2020).

    Its maps are those after each stage, at full frame rate; its embedding is the mean of the widened last map over
    space and time, widened further (conv5, pool5 and fc1 of table 1). Where a clip has the size that the published code
    pools over, this is the same; over larger frames that classifies windows and averages their scores.

    Args:
        options: the backbone's options.
        input_info: what it will be fed.
    """

    def __init__(self, options: X3DOptions, input_info: InputInfo) -> None:
        super().__init__()
        network = create_x3d(
            input_channel=input_info.channels,
            width_factor=options.width_factor,
            depth_factor=options.expansion_of_depth,
            bottleneck_factor=options.bottleneck_factor,
            head_dim_out=options.head_dim,
            inner_act=nn.SiLU,  # pytorchvideo's own Swish is the same function
        )
        *stages, head = network.blocks
        self.blocks = nn.ModuleList(stages)  # the stem and four stages
        self.projection = head.pool
        self.projection.pool = nn.AdaptiveAvgPool3d(1)  # pytorchvideo's is of one size of clips
        channels = [stage.res_blocks[-1].branch2.conv_c.out_channels for stage in stages[1:]]
        self.feature_info = FeatureInfo(maps=_map_infos(channels, time=1), embedding=options.head_dim)

    def forward(self, input: Tensor) -> Features:
        """Map a clip (B, C, T, H, W) to maps (B, C_i, T, H_i, W_i) and an embedding (B, head_dim)."""
        maps = []
        x = input
        for block in self.blocks:
            x = block(x)
            maps.append(x)
        return Features(maps=tuple(maps[1:]), embedding=self.projection(x).flatten(1))

    @property
    def layers(self) -> tuple[nn.Module, ...]:
        """The stem and the stages."""
        return tuple(self.blocks)


def _kernels(options: SlowFastOptions) -> tuple[tuple[object, ...], tuple[object, ...]]:
    """Kernel sizes of the blocks' first convolutions, by pathway and stage, where they differ by block as well."""
    spatial, temporal = (1, 1, 1), (3, 1, 1)
    res4: object = temporal
    if options.res4_temporal_blocks is not None:
        plain = STAGE_DEPTHS[options.depth][2] - options.res4_temporal_blocks
        res4 = (temporal,) * options.res4_temporal_blocks + (spatial,) * plain
    return (spatial, spatial, res4, temporal), (temporal, temporal, res4, temporal)


def _map_infos(channels: list[int], time: int) -> tuple[MapInfo, ...]:
    return tuple(MapInfo(width, (time, stride, stride)) for width, stride in zip(channels, STRIDES, strict=True))
