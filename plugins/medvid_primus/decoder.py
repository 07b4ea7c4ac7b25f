"""The decoder of Primus as a task head: transposed convolutions alone."""

from itertools import pairwise

from torch import Tensor, nn

from medvid.models.convolution import TRANSPOSED, initialise
from medvid.models.features import FeatureInfo, Features
from medvid.models.head import Head
from medvid.models.pyramid import level_strides
from medvid.models.resize import resize
from medvid.plugin import InputInfo, TargetInfo
from medvid_primus.config import PrimusDecoderOptions


class Norm(nn.LayerNorm):
    """A layer norm over the channels of maps."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (B, C, *S) over C."""
        return super().forward(input.movedim(1, -1)).movedim(-1, 1)


class PrimusDecoder(Head):
    """The decoder of Primus (Wald et al., 2025): it doubles the resolution until that of the input is reached.

    It works from the coarsest map alone. Channels fall geometrically from step to step, in multiples of 8, towards
    twice the number of labels.

    Args:
        options: the head's options.
        feature_info: the maps it works from; only the last is used.
        input_info: what the backbone is fed.
        target_info: the labels to distinguish.
    """

    def __init__(
        self,
        options: PrimusDecoderOptions,  # noqa: ARG002 (it has none but its loss)
        feature_info: FeatureInfo,
        input_info: InputInfo,
        target_info: TargetInfo,
    ) -> None:
        super().__init__()
        coarsest, labels = feature_info.maps[-1], len(target_info.names)
        transposed = TRANSPOSED[len(input_info.size)]
        strides = [coarsest.stride, *reversed(level_strides(coarsest.stride))]
        factors = [tuple(2 if b < a else 1 for a, b in zip(*pair, strict=True)) for pair in pairwise(strides)]
        widths = [coarsest.channels, *falling_widths(coarsest.channels, labels, len(factors))]
        *steps, last = zip(widths, widths[1:], factors, strict=False)
        self.steps = nn.Sequential(
            *(
                nn.Sequential(transposed(before, after, factor, stride=factor), Norm(after, eps=1e-6), nn.GELU())
                for before, after, factor in steps
            )
        )
        before, after, factor = last
        self.classifier = transposed(before, after, factor, stride=factor)
        initialise(self)

    def forward(self, features: Features, input: Tensor) -> Tensor:
        """Decode the coarsest map of the features of input (B, C, *S) to logits (B, labels, *S)."""
        return resize(self.classifier(self.steps(features.maps[-1])), input.shape[2:])


def falling_widths(channels: int, labels: int, steps: int) -> list[int]:
    """Channels after each of the steps, the last of which gives the labels."""
    ratio = (2 * labels / channels) ** (1 / steps)
    return [*(max(8, round(channels * ratio**step / 8) * 8) for step in range(1, steps)), labels]
