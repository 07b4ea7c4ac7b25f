"""Puts backbone and head together to one model, from a checked task."""

import torch
from torch import Tensor, nn

from medvid.config.task import Task
from medvid.models.features import Features
from medvid.models.head import Head
from medvid.models.weights import ImportReport, import_weights
from medvid.plugin.host import Host
from medvid.seeding import derive_seed


class Model(nn.Module):
    """A backbone and a head: (B, C, *S) to logits.

    Args:
        backbone: returns Features and declares them as ``feature_info``.
        head: built from that ``feature_info``.
    """

    def __init__(self, backbone: nn.Module, head: Head) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, input: Tensor) -> Tensor:
        """Map input (B, C, *S) to logits: (B, labels, *S) for segmentation, (B, labels) for classification."""
        features: Features = self.backbone(input)
        logits: Tensor = self.head(features, input)
        return logits


def build_model(task: Task, host: Host) -> Model:
    """Build the model of a task that `medvid.config.compatibility.check_compatible` has accepted.

    Parameters are initialised from the task's seed alone; the global random state is left as it was.
    """
    input_info, target_info = task.dataset.input_info(), task.dataset.target_info()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(task.seed, "init"))
        backbone_spec, head_spec = host.spec("backbone", task.backbone.name), host.spec("head", task.head.name)
        backbone = host.load(backbone_spec, backbone_spec.target)(task.backbone, input_info)
        head = host.load(head_spec, head_spec.target)(task.head, backbone.feature_info, input_info, target_info)
    return Model(backbone, head)


def load_published_weights(model: Model, task: Task, host: Host) -> ImportReport | None:
    """Import the weights that the task's backbone block names, if it names any.

    Raises:
        CheckpointError: the file cannot be read, or something in it or in the model is left unexplained.
    """
    weights, spec = task.backbone.weights, host.spec("backbone", task.backbone.name)
    if weights is None:
        return None
    return import_weights(model, weights.path, host.load(spec, spec.weights), weights.source)
