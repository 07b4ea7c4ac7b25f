"""One less the Tversky index."""

from torch import Tensor

from medvid.losses.options import TverskyOptions
from medvid.losses.overlap import OverlapLoss
from medvid.losses.voxel_sums import voxel_sums
from medvid.plugin.info import TargetInfo


class Tversky(OverlapLoss):
    """One less the soft Tversky index (Salehi et al., MLMI 2017), in float32 or better.

    Args:
        options: the definition.
        target_info: the labels, classes or independent ones, and whether any may be unknown.
    """

    def __init__(self, options: TverskyOptions, target_info: TargetInfo) -> None:
        super().__init__(options, target_info, include_background=options.include_background)
        self.options = options

    def index(self, intersection: Tensor, predicted: Tensor, truth: Tensor) -> Tensor:
        """See `OverlapLoss.index`."""
        options = self.options
        wrong = options.alpha * (predicted - intersection) + options.beta * (truth - intersection)
        return (intersection + options.smooth_nr) / (intersection + wrong + options.smooth_dr)

    def forward(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The loss.

        Args:
            output: logits (B, L, *S), of any floating type.
            target: label ids (B, *S) of classes, (B, L, *S) of independent labels.

        Returns:
            Scalars ``loss``, and ``weight``, the number of examples with any known label, where some may be unknown.
        """
        sums = voxel_sums(output, target, self.info, squared=False)
        return {"loss": self.disagreement(sums)} | self.weight(sums)
