"""What all classification heads share: the loss, mixing of training batches, and the inference procedure."""

from abc import ABC

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import v2

from medvid.config.classification import ClassificationHeadOptions
from medvid.config.evaluation import ClassificationEvaluationOptions
from medvid.errors import ConfigError
from medvid.models.head import Evaluator, Head
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

    def mix(self, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Mix the examples of a training batch, as the options ask for, see `MixOptions`.

        Args:
            input: (B, C, *S).
            target: label ids (B,).

        Returns:
            Input (B, C, *S), and target: (B, labels) probabilities where mixed, else as given.
        """
        options = self.options.mix
        kinds = [(v2.MixUp, options.mixup), (v2.CutMix, options.cutmix)]
        mixers = [kind(alpha=alpha, num_classes=self.num_labels) for kind, alpha in kinds if alpha]
        if not mixers or len(input) == 1 or torch.rand(()) >= options.probability:
            return input, target
        mixer = mixers[-1] if torch.rand(()) < options.switch_probability else mixers[0]
        # Channels and frames side by side, as torchvision mixes batches of images.
        mixed, mixed_target = mixer(input.flatten(1, -3), target)
        return mixed.reshape(input.shape), mixed_target

    def loss(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Cross entropy, in float32 or better.

        Args:
            output: logits (B, labels).
            target: label ids (B,), or probabilities (B, labels).
        """
        dtype = torch.promote_types(output.dtype, torch.float32)
        smoothing = self.options.loss.label_smoothing
        return {
            "loss": functional.cross_entropy(output.to(dtype), target, self.class_weights, label_smoothing=smoothing)
        }

    def evaluator(
        self, options: ClassificationEvaluationOptions, input_info: InputInfo, target_info: TargetInfo
    ) -> Evaluator:
        """Multi-view inference, scored per case."""
        from medvid.evaluation.classification import ClassificationEvaluator

        return ClassificationEvaluator(options, input_info, target_info)
