"""The classifier of whole inputs: a linear layer on the embedding of any backbone."""

from torch import Tensor, nn

from medvid.models.classification import ClassificationHead
from medvid.models.features import FeatureInfo, Features
from medvid.plugin.info import InputInfo, TargetInfo
from medvid_heads.config import LinearClassifierOptions


class LinearClassifier(ClassificationHead):
    """Dropout and a linear layer on the embedding, or on the mean of the coarsest map where there is no embedding.

    With ``hidden_dim`` a layer with norm and GELU comes before, as in VTN (Neimark et al., 2021).

    Args:
        options: the head's options.
        feature_info: what it works from.
        input_info: what the backbone is fed.
        target_info: the labels to tell apart.
    """

    def __init__(
        self,
        options: LinearClassifierOptions,
        feature_info: FeatureInfo,
        input_info: InputInfo,  # noqa: ARG002 (every head gets it)
        target_info: TargetInfo,
    ) -> None:
        super().__init__(options, target_info)
        width = feature_info.embedding or feature_info.maps[-1].channels
        self.hidden: nn.Module = nn.Identity()
        if options.hidden_dim:
            self.hidden = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, options.hidden_dim), nn.GELU())
            width = options.hidden_dim
        self.dropout = nn.Dropout(options.dropout)
        self.classifier = nn.Linear(width, self.num_labels)
        nn.init.trunc_normal_(self.classifier.weight, std=0.02)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, features: Features, input: Tensor) -> Tensor:  # noqa: ARG002
        """Classify the input (B, C, *S) from its features: logits (B, labels)."""
        embedding = features.embedding
        if embedding is None:
            embedding = features.maps[-1].flatten(2).mean(dim=2)
        logits: Tensor = self.classifier(self.dropout(self.hidden(embedding)))
        return logits
