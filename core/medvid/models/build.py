"""Puts backbone and head together to one model, from a checked task."""

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from medvid.config.layout import find_adaptation
from medvid.config.options import BackboneOptions
from medvid.config.task import Task
from medvid.models.backbone import Backbone
from medvid.models.features import Features
from medvid.models.head import Head
from medvid.models.layout import Adapter, make_adapter
from medvid.models.memory_format import lay_out_channels_last
from medvid.models.weights import ImportReport, import_weights
from medvid.plugin.host import Host
from medvid.plugin.info import InputInfo
from medvid.seeding import derive_seed


class Model(nn.Module):
    """A backbone and a head: (B, C, *S) to logits.

    Args:
        backbone: returns the features.
        head: built from that ``feature_info``, as the adapter changes it.
        adapter: runs the backbone where the input's layout is not its own.
    """

    def __init__(self, backbone: Backbone, head: Head, adapter: Adapter | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.adapter = adapter

    def forward(self, input: Tensor) -> Tensor:
        """Map input (B, C, *S) to logits: (B, labels, *S) for segmentation, (B, labels) for classification."""
        features: Features = self.adapter.features(self.backbone, input) if self.adapter else self.backbone(input)
        logits: Tensor = self.head(features, input)
        return logits


def build_model(task: Task, host: Host) -> Model:
    """Build the model of a task that `medvid.config.compatibility.check_compatible` has accepted.

    Parameters are initialised from the task's seed alone; the global random state is left as it was.
    """
    backbone_spec, head_spec = host.spec("backbone", task.backbone.name), host.spec("head", task.head.name)
    input_info, target_info = task.dataset.input_info(), task.dataset.target_info()
    adaptation = find_adaptation(backbone_spec, task.backbone, input_info)
    adapter = make_adapter(adaptation, task.backbone.frames_of_image()) if adaptation else None
    inner_info = adaptation.inner(input_info, task.backbone) if adaptation else input_info
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(task.seed, "init"))
        backbone = build_backbone(task.backbone, inner_info, host)
        feature_info = adapter.feature_info(backbone.feature_info) if adapter else backbone.feature_info
        head = host.load(head_spec, head_spec.target)(task.head, feature_info, input_info, target_info)
    model = Model(backbone, head, adapter)
    if task.train.channels_last:  # for evaluation too: the format decides the last bits of a figure
        lay_out_channels_last(model)
    return model


def build_backbone(options: BackboneOptions, info: InputInfo, host: Host) -> Backbone:
    """Build a backbone, and the one that it runs inside, if any, for images of the last two axes."""
    spec = host.spec("backbone", options.name)
    target = host.load(spec, spec.target)
    if not spec.inner:
        return cast(Backbone, target(options, info))
    image = replace(info, layout="image", size=info.size[-2:])
    return cast(Backbone, target(options, info, build_backbone(getattr(options, spec.inner), image, host)))


def load_published_weights(model: Model, task: Task, host: Host) -> list[ImportReport]:
    """Import the weights that the task's backbone block names, and before them those of a backbone inside it.

    Raises:
        CheckpointError: a file cannot be read, or something in it or in the model is left unexplained.
    """
    return list(_import_weights(model.backbone, task.backbone, model.head, host))


def _import_weights(backbone: Backbone, options: BackboneOptions, head: Head, host: Host) -> Iterator[ImportReport]:
    spec = host.spec("backbone", options.name)
    if spec.inner:
        yield from _import_weights(getattr(backbone, spec.inner), getattr(options, spec.inner), head, host)
    if weights := options.weights:
        yield import_weights(Model(backbone, head), weights.path, host.load(spec, spec.weights), weights.source)
