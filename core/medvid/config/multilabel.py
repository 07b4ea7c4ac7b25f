"""Options of the protocol of clips with any number of labels."""

from typing import Literal

from medvid.config.options import ProtocolOptions

LabelFigure = Literal["map", "mmit_map", "charades_map", "charades_weighted_map"]


class MultilabelProtocolOptions(ProtocolOptions):
    """Figures of several labels per case as benchmarks of video define them."""

    name: Literal["multilabel"]
    views: Literal["probabilities", "maximum", "logits"] = "probabilities"
    """How the views of a case become its answer, which moves mAP by tens of points: the mean of the probabilities of
    each label (sigmoid), the largest of them (PySlowFast on Charades), or the probability of the mean logit."""
    monitor: LabelFigure = "map"
    """The figure that chooses the best weights."""
