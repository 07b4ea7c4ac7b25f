"""A model's backbone as a maker of features: one vector per input, or per frame."""

from torch import Tensor, nn

from medvid.models.features import embedding_of
from medvid.models.frame_head import Context, FrameHead
from medvid.models.model import Model


class Embedder(nn.Module):
    """What a model sees of inputs, before its head answers.

    Of a model of frames these are the embeddings that its head makes of the features; of all others the embedding of
    the backbone, or the mean of its coarsest map where there is none.

    Args:
        model: the model, which is used as it is.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    @property
    def context(self) -> Context | None:
        """None but its own, for a frame that is seen alone; None if the backbone mixes frames."""
        return Context(0, 0) if self.model.context else None

    def forward(self, input: Tensor) -> Tensor:
        """Map input (B, C, *S) to embeddings: (B, D), or (B, T, D) of its frames."""
        features = self.model.features(input)
        head = self.model.head
        return head.embed(features, input) if isinstance(head, FrameHead) else embedding_of(features)

    def embed(self, input: Tensor) -> Tensor:
        """See `medvid.models.model.Model.embed`."""
        return self.model.embed(input)

    def answer(self, embeddings: Tensor) -> Tensor:
        """The embeddings themselves."""
        return embeddings
