"""The TransUNet encoder: a ViT over the pixels of a ResNet's last map, or over the patches of the image itself."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from medvid.models.backbone import Backbone
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.models.vit import MLP, Block
from medvid.plugin import InputInfo
from medvid_transunet.config import RESNET_STRIDE, TransUNetOptions
from medvid_transunet.resnet import ResNetV2


class PatchEmbedding(nn.Module):
    """Project each patch of a map to a token and add its learned position (TransUNet, equation 1).

    Args:
        channels: channels of the map.
        dim: width of a token.
        patch_size: edge length of a patch, in pixels of the map.
        grid: number of patches per axis.
        dropout: drop probability of the tokens' entries.
    """

    def __init__(self, channels: int, dim: int, patch_size: int, grid: tuple[int, int], dropout: float) -> None:
        super().__init__()
        self.grid = grid
        self.projection = nn.Conv2d(channels, dim, patch_size, stride=patch_size)
        self.positions = nn.Parameter(torch.zeros(1, math.prod(grid), dim))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, *(grid * patch_size)) to tokens (B, N, D), last axis of the grid fastest."""
        return self.dropout(self.projection(x).flatten(2).transpose(1, 2) + self.positions)


class TransUNet(Backbone):
    """The encoder of TransUNet (Chen et al., 2021, section 3.2).

    Its maps are those of the ResNet with strides 2, 4 and 8, if it has one, and the normalised final tokens at the
    resolution of the patches; its embedding is the mean of these tokens. An input of one channel is repeated to three.

    Args:
        options: the backbone's options.
        input_info: what it will be fed.
    """

    def __init__(self, options: TransUNetOptions, input_info: InputInfo) -> None:
        super().__init__()
        self.img_size, hidden_size, patch_size = options.img_size, options.hidden_size, options.patch_size
        self.channels = 3 if input_info.channels == 1 else input_info.channels
        grid = self.img_size[0] // patch_size, self.img_size[1] // patch_size
        channels = self.channels
        skips: list[MapInfo] = []
        self.resnet = ResNetV2(options.resnet, channels) if options.resnet else None
        if self.resnet:
            *skip_channels, channels = self.resnet.channels
            skips = [MapInfo(width, (2**level,) * 2) for level, width in enumerate(skip_channels, start=1)]
            patch_size //= RESNET_STRIDE
        self.patch_embedding = PatchEmbedding(channels, hidden_size, patch_size, grid, options.dropout_rate)
        self.blocks = nn.ModuleList(_block(options) for _ in range(options.num_layers))
        self.norm = nn.LayerNorm(hidden_size, eps=1e-6)
        encoded = MapInfo(hidden_size, (options.patch_size,) * 2)
        self.feature_info = FeatureInfo(maps=(*skips, encoded), embedding=hidden_size)

    @property
    def layers(self) -> Sequence[nn.Module]:
        return [*self.blocks]

    def forward(self, input: Tensor) -> Features:
        """Map (B, C, *img_size) to maps, the last (B, hidden_size, *(img_size / patch_size)), and an embedding.

        Raises:
            ValueError: the input has another size.
        """
        if input.shape[2:] != self.img_size:
            raise ValueError(
                f"this TransUNet was built for inputs of size {list(self.img_size)}, not {list(input.shape[2:])}"
            )
        x = input.expand(-1, self.channels, -1, -1)
        skips: list[Tensor] = []
        if self.resnet:
            *skips, x = self.resnet(x)
        tokens = self.patch_embedding(x)  # B, N, D
        for block in self.blocks:
            tokens = block(tokens)
        tokens = self.norm(tokens)
        encoded = tokens.transpose(1, 2).unflatten(2, self.patch_embedding.grid)  # a view, channels last in memory
        return Features(maps=(*skips, encoded), embedding=tokens.mean(dim=1))


def _block(options: TransUNetOptions) -> Block:
    """A transformer block, initialised as the published code does."""
    block = Block(
        options.hidden_size,
        options.mlp_dim,
        options.num_heads,
        dropout=options.dropout_rate,
        attention_dropout=options.attention_dropout_rate,
    )
    _initialise(block.mlp)
    return block


def _initialise(mlp: MLP) -> None:
    for layer in (mlp.fc1, mlp.fc2):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.normal_(layer.bias, std=1e-6)
