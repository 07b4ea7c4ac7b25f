"""What all heads for classes and labels of cases share: mixing of training batches."""

from abc import ABC

import torch
from torch import Tensor
from torch.nn import functional

from medvid.data.batch import Batch
from medvid.models.head import Head
from medvid.models.mixing import blend, partners, paste
from medvid.models.options import ClassificationHeadOptions
from medvid.plugin.info import UNKNOWN, TargetInfo


class ClassificationHead(Head, ABC):
    """Base of all heads that give a class, or any of several labels, to an input as a whole.

    A subclass adds the network that maps features to logits.

    Args:
        options: the head's options.
        target_info: the classes to distinguish, or the labels to find.
    """

    def __init__(self, options: ClassificationHeadOptions, target_info: TargetInfo) -> None:
        super().__init__()
        self.options = options
        self.num_labels = len(target_info.names)
        self.what, self.has_unknown = target_info.what, target_info.has_unknown

    def mix(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Mix the examples of a training batch, as the options ask for, see `MixOptions`.

        Args:
            batch: with input (B, C, *S), and class ids (B,) or labels (B, L); examples of a single case are not mixed.

        Returns:
            Input (B, C, *S), and target: (B, classes) or (B, L) probabilities where mixed, else as given. A label that
            is unknown in one of two examples is unknown in their mixture.
        """
        options = self.options.mix
        kinds = [(kind, alpha) for kind, alpha in ((blend, options.mixup), (paste, options.cutmix)) if alpha]
        if not kinds or len(set(batch.cases)) == 1 or torch.rand(()) >= options.probability:
            return batch.input, batch.target
        kind, alpha = kinds[-1] if torch.rand(()) < options.switch_probability else kinds[0]
        share = float(torch.distributions.Beta(alpha, alpha).sample())
        # Not pinned, its copy to a GPU could wait for all that the GPU has to do.
        order = torch.tensor(partners(batch.cases), pin_memory=batch.target.is_cuda)
        partner = order.to(batch.target.device, non_blocking=True)
        mixed, share = kind(batch.input, partner, share)
        if self.what == "labels":
            unknown = (batch.target < 0) | (batch.target[partner] < 0)
            return mixed, torch.lerp(batch.target[partner], batch.target, share).masked_fill(unknown, UNKNOWN)
        labels = self._probabilities(batch.target).to(mixed.dtype)
        return mixed, torch.lerp(labels[partner], labels, share)

    def _probabilities(self, target: Tensor) -> Tensor:
        """(B, labels) of label ids (B,); all 0 where the label is unknown."""
        if not self.has_unknown:
            return functional.one_hot(target, self.num_labels)
        return functional.one_hot(target.clamp_min(0), self.num_labels) * (target >= 0).unsqueeze(1)
