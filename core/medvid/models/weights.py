"""Import of published checkpoints: every tensor of file and model is either matched or explained."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from medvid.errors import CheckpointError
from medvid.models.finite import abridged, names_of_non_finite

if TYPE_CHECKING:
    from medvid.models.build import Model

WRAPPERS = ("state_dict", "model_state", "model", "net")
"""Keys under which training scripts keep the weights beside the optimizer and the like."""

# Training scripts keep their best score, a numpy scalar, beside the weights. These are the only globals allowed
# besides torch's own; none of them can run code.
_SCALAR = np.float64(0).__reduce__()[0]
_NUMPY_SCALARS: list[Any] = [
    (_SCALAR, "numpy.core.multiarray.scalar"),
    (_SCALAR, "numpy._core.multiarray.scalar"),
    np.dtype,
    type(np.dtype(np.float32)),
    type(np.dtype(np.float64)),
]


@dataclass
class Translation:
    """A published state under our names, with a reason for everything that is not taken over as it is.

    Args:
        tensors: what to load, by name in the model (``backbone.…``, ``head.…``).
        resized: by the same name, the published shape of a tensor that was interpolated.
        dropped: by published name, why a tensor is not used.
        fresh: by name in the model, why a parameter keeps its initialisation.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    resized: dict[str, tuple[int, ...]] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    fresh: dict[str, str] = field(default_factory=dict)


Translate = Callable[[Mapping[str, Tensor], str, "Model"], Translation]
"""A plugin's ``translate(published, source, model)``; differentiable, so that gradients can be compared too.

Raises `medvid.errors.CheckpointError` where the published state cannot be understood.
"""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did; `str` of it is a few lines for the user.

    Args:
        path: the file.
        source: which published code it came from.
        matched: number of tensors that were loaded, resized ones included.
        resized: by name in the model, the published and the new shape.
        dropped: by published name, why a tensor was not used.
        fresh: by name in the model, why a parameter keeps its initialisation.
    """

    path: Path
    source: str
    matched: int
    resized: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]
    dropped: dict[str, str]
    fresh: dict[str, str]

    def __str__(self) -> str:
        lines = [f"weights from {self.path} ({self.source}): {self.matched} tensors loaded"]
        lines += [f"  resized {key}: {list(old)} to {list(new)}" for key, (old, new) in self.resized.items()]
        lines += [f"  dropped {abridged(keys)}: {reason}" for reason, keys in _by_reason(self.dropped)]
        lines += [f"  initialised anew {abridged(keys)}: {reason}" for reason, keys in _by_reason(self.fresh)]
        return "\n".join(lines)


def import_weights(model: "Model", path: Path, translate: Translate, source: str) -> ImportReport:
    """Load a published checkpoint into a model.

    Args:
        model: where they go.
        path: a .safetensors, .pt, .pth, .pyth or .npz file.
        translate: the plugin's.
        source: which published code the file comes from, as the plugin names it.

    Raises:
        CheckpointError: the file cannot be read, or a tensor of file or model is neither matched nor explained. The
            model is unchanged then.
    """
    translation = translate(read_state(path), source, model)
    _check_complete(model, translation, path)
    model.load_state_dict(translation.tensors, strict=False)
    tensors = translation.tensors
    resized = {name: (old, tuple(tensors[name].shape)) for name, old in translation.resized.items()}
    return ImportReport(path, source, len(tensors), resized, translation.dropped, translation.fresh)


def place_classifier(
    result: Translation, published: Mapping[str, Tensor], weight: str, bias: str, model: "Model"
) -> None:
    """Bring a published linear classifier into the model's classification head, if it tells as many classes apart.

    Otherwise (another number of classes, or another head) it is dropped and the head is initialised anew; the report
    says so.

    Args:
        result: the translation to add to.
        published: the published state.
        weight: published name of the classifier's weight (classes, D).
        bias: that of its bias.
        model: the model.
    """
    head = {name: tensor for name, tensor in model.state_dict().items() if name.startswith("head.")}
    names = {weight: "head.classifier.weight", bias: "head.classifier.bias"}
    ours = head.get(names[weight])
    if weight not in published:
        result.fresh |= dict.fromkeys(head, "the file has no classifier")
    elif ours is None or ours.shape[1:] != published[weight].shape[1:]:
        result.dropped |= dict.fromkeys(names, "the model has another head")
        result.fresh |= dict.fromkeys(head, "the file has no weights for this head")
    elif len(published[weight]) != len(ours):
        reason = f"the file tells {len(published[weight])} classes apart, the model {len(ours)}"
        result.dropped |= dict.fromkeys(names, reason)
        result.fresh |= dict.fromkeys(names.values(), reason)
    else:
        result.tensors |= {target: published[source] for source, target in names.items()}


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint, without what training scripts wrap around them. Executes nothing in the file.

    Raises:
        CheckpointError: the file is missing, damaged, of another format, or holds more than tensors.
    """
    readers: dict[str, Callable[[Path], Any]] = {
        ".safetensors": safetensors.torch.load_file,
        ".npz": _read_npz,
        **dict.fromkeys((".pt", ".pth", ".pyth"), _read_torch),
    }
    if path.suffix not in readers:
        raise CheckpointError(f"{path}: weights are read from {', '.join(readers)} files")
    try:
        content = readers[path.suffix](path)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file", hint="correct backbone.weights.path, or download it") from None
    except Exception as error:
        raise CheckpointError(
            f"{path} cannot be read as weights: {error}",
            hint="download it again; or, if you trust it, save its tensors alone with safetensors.torch.save_file",
        ) from error
    return _bare_state(content, path)


