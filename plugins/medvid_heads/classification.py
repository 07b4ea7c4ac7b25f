"""The classifier of whole inputs: a linear layer on the embedding of any backbone."""

from torch import Tensor

from medvid.models.classification import ClassificationHead
from medvid.models.features import FeatureInfo, Features, embedding_of, width_of
from medvid.plugin import InputInfo, TargetInfo
from medvid_heads.config import LinearClassifierOptions
from medvid_heads.layers import linear_layers


class LinearClassifier(ClassificationHead):
    """Dropout and a linear layer on the embedding, or on the mean of the coarsest map where there is no embedding.

    With ``hidden_dim`` a layer with norm and GELU comes before, as in VTN (Neimark et al., 2021).

    Args:
        options: the head's options.
        feature_info: what it works from.
        input_info: what the backbone is fed.
        target_info: the classes to distinguish, or the labels to find.
    """

    def __init__(
        self,
        options: LinearClassifierOptions,
        feature_info: FeatureInfo,
        input_info: InputInfo,  # noqa: ARG002 (every head gets it)
        target_info: TargetInfo,
    ) -> None:
        super().__init__(options, target_info)
        self.hidden, self.dropout, self.classifier = linear_layers(options, width_of(feature_info), self.num_labels)

    def forward(self, features: Features, input: Tensor) -> Tensor:  # noqa: ARG002
        """Classify the input (B, C, *S) from its features: logits (B, labels)."""
        return self.classifier(self.dropout(self.hidden(embedding_of(features))))
