"""A published state under our names."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import torch
from torch import Tensor

from medvid.errors import CheckpointError
from medvid.models.model import Model

Rule = tuple[str, str | Callable[[re.Match[str]], str]]
"""A pattern and its replacement, as `re.sub` takes them."""

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass
class Translation:
    """A published state under our names, with a reason for everything that is not taken over as it is.

    Args:
        tensors: what to load, by name in the model (``backbone.…``, ``head.…``).
        resized: by the same name, the published shape of a tensor that was interpolated.
        dropped: by published name, why a tensor is not used.
        fresh: by name in the model, why a parameter keeps its initialisation.
        keys: by name in `tensors`, the published name where they differ, for messages.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    resized: dict[str, tuple[int, ...]] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    fresh: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def renamed(
        cls, published: Mapping[str, Tensor], rules: Sequence[Rule], unused: Mapping[str, str] = _NOTHING
    ) -> "Translation":
        """Start a translation by renaming all tensors.

        Args:
            published: what the file holds.
            rules: from published names to ours, applied one after the other.
            unused: by a pattern of published names, why such a tensor is dropped.

        Raises:
            CheckpointError: two tensors get the same name.
        """
        result = cls()
        for key, tensor in published.items():
            reason = next((reason for pattern, reason in unused.items() if re.search(pattern, key)), None)
            if reason:
                result.dropped[key] = reason
                continue
            name = rename(key, rules)
            if name in result.tensors:
                raise CheckpointError(f"{result.keys[name]} and {key} in the file are both {name} in the model")
            result.tensors[name], result.keys[name] = tensor, key
        return result

    def fuse(self, parts: Sequence[str] = ("query", "key", "value"), fused: str = "qkv") -> None:
        """Concatenate the parts of each layer: ``x.query.weight`` and its fellows become ``x.qkv.weight``.

        A layer that lacks a part stays as it is; the import complains of what is left over by name.
        """
        for name in list(self.tensors):
            names = [name.replace(f".{parts[0]}.", f".{part}.") for part in parts]
            if f".{parts[0]}." in name and all(part in self.tensors for part in names):
                joined = torch.cat([self.tensors.pop(part) for part in names])
                self.tensors[name.replace(f".{parts[0]}.", f".{fused}.")] = joined

    def drop(self, name: str, reason: str) -> None:
        """Leave out a tensor."""
        del self.tensors[name]
        self.dropped[self.keys.get(name, name)] = reason

    def resize(self, name: str, tensor: Tensor) -> None:
        """Put an interpolated tensor in the place of the published one."""
        self.resized[name] = tuple(self.tensors[name].shape)
        self.tensors[name] = tensor


def rename(key: str, rules: Sequence[Rule]) -> str:
    """Apply rules to a name, one after the other; a name that none of them matches stays as it is."""
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key


Translate = Callable[[Mapping[str, Tensor], str, Model], Translation]
"""A plugin's ``translate(published, source, model)``; differentiable, so that gradients can be compared too.

Raises `medvid.errors.CheckpointError` where the published state cannot be understood.
"""

Fit = Callable[[Translation, Model], None]
"""A plugin's ``fit(result, model)``: brings tensors under our names to the sizes of a model, such as its positions.

Raises `medvid.errors.CheckpointError` where that is not possible.
"""