def _read_torch(path: Path) -> Any:
    with torch.serialization.safe_globals(_NUMPY_SCALARS):
        return torch.load(path, map_location="cpu", weights_only=True)


def _read_npz(path: Path) -> dict[str, Tensor]:
    with np.load(path, allow_pickle=False) as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


def _bare_state(content: Any, path: Path) -> dict[str, Tensor]:
    hint = "a checkpoint is a mapping from names to tensors, bare or under one of: " + ", ".join(WRAPPERS)
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds a {type(content).__name__} where a mapping was expected", hint=hint)
    for wrapper in WRAPPERS:
        if isinstance(content.get(wrapper), Mapping):
            return _bare_state(content[wrapper], path)
    for key, value in content.items():
        if not isinstance(value, Tensor):
            what = f"a {type(value).__name__} {str(key)!r}"
            raise CheckpointError(f"{path} holds {what} where tensors were expected", hint=hint)
    return {key.removeprefix("module."): value for key, value in content.items()}


def _check_complete(model: "Model", translation: Translation, path: Path) -> None:
    """Raise CheckpointError unless each tensor of file and model is matched or explained."""
    state, tensors = model.state_dict(), translation.tensors
    problems = {
        "in the file, but not in the model": [name for name in tensors if name not in state],
        "in the model, but not in the file": [
            name for name in state if not (name in tensors or name in translation.fresh)
        ],
        "with values that are not finite": names_of_non_finite(tensors),
        "of different shapes in file and model": [
            f"{name} ({list(tensor.shape)}, {list(state[name].shape)})"
            for name, tensor in tensors.items()
            if name in state and tensor.shape != state[name].shape
        ],
    }
    if any(problems.values()):
        texts = [f"{what}: {abridged(names, 10)}" for what, names in problems.items() if names]
        raise CheckpointError(
            f"{path} does not fit the model; " + "; ".join(texts),
            hint="set the options of backbone and head to those that the published weights were trained with",
        )


def _by_reason(reasons: Mapping[str, str]) -> Iterable[tuple[str, list[str]]]:
    """The names that share a reason, by reason."""
    names: dict[str, list[str]] = defaultdict(list)
    for name, reason in reasons.items():
        names[reason].append(name)
    return names.items()
