"""Heads: what turns features into a prediction."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from medvid.data.batch import Batch
from medvid.losses.loss import Loss
from medvid.models.features import Features


class Head(nn.Module, ABC):
    """Base of all heads. Built as ``Target(options, feature_info, input_info, target_info)``."""

    criterion: Loss
    """The loss that the options name, given to the head by `medvid.models.build.build_head`."""

    @abstractmethod
    def forward(self, features: Features, input: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Predict from the features of input (B, C, *S).

        Returns:
            Logits or numbers of the shape in `medvid.plugin.info`: of a case (B, N), of frames (B, T, N), of voxels
            (B, N, *S). In training anything that its own `loss` takes, such as logits at several scales
            (`medvid.models.deep_supervision`).
        """

    def mix(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Change a training batch, on its device, before the forward pass; by default it stays as it is.

        Random numbers come from torch's global generator, which the training loop seeds for each step.

        Returns:
            Input and target, as of the batch; what `loss` takes as a target may be returned instead.
        """
        return batch.input, batch.target

    def loss(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The training loss: that of the criterion, unless a head has a reason to compute more; see `Loss.forward`."""
        return self.criterion(output, target)
