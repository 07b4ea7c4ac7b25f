"""Models of time: what is made of a sequence of embeddings, and how far an answer looks."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from medvid.errors import ConfigError
from medvid.models.frame_head import Context
from medvid.plugin.specs import What
from medvid_heads.config import LinearLayerOptions, TCNOptions, TransformerOptions
from medvid_heads.layers import linear_layers


class TemporalModel(nn.Module, ABC):
    """Base of models of time, of sequences of any length."""

    context: Context

    @abstractmethod
    def forward(self, embeddings: Tensor) -> tuple[Tensor, ...]:
        """Map embeddings (B, T, D) to numbers (B, T, N), of each of its stages."""


class FrameLayers(TemporalModel):
    """None: dropout and a linear layer on each frame.

    Args:
        options: of the layer.
        width: of an embedding.
        outputs: numbers per frame.
    """

    context = Context(0, 0)

    def __init__(self, options: LinearLayerOptions, width: int, outputs: int) -> None:
        super().__init__()
        self.hidden, self.dropout, self.last = linear_layers(options, width, outputs)

    def forward(self, embeddings: Tensor) -> tuple[Tensor, ...]:
        """See `TemporalModel`."""
        return (self.last(self.dropout(self.hidden(embeddings))),)


class TCN(TemporalModel):
    """Stages of dilated convolutions, each of which refines what the one before it says.

    MS-TCN (Abu Farha and Gall, CVPR 2019, section 3); with causal convolutions TeCNO (Czempiel et al., MICCAI 2020).
    The first stage reads the embeddings, the others the probabilities of the one before (values: the values).

    Args:
        options: its options.
        width: of an embedding.
        outputs: numbers per frame.
        what: they are.
        window: frames of a window of the training.

    Raises:
        ConfigError: a layer sees nothing but padding in a window.
    """

    def __init__(self, options: TCNOptions, width: int, outputs: int, what: What, window: int) -> None:
        super().__init__()
        dilations = options.dilations or _doubling(window, options.causal)
        furthest = max(dilations, default=0) * (2 if options.causal else 1)
        check_trained("head.temporal.dilations", furthest, window)
        widths = [width, *[outputs] * (options.stages - 1)]
        self.stages = nn.ModuleList(_Stage(options, dilations, given, outputs) for given in widths)
        self._what = what
        reach = options.stages * sum(dilations)
        self.context = Context(2 * reach, 0) if options.causal else Context(reach, reach)

    def forward(self, embeddings: Tensor) -> tuple[Tensor, ...]:
        """See `TemporalModel`."""
        outputs, given = [], embeddings.transpose(1, 2)
        for stage in self.stages:
            outputs.append(stage(given))
            given = self._as_input(outputs[-1])
        return tuple(output.transpose(1, 2) for output in outputs)

    def _as_input(self, output: Tensor) -> Tensor:
        if self._what == "value":
            return output
        return output.softmax(dim=1) if self._what == "class" else output.sigmoid()


def check_trained(option: str, furthest: int, window: int) -> None:
    """Refuse a layer with weights for frames that are never in a window: they would stay as they were drawn.

    Args:
        option: that says how far the layer looks.
        furthest: frame that it sees, at this distance.
        window: frames of a window of the training.

    Raises:
        ConfigError: naming all three.
    """
    if furthest and furthest >= window:
        raise ConfigError(
            f"{option} has a layer see frames at a distance of {furthest}, but the windows that it is trained on have "
            f"a length of {window}: it would learn nothing of them",
            hint=f"give the data set windows of {furthest + 1} frames or more, or leave {option} out",
        )


def _doubling(window: int, causal: bool) -> tuple[int, ...]:
    """1, 2, 4 ..., as long as a layer sees frames of one window; none for windows of a frame."""
    furthest = (window - 1) // (2 if causal else 1)
    return tuple(2**power for power in range(furthest.bit_length()))


class _Stage(nn.Sequential):
    """A convolution of width 1, the dilated layers, and one more of width 1: (B, given, T) to (B, outputs, T)."""

    def __init__(self, options: TCNOptions, dilations: Sequence[int], given: int, outputs: int) -> None:
        super().__init__(
            nn.Conv1d(given, options.channels, 1),
            *(_DilatedLayer(options, dilation) for dilation in dilations),
            nn.Conv1d(options.channels, outputs, 1),
        )


class _DilatedLayer(nn.Module):
    """A dilated convolution of width 3, ReLU, one of width 1 and dropout, added to what came in: (B, C, T)."""

    def __init__(self, options: TCNOptions, dilation: int) -> None:
        super().__init__()
        self._padding = (2 * dilation, 0) if options.causal else (dilation, dilation)
        self.dilated = nn.Conv1d(options.channels, options.channels, 3, dilation=dilation)
        self.pointwise = nn.Conv1d(options.channels, options.channels, 1)
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, x: Tensor) -> Tensor:
        seen = torch.relu(self.dilated(nn.functional.pad(x, self._padding)))
        return x + self.dropout(self.pointwise(seen))


class Transformer(TemporalModel):
    """A transformer encoder over the frames, each of which attends to those near it.

    Pre-norm layers (Xiong et al., ICML 2020). As in a Longformer's window (Beltagy et al., 2020; VTN: Neimark et al.,
    2021) a frame attends `reach` frames far, so that a sequence may be of any length; positions are learnt biases of
    the attention by distance (Raffel et al., JMLR 2020).

    Args:
        options: its options.
        width: of an embedding.
        outputs: numbers per frame.
        window: frames of a window of the training.

    Raises:
        ConfigError: frames attend further than a window.
    """

    def __init__(self, options: TransformerOptions, width: int, outputs: int, window: int) -> None:
        super().__init__()
        check_trained("head.temporal.reach", options.reach or 0, window)
        far = options.reach or window - 1
        reach = Context(far, 0 if options.causal else far)
        self.context = Context(*(options.num_layers * frames for frames in reach))
        self.project = nn.Linear(width, options.hidden_size)
        self.dropout = nn.Dropout(options.dropout)
        self.layers = nn.ModuleList(_Layer(options, reach) for _ in range(options.num_layers))
        self.norm = nn.LayerNorm(options.hidden_size)
        self.last = nn.Linear(options.hidden_size, outputs)

    def forward(self, embeddings: Tensor) -> tuple[Tensor, ...]:
        """See `TemporalModel`."""
        x = self.dropout(self.project(embeddings))
        for layer in self.layers:
            x = layer(x)
        return (self.last(self.norm(x)),)


class _Layer(nn.Module):
    def __init__(self, options: TransformerOptions, reach: Context) -> None:
        super().__init__()
        width = options.hidden_size
        self.attention_norm, self.attention = nn.LayerNorm(width), _NearAttention(options, reach)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, options.dim_feedforward),
            nn.GELU(),
            nn.Dropout(options.dropout),
            nn.Linear(options.dim_feedforward, width),
        )
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x)))
        return x + self.dropout(self.mlp(self.mlp_norm(x)))


class _NearAttention(nn.Module):
    """Attention of each frame to those near it, with a bias for each distance: (B, T, D) to (B, T, D)."""

    def __init__(self, options: TransformerOptions, reach: Context) -> None:
        super().__init__()
        self._reach, self._heads = reach, options.num_heads
        self.qkv = nn.Linear(options.hidden_size, 3 * options.hidden_size)
        self.biases = nn.Parameter(torch.zeros(options.num_heads, reach.before + 1 + reach.after))
        self.out = nn.Linear(options.hidden_size, options.hidden_size)
        nn.init.trunc_normal_(self.biases, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(x).unflatten(-1, (3, self._heads, -1)).permute(2, 0, 3, 1, 4)  # B, heads, T, D
        attended = nn.functional.scaled_dot_product_attention(query, key, value, self._mask(x).to(query.dtype))
        return self.out(attended.transpose(1, 2).flatten(2))

    def _mask(self, x: Tensor) -> Tensor:
        """What is added to the scores of each head (heads, T, T): a bias, and what is too far is minus infinity."""
        frames = torch.arange(x.shape[1], device=x.device)
        distance = frames - frames[:, None]  # of the frame that is attended to, from that which attends
        near = (distance >= -self._reach.before) & (distance <= self._reach.after)
        places = distance.clamp(-self._reach.before, self._reach.after) + self._reach.before
        return self.biases[:, places].masked_fill(~near, -torch.inf)
