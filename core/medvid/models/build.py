"""Puts backbone and head together to one model, from a checked task."""

from collections.abc import Iterator
from typing import cast

import torch

from medvid.config.checked import CheckedTask
from medvid.config.options import BackboneOptions, HeadOptions
from medvid.devices.memory_format import lay_out_channels_last
from medvid.models.axes import make_adapter
from medvid.models.backbone import Backbone
from medvid.models.features import FeatureInfo
from medvid.models.head import Head
from medvid.models.model import Model
from medvid.models.weights.loading import ImportReport, import_weights
from medvid.plugin.host import Host
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.plugin.specs import BackboneSpec, Build
from medvid.seeding import derive_seed


def build_model(checked: CheckedTask) -> Model:
    """Build the model of a task.

    Parameters are initialised from the task's seed alone; the global random state is left as it was.
    """
    task, build, adaptation = checked.task, checked.host.build, checked.adaptation
    adapter = make_adapter(adaptation, task.backbone.frames_of_image()) if adaptation else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(task.seed, "init"))
        backbone = build(task.backbone, checked.backbone_info)
        feature_info = adapter.feature_info(backbone.feature_info) if adapter else backbone.feature_info
        head = build_head(build, task.head, feature_info, checked.input_info, checked.target_info)
    model = Model(backbone, head, adapter)
    if task.train.channels_last:  # for evaluation too: the format decides the last bits of a figure
        lay_out_channels_last(model)
    return model


def build_head(
    build: Build, options: HeadOptions, feature_info: FeatureInfo, input_info: InputInfo, target_info: TargetInfo
) -> Head:
    """Build a head, and the loss that its options name."""
    head: Head = build(options, feature_info, input_info, target_info)
    head.criterion = build(options.loss_for(target_info), target_info)
    return head


def load_published_weights(model: Model, checked: CheckedTask) -> list[ImportReport]:
    """Import the weights that the task's backbone block names, and before them those of a backbone inside it.

    Raises:
        CheckpointError: a file cannot be read, or something in it or in the model is left unexplained.
    """
    return list(_import_weights(model.backbone, checked.task.backbone, model.head, checked.host))


def _import_weights(backbone: Backbone, options: BackboneOptions, head: Head, host: Host) -> Iterator[ImportReport]:
    for name, inner in options:
        if isinstance(inner, BackboneOptions):
            yield from _import_weights(getattr(backbone, name), inner, head, host)
    if weights := options.weights:
        spec = cast(BackboneSpec, host.spec_of(options))
        yield import_weights(Model(backbone, head), weights.path, host.load(spec, spec.weights), weights.source)
