"""What a plugin needs to import: the marker and the specs. Light: no torch, no numpy."""

from medvid.plugin.events import Evaluation, RunInfo, RunResult
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.plugin.markers import hookimpl
from medvid.plugin.specs import BackboneSpec, ComponentSpec, DatasetSpec, Example, HeadSpec

__all__ = [
    "BackboneSpec",
    "ComponentSpec",
    "DatasetSpec",
    "Evaluation",
    "Example",
    "HeadSpec",
    "InputInfo",
    "RunInfo",
    "RunResult",
    "TargetInfo",
    "hookimpl",
]
