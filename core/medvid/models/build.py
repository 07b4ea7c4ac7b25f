"""Puts backbone and head together to one model, from a checked task."""

import torch
from torch import Tensor, nn

from medvid.config.layout import find_fold
from medvid.config.task import Task
from medvid.models.features import Features
from medvid.models.head import Head
from medvid.models.layout import AxisFold
from medvid.models.weights import ImportReport, import_weights
from medvid.plugin.host import Host
from medvid.seeding import derive_seed


class Model(nn.Module):
    """A backbone and a head: (B, C, *S) to logits.

    Args:
        backbone: returns Features and declares them as ``feature_info``.
        head: built from that ``feature_info``, as the adapter changes it.
        adapter: runs the backbone where the input's layout is not its own.
    """

    def __init__(self, backbone: nn.Module, head: Head, adapter: AxisFold | None = None) -> None:
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
    fold = find_fold(backbone_spec, input_info.layout)
    adapter = AxisFold(fold.axis) if fold else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(task.seed, "init"))
        inner_info = fold.inner(input_info) if fold else input_info
        backbone = host.load(backbone_spec, backbone_spec.target)(task.backbone, inner_info)
        feature_info = adapter.feature_info(backbone.feature_info) if adapter else backbone.feature_info
        head = host.load(head_spec, head_spec.target)(task.head, feature_info, input_info, target_info)
    return Model(backbone, head, adapter)


def load_published_weights(model: Model, task: Task, host: Host) -> ImportReport | None:
    """Import the weights that the task's backbone block names, if it names any.

    Raises:
        CheckpointError: the file cannot be read, or something in it or in the model is left unexplained.
    """
    weights, spec = task.backbone.weights, host.spec("backbone", task.backbone.name)
    if weights is None:
        return None
    return import_weights(model, weights.path, host.load(spec, spec.weights), weights.source)
