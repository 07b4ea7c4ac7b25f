"""Scoring as in PySlowFast on Charades: of each action the highest probability of all views counts."""

from medvid.config.options import ProtocolOptions
from medvid.evaluation.multilabel_protocols import label_figures
from medvid.evaluation.protocols import ViewProtocol
from medvid.plugin.info import TargetInfo


def charades_protocol(options: ProtocolOptions, target_info: TargetInfo) -> ViewProtocol:  # noqa: ARG001 (it has none)
    """Clips from the first to the last frame, published are 10 of 3 crops; PySlowFast's mAP chooses the weights."""
    return ViewProtocol("spread", "maximum", target_info.what, label_figures("map"))
