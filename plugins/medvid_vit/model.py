"""The plain ViT for images, tapped at several depths."""

import torch
from torch import Tensor, nn

from medvid.models.backbone import Backbone
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.models.vit import Block, drop_path_rates
from medvid.plugin import InputInfo
from medvid_vit.config import ViTOptions


class PatchEmbedding(nn.Module):
    """Cut an image into patches and project each to a token.

    Args:
        channels: channels of the image.
        embed_dim: width of a token.
        patch_size: edge length of a patch.
    """

    def __init__(self, channels: int, embed_dim: int, patch_size: int) -> None:
        super().__init__()
        self.projection = nn.Conv2d(channels, embed_dim, patch_size, stride=patch_size)

    def forward(self, input: Tensor) -> Tensor:
        """Map (B, C, H, W) to tokens (B, N, D), the last axis of the grid fastest."""
        return self.projection(input).flatten(2).transpose(1, 2)


class ViT(Backbone):
    """A ViT over the patches of an image (Dosovitskiy et al., ICLR 2021, section 3.1).

    Its maps are the patches' tokens after the blocks ``options.taps`` (not normalised) and the normalised final ones,
    all at the resolution of the patches; its embedding is the normalised class token.

    Args:
        options: the backbone's options.
        input_info: what it will be fed.
    """

    def __init__(self, options: ViTOptions, input_info: InputInfo) -> None:
        super().__init__()
        self.img_size, self.grid, self.taps = options.img_size, options.grid, options.taps
        dim, (rows, columns) = options.embed_dim, options.grid
        self.patch_embedding = PatchEmbedding(input_info.channels, dim, options.patch_size)
        self.class_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.positions = nn.Parameter(torch.zeros(1, 1 + rows * columns, dim))
        self.blocks = nn.ModuleList(
            Block(
                dim,
                int(options.mlp_ratio * dim),
                options.num_heads,
                qkv_bias=options.qkv_bias,
                drop_path=rate,
                eps=options.eps,
            )
            for rate in drop_path_rates(options.drop_path_rate, options.depth)
        )
        self.norm = nn.LayerNorm(dim, eps=options.eps)
        self._initialise()
        map_info = MapInfo(dim, (options.patch_size,) * 2)
        self.feature_info = FeatureInfo(maps=(map_info,) * (len(options.taps) + 1), embedding=dim)

    def forward(self, input: Tensor) -> Features:
        """Map (B, C, *img_size) to maps (B, embed_dim, *grid) and the class token (B, embed_dim).

        Raises:
            ValueError: the input has another size.
        """
        if input.shape[2:] != self.img_size:
            raise ValueError(
                f"this ViT was built for inputs of size {list(self.img_size)}, not {list(input.shape[2:])}"
            )
        tokens = self.patch_embedding(input)  # B, N, D
        tokens = torch.cat([self.class_token.expand(len(tokens), -1, -1), tokens], dim=1) + self.positions
        tapped = []
        for index, block in enumerate(self.blocks):
            tokens = block(tokens)
            if index in self.taps:
                tapped.append(tokens)
        tokens = self.norm(tokens)
        return Features(maps=tuple(map(self._as_map, [*tapped, tokens])), embedding=tokens[:, 0])

    @property
    def layers(self) -> tuple[nn.Module, ...]:
        """The transformer blocks."""
        return tuple(self.blocks)

    @property
    def no_weight_decay(self) -> tuple[str, ...]:
        """The class token and the positions."""
        return "class_token", "positions"

    def _as_map(self, tokens: Tensor) -> Tensor:
        """Class token and patches (B, 1 + N, D) to a map (B, D, *grid), a view with channels last in memory."""
        return tokens[:, 1:].transpose(1, 2).reshape(len(tokens), -1, *self.grid)

    def _initialise(self) -> None:
        """As timm does: narrow normal weights, no biases; the patch projection as torch has it."""
        nn.init.trunc_normal_(self.positions, std=0.02)
        nn.init.normal_(self.class_token, std=1e-6)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
