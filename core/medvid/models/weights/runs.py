"""Loading the weights of another run: under our names already, so only sizes and the head have to fit."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from medvid.config.options import BackboneOptions, RunWeights
from medvid.errors import CheckpointError
from medvid.models.model import Model
from medvid.models.weights.loading import ImportReport, load_translation
from medvid.models.weights.translation import Fit, Translation

_OF_TRAINING = ("head.criterion.", "head.scales.")
"""Parts of a head that only training needs, such as deep supervision."""


@dataclass(frozen=True, slots=True)
class TrainedWeights:
    """The weights of a run.

    Args:
        path: the checkpoint.
        tensors: by their names in the model.
        backbone: name of the backbone that was trained.
        head: name of the head that was trained.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    backbone: str
    head: str


def import_trained(
    model: Model, options: BackboneOptions, head: str, trained: TrainedWeights, fit: Fit | None
) -> ImportReport:
    """Load the weights of a run into a model.

    Args:
        model: where they go.
        options: of its backbone, with the block that names the run.
        head: name of the model's head.
        trained: the weights.
        fit: the plugin's; None if the backbone has none.

    Raises:
        CheckpointError: they are of another backbone, or head where it is asked for; or a tensor of run or model is
            neither matched nor explained. The model is unchanged then.
    """
    weights = options.weights
    assert isinstance(weights, RunWeights)
    if trained.backbone != options.name:
        raise CheckpointError(
            f"{weights.path} has trained the backbone {trained.backbone!r}, but the task has {options.name!r}",
            hint="name a run of the same backbone in backbone.weights.path",
        )
    if weights.head and trained.head != head:
        raise CheckpointError(
            f"{weights.path} has trained the head {trained.head!r}, but the task has {head!r}",
            hint="leave out backbone.weights.head, to start from the backbone alone",
        )
    result = Translation(dict(trained.tensors))
    _place_head(result, model, wanted=weights.head)
    if fit:
        fit(result, model)
    return load_translation(model, result, trained.path, weights.source)


def _place_head(result: Translation, model: Model, *, wanted: bool) -> None:
    """Keep the run's head where it is wanted, but for what is of another number of classes."""
    ours = {name: tensor for name, tensor in model.state_dict().items() if name.startswith("head.")}
    if not wanted:
        for name in [name for name in result.tensors if name.startswith("head.")]:
            result.drop(name, "only the backbone is asked for; backbone.weights.head takes the head too")
        result.fresh |= dict.fromkeys(ours, "only the backbone is asked for")
        return
    for name, tensor in [item for item in result.tensors.items() if item[0].startswith("head.")]:
        if name.startswith(_OF_TRAINING) and name not in ours:
            result.drop(name, "only the training of that run needed it")
        elif name in ours and tensor.shape != ours[name].shape and tensor.shape[1:] == ours[name].shape[1:]:
            reason = f"the run has {len(tensor)} outputs there, the model {len(ours[name])}"
            result.drop(name, reason)
            result.fresh[name] = reason
