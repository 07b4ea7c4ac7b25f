"""The head that probes features: what a small network finds in those of a frozen backbone."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from medvid.errors import ConfigError
from medvid.models.classification import ClassificationHead
from medvid.models.features import FeatureInfo, Features, embedding_of, width_of
from medvid.models.head import Head
from medvid.models.regression import RegressionHead
from medvid.models.vit import MLP, Block
from medvid.plugin import InputInfo, TargetInfo
from medvid_heads.config import ProbeOptions

_HEAD_WIDTH = 64
"""Channels of an attention head, at most, where their number is not given."""


def probe_head(
    options: ProbeOptions,
    feature_info: FeatureInfo,
    input_info: InputInfo,  # noqa: ARG001 (every head gets it)
    target_info: TargetInfo,
) -> Head:
    """The head `probe`: of a class or labels per case, or of values.

    Raises:
        ConfigError: the number of attention heads does not divide the width of the features; or examples are to be
            mixed that have values.
    """
    layers = ProbeLayers(options, feature_info, len(target_info.names))
    if target_info.what != "value":
        return ProbeClassifier(options, layers, target_info)
    if options.mix.is_on:
        raise ConfigError("head.mix mixes classes or labels, but cases have values", hint="leave it out")
    return ProbeRegression(layers, target_info)


class AttentivePooling(nn.Module):
    """The attentive probe of V-JEPA: learnt queries attend to all tokens, then an MLP, each with a residual.

    As in V-JEPA's code the attention has no layer behind it. Further blocks of self-attention on the tokens may come
    before, as in the probes of V-JEPA 2.

    Args:
        dim: width of a token.
        num_heads: attention heads, which divide it.
        num_queries: whose results stand side by side.
        depth: blocks, of which the last one is the cross-attention.
    """

    def __init__(self, dim: int, num_heads: int, num_queries: int, depth: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.blocks = nn.Sequential(*(Block(dim, 4 * dim, num_heads) for _ in range(depth - 1)))
        self.queries = nn.Parameter(torch.empty(num_queries, dim))
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.to_query, self.to_key_value = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim)
        self.mlp = MLP(dim, 4 * dim)
        nn.init.trunc_normal_(self.queries, std=0.02)
        for layer in (module for module in self.modules() if isinstance(module, nn.Linear)):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (B, N, D) to (B, queries x D)."""
        tokens = self.blocks(tokens)
        queries = self.queries.expand(len(tokens), -1, -1)
        key, value = self._split(self.to_key_value(self.norm1(tokens))).chunk(2, dim=1)
        found = functional.scaled_dot_product_attention(self._split(self.to_query(queries)), key, value)
        pooled = queries + found.transpose(1, 2).flatten(2)
        pooled = pooled + self.mlp(self.norm2(pooled))
        return pooled.flatten(1)

    def _split(self, tokens: Tensor) -> Tensor:
        """(B, N, heads x d), or twice as wide, to (B, heads, N, d)."""
        return tokens.view(*tokens.shape[:2], -1, self.queries.shape[1] // self.num_heads).transpose(1, 2)


class ProbeLayers(nn.Module):
    """Pooling, and a linear layer on what was pooled.

    Args:
        options: the head's options.
        feature_info: what it works from.
        outputs: numbers per case.

    Raises:
        ConfigError: the number of attention heads does not divide the width of the features.
    """

    def __init__(self, options: ProbeOptions, feature_info: FeatureInfo, outputs: int) -> None:
        super().__init__()
        self.attentive: AttentivePooling | None = None
        width = width_of(feature_info)
        if options.pooling == "attentive":
            width = feature_info.maps[-1].channels
            heads = options.num_heads or _heads_of(width)
            if width % heads:
                raise ConfigError(
                    f"head.num_heads is {heads}, which does not divide the {width} channels of the backbone's features",
                    hint="leave it out, or give a number that does",
                )
            self.attentive = AttentivePooling(width, heads, options.num_queries, options.depth)
            width *= options.num_queries
        self.last = nn.Linear(width, outputs)
        nn.init.trunc_normal_(self.last.weight, std=0.02)
        nn.init.zeros_(self.last.bias)

    def forward(self, features: Features) -> Tensor:
        """Map features to numbers (B, N)."""
        if self.attentive is None:
            return self.last(embedding_of(features))
        return self.last(self.attentive(features.maps[-1].flatten(2).transpose(1, 2)))


class ProbeClassifier(ClassificationHead):
    """A class, or any of several labels, of each case.

    Args:
        options: the head's options.
        layers: make numbers of features.
        target_info: the classes to distinguish, or the labels to find.
    """

    def __init__(self, options: ProbeOptions, layers: ProbeLayers, target_info: TargetInfo) -> None:
        super().__init__(options, target_info)
        self.layers = layers

    def forward(self, features: Features, input: Tensor) -> Tensor:  # noqa: ARG002
        """Classify the input (B, C, *S) from its features: logits (B, labels)."""
        return self.layers(features)


class ProbeRegression(RegressionHead):
    """Values of each case, see `RegressionHead` for their scale.

    Args:
        layers: make numbers of features.
        target_info: the values.
    """

    def __init__(self, layers: ProbeLayers, target_info: TargetInfo) -> None:
        super().__init__(target_info)
        self.layers = layers

    def forward(self, features: Features, input: Tensor) -> Tensor:  # noqa: ARG002
        """Predict the values of the input (B, C, *S) from its features: (B, V) in their units."""
        return self.in_units(self.layers(features))


def _heads_of(width: int) -> int:
    """As few heads as have no more than `_HEAD_WIDTH` channels each, and divide the width."""
    return next(heads for heads in range(max(1, width // _HEAD_WIDTH), width + 1) if width % heads == 0)
