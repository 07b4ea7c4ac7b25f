"""ViViT, models 1 to 4: tubelets become tokens, and transformers over space and time encode them."""

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from medvid.models.backbone import Backbone
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.models.tubelets import TubeletEmbedding
from medvid.models.vit import Block
from medvid.plugin import InputInfo
from medvid_vivit.blocks import make_blocks
from medvid_vivit.config import ViViTOptions

POOLING: dict[str, Callable[[Tensor], Tensor]] = {
    "token": lambda tokens: tokens[:, 0],
    "gap": lambda tokens: tokens.mean(1),
    "gmp": lambda tokens: tokens.amax(1),
    "gsp": lambda tokens: tokens.sum(1),
    "0": lambda tokens: tokens[:, 0],
}
"""From tokens (B, N, D) to an embedding (B, D); a class token comes first."""


class Encoder(nn.Module):
    """A transformer over tokens: class token, learned positions, blocks, norm (section 3.1).

    Args:
        options: the backbone's options.
        grid: the tokens' places, one length per axis, the last one fastest.
        blocks: the transformer blocks.
    """

    def __init__(self, options: ViViTOptions, grid: Sequence[int], blocks: Iterable[Block]) -> None:
        super().__init__()
        dim, count = options.hidden_size, math.prod(grid)
        self.grid, self.pool = tuple(grid), options.pool
        self.extra = 1 if options.pool == "token" else 0
        self.class_token = nn.Parameter(torch.zeros(1, 1, dim)) if self.extra else None
        self.positions = nn.Parameter(torch.zeros(1, self.extra + count, dim))
        self.dropout = nn.Dropout(options.dropout_rate)
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(dim, eps=options.layer_norm_eps)
        nn.init.normal_(self.positions, std=0.02)

    def forward(self, tokens: Tensor, taps: Sequence[int] = ()) -> tuple[list[Tensor], Tensor]:
        """Encode tokens (B, N, D).

        Returns:
            The tokens (B, N, D) after the tapped blocks, not normalised, and the normalised final ones; and the
            embedding (B, D).
        """
        if self.class_token is not None:
            tokens = torch.cat([self.class_token.expand(len(tokens), -1, -1), tokens], dim=1)
        tokens = self.dropout(tokens + self.positions)
        seen = []
        for index, block in enumerate(self.blocks):
            tokens = block(tokens)
            if index in taps:
                seen.append(tokens)
        tokens = self.norm(tokens)
        return [each[:, self.extra :] for each in (*seen, tokens)], POOLING[self.pool](tokens)


class ViViT(Backbone):
    """ViViT (Arnab et al., ICCV 2021).

    Its maps are the tokens after the blocks ``options.taps`` (not normalised) and the normalised final tokens, at one
    pixel per tubelet; in model 2 those of the spatial encoder, which know of no other time index. Its embedding is the
    class token, or the pooled tokens, of the last encoder.

    Args:
        options: the backbone's options.
        input_info: what it will be fed.
    """

    def __init__(self, options: ViViTOptions, input_info: InputInfo) -> None:
        super().__init__()
        self.options, dim = options, options.hidden_size
        time, height, width = options.grid
        self.by_frame = options.model == "factorised_encoder"
        self.tubelet_embedding = TubeletEmbedding(input_info.channels, dim, options.tubelet_size)
        _initialise(self.tubelet_embedding.projection)
        blocks = make_blocks(options, options.num_layers, options.num_heads, options.mlp_dim)
        self.encoder = Encoder(options, (height, width) if self.by_frame else options.grid, blocks)
        self.temporal_encoder: Encoder | None = None
        if self.by_frame and not options.spatial_only_baseline:
            self.temporal_encoder = Encoder(options, (time,), make_blocks(options, *options.temporal_sizes))
        self.pre_logits = nn.Linear(dim, options.representation_size) if options.representation_size else None
        map_info = MapInfo(dim, options.tubelet_size)
        self.feature_info = FeatureInfo((map_info,) * (len(options.taps) + 1), options.representation_size or dim)

    @property
    def layers(self) -> Sequence[nn.Module]:
        """The blocks; in model 2 the spatial ones, then the temporal ones."""
        return [block for encoder in self._encoders.values() for block in encoder.blocks]

    @property
    def no_weight_decay(self) -> Sequence[str]:
        """Position tables and class tokens."""
        tables = [f"{name}.positions" for name in self._encoders]
        return [*tables, *(f"{name}.class_token" for name, encoder in self._encoders.items() if encoder.extra)]

    @property
    def _encoders(self) -> dict[str, Encoder]:
        temporal = {"temporal_encoder": self.temporal_encoder} if self.temporal_encoder else {}
        return {"encoder": self.encoder, **temporal}

    def forward(self, input: Tensor) -> Features:
        """Map a clip (B, C, T, H, W) to maps (B, hidden_size, *grid) and an embedding.

        Raises:
            ValueError: the clip has another size than the positions are for.
        """
        if input.shape[2:] != self.options.input_size:
            raise ValueError(
                f"this ViViT was built for clips of size {list(self.options.input_size)}, not {list(input.shape[2:])}"
            )
        tokens = self.tubelet_embedding(input)  # B, N, D
        if self.by_frame:
            tokens = tokens.unflatten(1, (self.options.grid[0], -1)).flatten(0, 1)  # B * T', H' * W', D
        seen, embedding = self.encoder(tokens, self.options.taps)
        if self.by_frame:
            embedding = self._over_time(torch.unflatten(embedding, 0, (len(input), -1)))
        if self.pre_logits is not None:
            embedding = self.pre_logits(embedding).tanh()
        return Features(maps=tuple(self._as_map(each, len(input)) for each in seen), embedding=embedding)

    def _over_time(self, embeddings: Tensor) -> Tensor:
        """Encode the embeddings (B, T', D) of all time indices to one (B, D)."""
        if self.temporal_encoder is None:
            return embeddings.mean(1)
        return self.temporal_encoder(embeddings)[1]

    def _as_map(self, tokens: Tensor, batch_size: int) -> Tensor:
        """Tokens of the encoder to (B, D, *grid), with channels last in memory."""
        return tokens.reshape(batch_size, *self.options.grid, -1).movedim(-1, 1)


def _initialise(projection: nn.Linear) -> None:
    """Normal values within two standard deviations, which are those that keep the variance of the input."""
    std = projection.in_features**-0.5
    nn.init.trunc_normal_(projection.weight, std=std, a=-2 * std, b=2 * std)
    nn.init.zeros_(projection.bias)
