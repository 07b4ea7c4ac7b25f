"""A backbone and a head as one network."""

from torch import Tensor, nn

from medvid.models.axes import Adapter
from medvid.models.backbone import Backbone
from medvid.models.features import Features
from medvid.models.head import Head


class Model(nn.Module):
    """A backbone and a head: (B, C, *S) to logits.

    Args:
        backbone: returns the features.
        head: built from that ``feature_info``, as the adapter changes it.
        adapter: runs the backbone where the input's axes are not its own.
    """

    def __init__(self, backbone: Backbone, head: Head, adapter: Adapter | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.adapter = adapter

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Map input (B, C, *S) to logits or numbers, see `medvid.models.head.Head.forward`."""
        features: Features = self.adapter.features(self.backbone, input) if self.adapter else self.backbone(input)
        return self.head(features, input)
