"""Scoring as in PySlowFast, which MViT uses too."""

from medvid.config.options import ProtocolOptions
from medvid.evaluation.protocols import ViewProtocol
from medvid.plugin.info import TargetInfo


def slowfast_protocol(options: ProtocolOptions, target_info: TargetInfo) -> ViewProtocol:  # noqa: ARG001 (the same for all)
    """Where clips lie, and what is averaged over the views."""
    return ViewProtocol("spread", "probabilities")
