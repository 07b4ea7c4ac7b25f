"""What all classification heads share: the loss, mixing of training batches, and the inference procedure."""

from abc import ABC

import torch
from torch import Tensor
from torch.nn import functional

from medvid.config.classification import ClassificationHeadOptions
from medvid.config.evaluation import ClassificationEvaluationOptions
from medvid.data.sample import Batch
from medvid.errors import ConfigError
from medvid.models.head import Evaluator, Head
from medvid.models.mixing import blend, partners, paste
from medvid.plugin.info import InputInfo, TargetInfo


class ClassificationHead(Head, ABC):
    """Base of all heads that give one label to an input; a subclass adds the network that maps features to logits.

    Args:
        options: the head's options.
        target_info: the labels to tell apart.

    Raises:
        ConfigError: there is not one class weight per label.
    """

    def __init__(self, options: ClassificationHeadOptions, target_info: TargetInfo) -> None:
        super().__init__()
        self.options = options
        self.num_labels = len(target_info.labels)
        weights = options.loss.class_weights
        if weights is not None and len(weights) != self.num_labels:
            raise ConfigError(
                f"head.loss.class_weights has {len(weights)} weights, the data set {self.num_labels} labels"
            )
        self.class_weights: Tensor | None
        self.register_buffer("class_weights", None if weights is None else torch.tensor(weights), persistent=False)

    def mix(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Mix the examples of a training batch, as the options ask for, see `MixOptions`.

        Args:
            batch: with input (B, C, *S) and label ids (B,); examples of a single case are not mixed.

        Returns:
            Input (B, C, *S), and target: (B, labels) probabilities where mixed, else as given.
        """
        options = self.options.mix
        kinds = [(kind, alpha) for kind, alpha in ((blend, options.mixup), (paste, options.cutmix)) if alpha]
        if not kinds or len(set(batch.cases)) == 1 or torch.rand(()) >= options.probability:
            return batch.input, batch.target
        kind, alpha = kinds[-1] if torch.rand(()) < options.switch_probability else kinds[0]
        share = float(torch.distributions.Beta(alpha, alpha).sample())
        partner = torch.tensor(partners(batch.cases)).to(batch.target.device, non_blocking=True)
        mixed, share = kind(batch.input, partner, share)
        labels = functional.one_hot(batch.target, self.num_labels).to(mixed.dtype)
        return mixed, torch.lerp(labels[partner], labels, share)

    def loss(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Cross entropy, in float32 or better, divided by the sum of the examples' class weights.

        That of a mixed example is the mean of its labels' weights by its probabilities. (torch takes 1 instead, and so
        another loss for label ids than for the probabilities that say the same.)

        Args:
            output: logits (B, labels).
            target: label ids (B,), or probabilities (B, labels).
        """
        dtype = torch.promote_types(output.dtype, torch.float32)
        weights = None if self.class_weights is None else self.class_weights.to(dtype)
        total = functional.cross_entropy(
            output.to(dtype), target, weights, reduction="sum", label_smoothing=self.options.loss.label_smoothing
        )
        if weights is None:
            return {"loss": total / len(target)}
        weight = (weights[target] if target.ndim == 1 else target.to(dtype) @ weights).sum()
        return {"loss": total / weight, "weight": weight}

    def evaluator(
        self, options: ClassificationEvaluationOptions, input_info: InputInfo, target_info: TargetInfo
    ) -> Evaluator:
        """Multi-view inference, scored per case."""
        from medvid.evaluation.classification import ClassificationEvaluator

        return ClassificationEvaluator(options, input_info, target_info)
