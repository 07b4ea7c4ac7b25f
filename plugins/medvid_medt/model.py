"""MedT and its family: a U-Net of axial attention over the image, with or without a second one over its patches."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from medvid.models.backbone import Backbone
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.plugin import InputInfo
from medvid_medt.attention import AxialAttention, PositionalAxialAttention
from medvid_medt.config import STRIDES, MedTOptions
from medvid_medt.unet import Attention, AxialUNet


class LocalBranch(nn.Module):
    """A network that sees one patch of the image at a time (MedT, section 2.4).

    The patches are one batch. The authors' code runs the network on one position of the grid after the other, which is
    the same in evaluation; in training it normalises by the statistics of one position of all images, and moves the
    running statistics once per position, while here BatchNorm sees the whole images and moves them once per step.

    Args:
        network: maps (B, C, *patch) to maps, the first of the same size.
        grid: rows and columns of patches.
        sequential: train as the authors' code does.
    """

    def __init__(self, network: AxialUNet, grid: tuple[int, int], *, sequential: bool) -> None:
        super().__init__()
        self.network, self.grid, self.sequential = network, grid, sequential

    def forward(self, input: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, channels, H, W)."""
        (batch, channels, height, width), (rows, columns) = input.shape, self.grid
        patches = input.reshape(batch, channels, rows, height // rows, columns, width // columns)
        patches = patches.permute(2, 4, 0, 1, 3, 5).flatten(0, 1)  # positions, B, C, h, w
        if self.sequential and self.training:
            y = torch.cat([self.network(patch)[0] for patch in patches])
        else:
            y = self.network(patches.flatten(0, 1))[0]
        y = y.reshape(rows, columns, batch, -1, *y.shape[2:]).permute(2, 3, 0, 4, 1, 5)
        return y.flatten(4, 5).flatten(2, 3)


class MedT(Backbone):
    """MedT (Valanarasu et al., MICCAI 2021), its two branches LoGo, and the gated or plain axial attention U-Net.

    The finest map is what the authors' code has in front of its last convolution: the decoder's output at full
    resolution, fused with that of the patches in MedT and LoGo. The others are those of the stages over the image, with
    strides 2 and 4, without patches also 8 and 16. The embedding is the means of all maps, side by side.

    MedT's gates, the parameters ``*.f_*``, are like any others here; that the authors leave them as they are for the
    first ten epochs is for the training recipe to say. Of the 1,560,140 parameters of the published MedT for two labels
    it has, with its head, the 1,524,298 that have an effect; `medvid_medt.weights` names the others.

    Args:
        options: the backbone's options.
        input_info: what it will be fed.
    """

    def __init__(self, options: MedTOptions, input_info: InputInfo) -> None:
        super().__init__()
        self.img_size, channels = options.img_size, input_info.channels
        gated = _positional(options, gated=options.variant in ("medt", "gated"))
        stages = 2 if options.has_local_branch else len(STRIDES)
        self.global_branch = AxialUNet(options, channels, int(64 * options.s), self.img_size, stages, gated)
        self.local_branch = None
        if options.has_local_branch:
            attention = _without_positions(options) if options.variant == "medt" else _positional(options, gated=False)
            network = AxialUNet(options, channels, int(512 * options.s), options.patch_size, len(STRIDES), attention)
            self.local_branch = LocalBranch(network, options.patch_grid, sequential=options.local_order == "sequential")
            self.fuse = nn.Conv2d(network.channels[0], network.channels[0], 3, padding=1)
        maps = zip(self.global_branch.channels, (1, *STRIDES), strict=False)
        self.feature_info = FeatureInfo(
            maps=tuple(MapInfo(width, (stride, stride)) for width, stride in maps),
            embedding=sum(self.global_branch.channels),
        )

    def forward(self, input: Tensor) -> Features:
        """Map (B, C, *img_size) to maps, the first (B, 128 s, *img_size), and an embedding.

        Raises:
            ValueError: the input has another size.
        """
        if input.shape[2:] != self.img_size:
            raise ValueError(
                f"this MedT was built for inputs of size {list(self.img_size)}, not {list(input.shape[2:])}"
            )
        finest, *maps = self.global_branch(input)
        if self.local_branch is not None:
            finest = functional.relu(self.fuse(finest + self.local_branch(input)))
        maps = finest, *maps
        return Features(maps, embedding=torch.cat([one.mean(dim=(2, 3)) for one in maps], dim=1))


def _positional(options: MedTOptions, *, gated: bool) -> Attention:
    return lambda dim, length: PositionalAxialAttention(dim, length, options.groups, gated=gated)


def _without_positions(options: MedTOptions) -> Attention:
    return lambda dim, _length: AxialAttention(dim, options.groups)
