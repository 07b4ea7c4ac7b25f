"""Heads that can be trained at several scales."""

from abc import ABC
from collections.abc import Sequence

from torch import Tensor, nn

from medvid.losses.deep_supervision import loss_of_scales
from medvid.models.head import Head


class DeepSupervised(Head, ABC):
    """Base of decoders that predict at several scales in training, where `DecoderOptions.deep_supervision` says so.

    Their `forward` returns a tuple of logits then, finest first. In evaluation it returns the finest alone.
    """

    def with_scales(
        self, logits: Tensor, decoded: Sequence[Tensor], classifiers: nn.ModuleList
    ) -> Tensor | tuple[Tensor, ...]:
        """The logits, in training with those of other scales behind them.

        Args:
            logits: (B, labels, *S), of the finest level.
            decoded: maps of all levels, coarsest first.
            classifiers: of the levels that are supervised besides the finest, finer ones first; perhaps none.
        """
        if not (self.training and classifiers):
            return logits
        return (logits, *[classify(x) for classify, x in zip(classifiers, decoded[-2::-1], strict=False)])

    def loss(self, output: Tensor | tuple[Tensor, ...], target: Tensor) -> dict[str, Tensor]:
        """The loss of the criterion, or its weighted sum over the scales."""
        if isinstance(output, Tensor):
            return self.criterion(output, target)
        return loss_of_scales(self.criterion, output, target)
