"""V-JEPA 2's encoder: a ViT over tubelets with rotary positions, without a class token."""

from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from medvid.models.backbone import Backbone
from medvid.models.features import FeatureInfo, Features, MapInfo
from medvid.models.tubelets import TubeletEmbedding, as_map
from medvid.models.vit import MLP, drop_path_rates
from medvid.plugin import InputInfo
from medvid_vjepa.config import VJEPAOptions
from medvid_vjepa.initialisation import initialise
from medvid_vjepa.pooler import AttentivePooler
from medvid_vjepa.rotary import RotaryAttention, Rotation, rotation_of


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)).

    Args:
        options: the backbone's options.
        drop_path: probability of skipping a residual branch for an example.
    """

    def __init__(self, options: VJEPAOptions, drop_path: float) -> None:
        super().__init__()
        dim = options.embed_dim
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = RotaryAttention(dim, options.num_heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = MLP(dim, options.mlp_dim)
        self.drop_path = StochasticDepth(drop_path, mode="row")

    def forward(self, x: Tensor, rotation: Rotation) -> Tensor:
        """Map (B, N, D) to (B, N, D)."""
        x = x + self.drop_path(self.attn(self.norm1(x), rotation))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class VJEPA(Backbone):
    """The encoder of V-JEPA 2 (Assran et al., 2025, section 2).

    Its maps are the tokens after the blocks ``options.taps`` (not normalised) and the normalised final ones, at the
    resolution of the tubelets; its embedding is the mean of the latter, or that of the attentive pooler.

    Args:
        options: the backbone's options.
        input_info: what it will be fed.
    """

    def __init__(self, options: VJEPAOptions, input_info: InputInfo) -> None:
        super().__init__()
        dim = options.embed_dim
        self.taps, self.head_channels = options.taps, dim // options.num_heads
        self.tubelet_embedding = TubeletEmbedding(input_info.channels, dim, options.tubelet)
        rates = drop_path_rates(options.drop_path_rate, options.depth)
        self.blocks = nn.ModuleList(Block(options, rate) for rate in rates)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        initialise(self)
        self.pooler: AttentivePooler | None = None
        if options.num_pooler_layers is not None:
            self.pooler = AttentivePooler(dim, options.num_heads, options.num_pooler_layers)
        map_info = MapInfo(dim, options.tubelet)
        self.feature_info = FeatureInfo((map_info,) * (len(options.taps) + 1), embedding=dim)

    def forward(self, input: Tensor) -> Features:
        """Map (B, C, T, H, W) to maps (B, D, *grid) and an embedding (B, D).

        Raises:
            ValueError: the clip does not divide into tubelets.
        """
        grid = self.tubelet_embedding.grid_of(input)
        tokens = self.tubelet_embedding(input)  # B, N, D
        rotation = rotation_of(grid, self.head_channels, tokens)
        tapped = []
        for index, block in enumerate(self.blocks):
            tokens = block(tokens, rotation)
            if index in self.taps:
                tapped.append(tokens)
        tokens = self.norm(tokens)
        embedding = self.pooler(tokens) if self.pooler is not None else tokens.mean(dim=1)
        return Features(maps=tuple(as_map(each, grid) for each in (*tapped, tokens)), embedding=embedding)

    @property
    def layers(self) -> tuple[nn.Module, ...]:
        """The transformer blocks of the encoder."""
        return tuple(self.blocks)

    @property
    def no_weight_decay(self) -> tuple[str, ...]:
        """The pooler's query."""
        return ("pooler.query",) if self.pooler is not None else ()
