"""Puts backbone and head together to one model, from a checked task."""

from collections.abc import Callable, Iterator
from typing import cast

import torch

from medvid.config.checked import CheckedTask
from medvid.config.options import BackboneOptions, HeadOptions, RunWeights
from medvid.devices.memory_format import lay_out_channels_last
from medvid.models.axes import make_adapter
from medvid.models.backbone import Backbone
from medvid.models.features import FeatureInfo
from medvid.models.head import Head
from medvid.models.model import Model
from medvid.models.weights.loading import ImportReport, import_weights
from medvid.models.weights.runs import TrainedWeights, import_trained
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


ReadTrained = Callable[[RunWeights], TrainedWeights]
"""Reads the weights of a run."""


def load_initial_weights(model: Model, checked: CheckedTask, read_trained: ReadTrained) -> list[ImportReport]:
    """Import the weights that the task's backbone block names, and before them those of a backbone inside it.

    Args:
        model: where they go.
        checked: its task.
        read_trained: gives those of a run.

    Raises:
        CheckpointError: a file cannot be read, or something in it or in the model is left unexplained.
    """
    return list(_import_weights(model.backbone, checked.task.backbone, model.head, checked, read_trained))


def _import_weights(
    backbone: Backbone, options: BackboneOptions, head: Head, checked: CheckedTask, read_trained: ReadTrained
) -> Iterator[ImportReport]:
    host = checked.host
    for name, inner in options:
        if isinstance(inner, BackboneOptions):
            yield from _import_weights(getattr(backbone, name), inner, head, checked, read_trained)
    if not (weights := options.weights):
        return
    model, spec = Model(backbone, head), cast(BackboneSpec, host.spec_of(options))
    if isinstance(weights, RunWeights):
        fit = host.load(spec, spec.fit) if spec.fit else None
        yield import_trained(model, options, checked.task.head.name, read_trained(weights), fit)
    else:
        yield import_weights(model, weights.path, host.load(spec, spec.weights), weights.source)
