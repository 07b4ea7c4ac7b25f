"""What a plugin needs to import: the marker and the specs. Light: no torch, no numpy."""

from medvid.plugin.events import Evaluation, RunInfo, RunResult
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.plugin.markers import hookimpl
from medvid.plugin.specs import (
    BackboneSpec,
    Build,
    BuildAll,
    ComponentSpec,
    DatasetSpec,
    Example,
    FormatSpec,
    HeadSpec,
    LauncherSpec,
    LossSpec,
    OptimizerSpec,
    ProtocolSpec,
    TransformSpec,
)

__all__ = [
    "BackboneSpec",
    "Build",
    "BuildAll",
    "ComponentSpec",
    "DatasetSpec",
    "Evaluation",
    "Example",
    "FormatSpec",
    "HeadSpec",
    "InputInfo",
    "LauncherSpec",
    "LossSpec",
    "OptimizerSpec",
    "ProtocolSpec",
    "RunInfo",
    "RunResult",
    "TargetInfo",
    "TransformSpec",
    "hookimpl",
]
