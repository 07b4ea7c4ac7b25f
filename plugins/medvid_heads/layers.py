"""What the simplest heads for whole inputs share: a linear layer on the embedding of any backbone."""

from torch import Tensor, nn

from medvid.models.features import FeatureInfo, Features
from medvid_heads.config import LinearLayerOptions


def linear_layers(
    options: LinearLayerOptions, feature_info: FeatureInfo, outputs: int
) -> tuple[nn.Module, nn.Dropout, nn.Linear]:
    """The hidden layer, or nothing; dropout; and the linear layer."""
    width = feature_info.embedding or feature_info.maps[-1].channels
    hidden: nn.Module = nn.Identity()
    if options.hidden_dim:
        hidden = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, options.hidden_dim), nn.GELU())
        width = options.hidden_dim
    last = nn.Linear(width, outputs)
    nn.init.trunc_normal_(last.weight, std=0.02)
    nn.init.zeros_(last.bias)
    return hidden, nn.Dropout(options.dropout), last


def embedding_of(features: Features) -> Tensor:
    """The embedding (B, C), or the mean of the coarsest map where there is none."""
    if features.embedding is None:
        return features.maps[-1].flatten(2).mean(dim=2)
    return features.embedding
