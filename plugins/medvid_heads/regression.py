"""The regression of values of whole inputs: a linear layer on the embedding of any backbone."""

from torch import Tensor

from medvid.models.features import FeatureInfo, Features, embedding_of, width_of
from medvid.models.regression import RegressionHead
from medvid.plugin import InputInfo, TargetInfo
from medvid_heads.config import LinearRegressionOptions
from medvid_heads.layers import linear_layers


class LinearRegression(RegressionHead):
    """The layers of `medvid_heads.classification.LinearClassifier`, for values; see `RegressionHead` for their scale.

    Args:
        options: the head's options.
        feature_info: what it works from.
        input_info: what the backbone is fed.
        target_info: the values.
    """

    def __init__(
        self,
        options: LinearRegressionOptions,
        feature_info: FeatureInfo,
        input_info: InputInfo,  # noqa: ARG002 (every head gets it)
        target_info: TargetInfo,
    ) -> None:
        super().__init__(target_info)
        width = width_of(feature_info)
        self.hidden, self.dropout, self.regressor = linear_layers(options, width, len(target_info.names))

    def forward(self, features: Features, input: Tensor) -> Tensor:  # noqa: ARG002
        """Predict the values of the input (B, C, *S) from its features: (B, V) in their units."""
        return self.in_units(self.regressor(self.dropout(self.hidden(embedding_of(features)))))
