"""Loading a published checkpoint into a model: every tensor of file and model is either matched or explained."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from medvid.errors import CheckpointError
from medvid.models.finite import names_of_non_finite
from medvid.models.model import Model
from medvid.models.weights.files import read_state
from medvid.models.weights.translation import Translate, Translation
from medvid.sentences import listed

_NEVER_PUBLISHED = {
    "head.criterion.": "trained along with the loss",
    "head.scales.": "predicts at a coarser scale, for deep supervision",
}


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
        lines += [f"  dropped {listed(keys, 3)}: {reason}" for reason, keys in _by_reason(self.dropped)]
        lines += [f"  newly initialised {listed(keys, 3)}: {reason}" for reason, keys in _by_reason(self.fresh)]
        return "\n".join(lines)


def import_weights(model: Model, path: Path, translate: Translate, source: str) -> ImportReport:
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
    return load_translation(model, translate(read_state(path), source, model), path, source)


def load_translation(model: Model, translation: Translation, path: Path, source: str) -> ImportReport:
    """Load what was brought under our names into a model.

    Args:
        model: where it goes.
        translation: what it is, with a reason for each tensor that is not taken over.
        path: where it comes from.
        source: as in `ImportReport`.

    Raises:
        CheckpointError: a tensor of file or model is neither matched nor explained; the model is unchanged then.
    """
    fresh = {
        name: why for name in model.state_dict() for part, why in _NEVER_PUBLISHED.items() if name.startswith(part)
    }
    translation = replace(translation, fresh=fresh | translation.fresh)
    _check_complete(model, translation, path)
    model.load_state_dict(translation.tensors, strict=False)
    tensors = translation.tensors
    resized = {name: (old, tuple(tensors[name].shape)) for name, old in translation.resized.items()}
    return ImportReport(path, source, len(tensors), resized, translation.dropped, translation.fresh)


def _check_complete(model: Model, translation: Translation, path: Path) -> None:
    """Raise CheckpointError unless each tensor of file and model is matched or explained."""
    state, tensors = model.state_dict(), translation.tensors
    problems = {
        "in the file, but not in the model": [
            translation.keys.get(name, name) for name in tensors if name not in state
        ],
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
        texts = [f"{what}: {listed(names)}" for what, names in problems.items() if names]
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
