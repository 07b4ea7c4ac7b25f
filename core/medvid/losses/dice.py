"""Soft Dice plus the entropy of the same predictions."""

from torch import Tensor, stack

from medvid.losses.options import DiceBCEOptions, DiceCEOptions, DiceOptions
from medvid.losses.overlap import OverlapLoss, over_processes
from medvid.losses.voxel_sums import VoxelSums, voxel_sums
from medvid.plugin.info import TargetInfo


class _Dice(OverlapLoss):
    """Soft Dice, and the mean of a cross entropy.

    Args:
        options: the definition.
        target_info: the labels.
        include_background: let the first label take part in the Dice term.
    """

    def __init__(self, options: DiceOptions, target_info: TargetInfo, *, include_background: bool = True) -> None:
        counts_all = options.average == "voxels"
        super().__init__(options, target_info, include_background=include_background, counts_all=counts_all)
        self.options = options

    def index(self, intersection: Tensor, predicted: Tensor, truth: Tensor) -> Tensor:
        """See `OverlapLoss.index`."""
        return (2 * intersection + self.options.smooth_nr) / (predicted + truth + self.options.smooth_dr)

    def entropy(self, sums: VoxelSums) -> Tensor:
        """The mean negative log-likelihood, of each example first or of all that is known in the batch."""
        if sums.known is None:
            return -sums.likelihood.sum() / sums.entries
        if not self.counts_all:
            each = -sums.likelihood.sum(1) / sums.known.clamp_min(1)
            return each.sum() / self.examples(sums).clamp_min(1)
        likelihood = sums.likelihood.sum()
        likelihood, known = over_processes(
            stack([likelihood, sums.known.sum().to(likelihood.dtype)]), self.examples(sums)
        )
        return -likelihood / known.clamp_min(1)


class DiceCE(_Dice):
    """Soft Dice plus cross entropy, as MONAI's DiceCELoss with to_onehot_y and softmax, in float32 or better.

    Args:
        options: the definition.
        target_info: says whether voxels may be unknown, or lack some of the labels.
    """

    def __init__(self, options: DiceCEOptions, target_info: TargetInfo) -> None:
        super().__init__(options, target_info, include_background=options.include_background)
        self.weight_of_ce = options.lambda_ce

    def forward(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The loss.

        Args:
            output: logits (B, labels, *S), of any floating type.
            target: label ids (B, *S), int64.

        Returns:
            Scalars ``loss``, ``dice`` and ``ce``, the latter two not weighted; where labels may be unknown also
            ``weight``, the number of examples with any that is known.
        """
        sums = voxel_sums(output, target, self.info, self.options.squared_pred)
        dice, ce = self.disagreement(sums), self.entropy(sums)
        loss = self.options.lambda_dice * dice + self.weight_of_ce * ce
        return {"loss": loss, "dice": dice, "ce": ce} | self.weight(sums)


class DiceBCE(_Dice):
    """Soft Dice plus binary cross entropy of independent labels, which may overlap: regions, structures.

    Args:
        options: the definition.
        target_info: says whether labels of voxels may be unknown.
    """

    def __init__(self, options: DiceBCEOptions, target_info: TargetInfo) -> None:
        super().__init__(options, target_info)
        self.weight_of_bce = options.lambda_bce * (len(target_info.names) if options.ignore_scaling_fault else 1)

    def forward(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The loss.

        Args:
            output: logits (B, L, *S), of any floating type.
            target: of the same shape: 0, 1, a probability between, or below 0 where unknown.

        Returns:
            Scalars ``loss``, ``dice`` and ``bce``, the latter two not weighted; where labels may be unknown also
            ``weight``, the number of examples with any that is known.
        """
        sums = voxel_sums(output, target, self.info, self.options.squared_pred)
        dice, bce = self.disagreement(sums), self.entropy(sums)
        loss = self.options.lambda_dice * dice + self.weight_of_bce * bce
        return {"loss": loss, "dice": dice, "bce": bce} | self.weight(sums)
