"""Scoring as in PySlowFast, which MViT uses too."""

from medvid.config.options import ProtocolOptions
from medvid.evaluation.multilabel_protocols import label_figures
from medvid.evaluation.protocols import ViewProtocol
from medvid.plugin.info import TargetInfo


def slowfast_protocol(options: ProtocolOptions, target_info: TargetInfo) -> ViewProtocol:  # noqa: ARG001 (the same for all)
    """Where clips lie, and what is averaged over the views: its softmax scores, or sigmoid of several labels."""
    figures = label_figures("map") if target_info.what == "labels" else None
    return ViewProtocol("spread", "probabilities", target_info.what, figures)
