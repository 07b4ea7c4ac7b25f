"""Which part of a published head goes into the model's head."""

from collections.abc import Mapping

from torch import Tensor

from medvid.models.model import Model
from medvid.models.weights.translation import Translation


def place_head(
    result: Translation,
    model: Model,
    *,
    classifier: str = "head.classifier",
    fits: bool | None = None,
    otherwise: str = "the model has another head",
) -> None:
    """Keep what the file has for the head, named ``head.…``, where the model's head is the same.

    Otherwise that is dropped and the head is newly initialised; where only the numbers of classes differ, this applies
    to the last layer alone. The report says so.

    Args:
        result: the translation.
        model: the model.
        classifier: name of the last layer; the first axis of its tensors is that of the classes.
        fits: whether the heads are the same, classes aside; default: if they have the same tensors.
        otherwise: the reason for dropping the file's head.
    """
    ours = {name: tensor for name, tensor in model.state_dict().items() if name.startswith("head.")}
    theirs = {name: tensor for name, tensor in result.tensors.items() if name.startswith("head.")}
    if fits is None:
        fits = _shapes(ours, classifier) == _shapes(theirs, classifier)
    if not (fits and theirs):
        for name in theirs:
            result.drop(name, otherwise)
        result.fresh |= dict.fromkeys(ours, "the file has no weights for this head")
        return
    for name, tensor in ours.items():
        if name.startswith(f"{classifier}.") and name in theirs and len(tensor) != len(theirs[name]):
            reason = f"the checkpoint's classifier has {len(theirs[name])} classes, the model {len(tensor)}"
            result.drop(name, reason)
            result.fresh[name] = reason


def _shapes(head: Mapping[str, Tensor], classifier: str) -> dict[str, tuple[int, ...]]:
    """Of all tensors, those of the classifier without the axis of the classes."""
    return {
        name: tuple(tensor.shape[1:] if name.startswith(f"{classifier}.") else tensor.shape)
        for name, tensor in head.items()
    }
