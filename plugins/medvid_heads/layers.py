"""What the simplest heads for whole inputs, and for frames, share: a linear layer."""

from torch import nn

from medvid_heads.config import LinearLayerOptions


def linear_layers(options: LinearLayerOptions, width: int, outputs: int) -> tuple[nn.Module, nn.Dropout, nn.Linear]:
    """The hidden layer, or nothing; dropout; and the linear layer, on so many channels."""
    hidden: nn.Module = nn.Identity()
    if options.hidden_dim:
        hidden = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, options.hidden_dim), nn.GELU())
        width = options.hidden_dim
    last = nn.Linear(width, outputs)
    nn.init.trunc_normal_(last.weight, std=0.02)
    nn.init.zeros_(last.bias)
    return hidden, nn.Dropout(options.dropout), last
