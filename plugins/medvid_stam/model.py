"""STAM: a transformer encoder over the embeddings of a clip's frames."""

import torch
from torch import Tensor, nn

from medvid.models.backbone import Backbone
from medvid.models.features import Features
from medvid.models.framewise import Framewise, TemporalEncoder
from medvid.models.framewise_options import frame_info
from medvid.plugin import Build, InputInfo
from medvid_stam.config import STAMOptions


class TemporalTransformer(TemporalEncoder):
    """A class token and the frames' embeddings, with learned positions, through post-norm layers (section 3.2).

    Args:
        options: the backbone's options.
        dim: width of an embedding.
    """

    tables = ("class_token", "positions")

    def __init__(self, options: STAMOptions, dim: int) -> None:
        super().__init__()
        self.class_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.positions = nn.Parameter(torch.zeros(1, 1 + options.num_frames, dim))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                dim, options.num_heads, options.dim_feedforward, options.dropout, batch_first=True
            )
            for _ in range(options.num_layers)
        )
        self.norm = nn.LayerNorm(dim)
        self._initialise(options.position_std)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Map frames (B, T, D) to the normalised class token (B, D)."""
        x = torch.cat([self.class_token.expand(len(embeddings), -1, -1), embeddings], dim=1) + self.positions
        for layer in self.layers:
            x = layer(x)
        return self.norm(x[:, 0])

    def _initialise(self, position_std: float) -> None:
        nn.init.trunc_normal_(self.class_token, std=0.02)
        nn.init.trunc_normal_(self.positions, std=position_std)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)


class STAM(Framewise):
    """A backbone of images on each frame, and a transformer encoder over their embeddings (Sharir et al., 2021).

    Args:
        options: the backbone's options.
        input_info: what it will be fed.
        build: makes the backbone of images.

    Raises:
        ConfigError: the heads do not divide the width of a frame's embedding.
    """

    def __init__(self, options: STAMOptions, input_info: InputInfo, build: Build) -> None:
        frame: Backbone = build(options.frame, frame_info(input_info))
        super().__init__(frame, options.num_heads, lambda dim: TemporalTransformer(options, dim))
        self.num_frames = options.num_frames

    def forward(self, input: Tensor) -> Features:
        """Map a clip (B, C, num_frames, H, W) to the frames' maps and the clip's embedding (B, D).

        Raises:
            ValueError: the clip has another number of frames, or the frames a size that their backbone does not take.
        """
        if input.shape[2] != self.num_frames:
            raise ValueError(f"this STAM was built for clips of {self.num_frames} frames, not {input.shape[2]}")
        maps, embeddings = self.encode_frames(input)
        return Features(maps, self.temporal(embeddings))
