"""Backbones: what turns an input batch into features, and what the core may ask of one."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from medvid.models.features import FeatureInfo, Features


class Backbone(nn.Module, ABC):
    """Base of all backbones. Built as ``Target(options, input_info)``, see `medvid.plugin.specs.BackboneSpec`."""

    feature_info: FeatureInfo
    """What `forward` returns; set once built."""

    @abstractmethod
    def forward(self, input: Tensor) -> Features:
        """Map the input (B, C, *S) to its features.

        Raises:
            ValueError: a size that this backbone does not take; names the size and those that work.
        """

    @property
    def layers(self) -> Sequence[nn.Module]:
        """The blocks in the order in which they run, for layer-wise learning rates and gradient checkpointing.

        Parameters that are registered before the first of them belong to the embedding, those behind the last one to
        the output. None, the default: the recipe can ask for neither.
        """
        return ()

    @property
    def no_weight_decay(self) -> Sequence[str]:
        """Names of parameters with two axes or more that weight decay leaves alone: position tables, class tokens."""
        return ()
