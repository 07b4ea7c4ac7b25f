"""Scoring as in TimeSformer's code, which adds up the raw logits of the clips."""

from medvid.config.options import ProtocolOptions
from medvid.evaluation.protocols import ViewProtocol
from medvid.plugin.info import TargetInfo


def timesformer_protocol(options: ProtocolOptions, target_info: TargetInfo) -> ViewProtocol:  # noqa: ARG001 (the same for all)
    """Where clips lie, and what is averaged over the views."""
    return ViewProtocol("segments", "logits")
