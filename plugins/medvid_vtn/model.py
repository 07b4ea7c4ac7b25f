"""VTN: a Longformer over the embeddings of a video's frames."""

import torch
from torch import Tensor, nn

from medvid.models.backbone import Backbone
from medvid.models.features import Features
from medvid.models.framewise import Framewise, TemporalEncoder
from medvid.models.framewise_options import frame_info
from medvid.plugin import Build, InputInfo
from medvid_vtn.config import VTNOptions
from medvid_vtn.longformer import LongformerLayer

FRAME, CLS = 0, 1
"""Rows of the table of token types."""


class Longformer(TemporalEncoder):
    """A class token and the frames' embeddings, with the frames' indices as positions, through Longformer layers.

    The published code fills the sequence up to whole windows. Nothing attends to what it adds, so nothing is added
    here: the results are the same, and the last row of the position table, which is for it, is never used.

    Args:
        options: the backbone's options.
        dim: width of an embedding.
    """

    tables = ("class_token", "positions.weight", "token_types.weight")

    def __init__(self, options: VTNOptions, dim: int) -> None:
        super().__init__()
        self.class_token = nn.Parameter(torch.randn(1, 1, dim))
        self.positions = nn.Embedding(options.max_position_embeddings, dim)
        self.token_types = nn.Embedding(2, dim)
        self.norm = nn.LayerNorm(dim, eps=options.layer_norm_eps)
        self.dropout = nn.Dropout(options.hidden_dropout_prob)
        self.layers = nn.ModuleList(
            LongformerLayer(
                dim,
                options.intermediate_size,
                options.num_attention_heads,
                window,
                dropout=options.hidden_dropout_prob,
                attention_dropout=options.attention_probs_dropout_prob,
                eps=options.layer_norm_eps,
            )
            for window in options.windows
        )
        self._initialise(options.position_std)

    def forward(self, embeddings: Tensor, positions: Tensor) -> Tensor:
        """Map frames (B, T, D) with indices (B, T) or (T,) to the class token (B, D)."""
        last = self.positions.num_embeddings - 2  # the class token's position; frames wrap around below it
        cls = self.class_token + self.positions.weight[last] + self.token_types.weight[CLS]
        frames = embeddings + self.positions(positions % last) + self.token_types.weight[FRAME]
        x = self.dropout(self.norm(torch.cat([cls.expand(len(frames), -1, -1), frames], dim=1)))
        for layer in self.layers:
            x = layer(x)
        return x[:, 0]

    def _initialise(self, position_std: float) -> None:
        """As transformers does, but for the positions."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.positions.weight, std=position_std)


class VTN(Framewise):
    """A backbone of images on each frame, and a Longformer over their embeddings (Neimark et al., 2021, section 3).

    It takes videos of any length.

    Args:
        options: the backbone's options.
        input_info: what it will be fed.
        build: makes the backbone of images.

    Raises:
        ConfigError: the heads do not divide the width of a frame's embedding.
    """

    def __init__(self, options: VTNOptions, input_info: InputInfo, build: Build) -> None:
        frame: Backbone = build(options.frame, frame_info(input_info))
        super().__init__(frame, options.num_attention_heads, lambda dim: Longformer(options, dim))
        self.frame_stride = options.frame_stride
        self.test_frame_stride = options.test_frame_stride or options.frame_stride

    def forward(self, input: Tensor) -> Features:
        """Map a video (B, C, T, H, W) to the frames' maps and the video's embedding (B, D).

        Frames are `frame_stride` apart, outside of training `test_frame_stride`.

        Raises:
            ValueError: the frames have a size that their backbone does not take.
        """
        maps, embeddings = self.encode_frames(input)
        stride = self.frame_stride if self.training else self.test_frame_stride
        positions = torch.arange(input.shape[2], device=input.device) * stride
        return Features(maps, self.temporal(embeddings, positions))
