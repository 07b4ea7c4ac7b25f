"""A backbone and a head as one network."""

from typing import cast

from torch import Tensor, nn

from medvid.models.axes import Adapter, AxisFold
from medvid.models.backbone import Backbone
from medvid.models.features import Features
from medvid.models.frame_head import Context, FrameHead
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
        return self.head(self.features(input), input)

    @property
    def context(self) -> Context | None:
        """What the answer of a frame depends on, if each is first embedded alone; None if the backbone mixes frames."""
        sees_each_alone = isinstance(self.adapter, AxisFold)
        return self.head.context if sees_each_alone and isinstance(self.head, FrameHead) else None

    @property
    def width(self) -> int:
        """Of what `embed` returns."""
        return cast(FrameHead, self.head).width

    def embed(self, input: Tensor) -> Tensor:
        """Embeddings (B, T, D) of the frames of an input (B, C, *S), for models that have a `context`."""
        return cast(FrameHead, self.head).embed(self.features(input), input)

    def answer(self, embeddings: Tensor) -> Tensor:
        """Logits or numbers (B, T, N) of embeddings (B, T, D), in evaluation."""
        return cast(Tensor, cast(FrameHead, self.head).answer(embeddings))

    def features(self, input: Tensor) -> Features:
        """What the backbone makes of input (B, C, *S), on the input's axes."""
        return self.adapter.features(self.backbone, input) if self.adapter else self.backbone(input)
