"""Layers of settings, merged from the file up, that remember where each value comes from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from medvid.config.yaml import KeyPath, parse_value
from medvid.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Override:
    """One value that is set on top of the file; `label` is how messages name it."""

    path: tuple[str, ...]
    value: Any
    label: str

    @property
    def block(self) -> dict[str, Any]:
        """The value, nested under its key path."""
        value = self.value
        for key in reversed(self.path):
            value = {key: value}
        return dict(value)


Overrides = Mapping[str, object] | Sequence[str | Override]
"""Values by dotted key; or texts ``"a.b=value"`` whose value is read as YAML, and overrides."""


def read_overrides(overrides: Overrides) -> list[Override]:
    """Overrides, however they are given.

    Raises:
        ConfigError: a text is not of that form.
    """
    if isinstance(overrides, Mapping):
        return [Override(_path(key), value, f"--set {key}={value}") for key, value in overrides.items()]
    return [_read(given) if isinstance(given, str) else given for given in overrides]


def _read(text: str) -> Override:
    key, separator, value = text.partition("=")
    if not separator:
        raise ConfigError(f"--set {text}: should be KEY=VALUE, e.g. train.steps=100")
    return Override(_path(key), parse_value(value, f"--set {text}"), f"--set {text}")


def _path(key: str) -> tuple[str, ...]:
    path = tuple(part.strip() for part in key.split("."))
    if not all(path):
        raise ConfigError(f"--set {key}: the key should be of the form a.b.c, e.g. train.steps")
    return path


def overrides_in(block: Mapping[str, Any], places: Mapping[KeyPath, str], prefix: KeyPath) -> Iterator[Override]:
    """What has to be set, value by value, to lay a block over a task as `Layers.put` does.

    Args:
        block: the changes.
        places: where each key path of its file stands.
        prefix: key path of the block in the file.
    """
    for path, value in _values(block, ()):
        yield Override(path, value, next(places[key] for key in _up((*prefix, *path)) if key in places))


def _values(block: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The values that are not mappings; a name before the options that belong to it."""
    for key in sorted(block, key=lambda key: key != "name"):
        if isinstance(value := block[key], Mapping):
            yield from _values(value, (*path, key))
        else:
            yield (*path, key), value


def _up(path: KeyPath) -> Iterator[KeyPath]:
    """A key path, and those of the blocks around it."""
    return (path[:end] for end in range(len(path), 0, -1))


@dataclass(slots=True)
class Layers:
    """Merged settings.

    Args:
        data: the settings.
        places: where each key path comes from: ``file:line:column``, or an override.
    """

    data: dict[str, Any] = field(default_factory=dict)
    places: dict[KeyPath, str] = field(default_factory=dict)

    def override(self, override: Override) -> bool:
        """Set one value on top; tells whether it is a block that took the place of another one, whole."""
        below: Any = self.data
        for key in override.path:
            below = below.get(key) if isinstance(below, Mapping) else None
        replaced = isinstance(override.value, Mapping) and isinstance(below, Mapping)
        if replaced:
            self.put(Override(override.path, None, "").block, override.label)
        self.put(override.block, override.label)
        return replaced

    def put(self, block: Mapping[str, Any], places: Mapping[KeyPath, str] | str) -> None:
        """Merge a block on top; `places` tells where each of its key paths comes from, or all of it.

        Mappings are merged key by key. But a mapping with another `name` is another component, whose options have
        nothing to do with those below, so it replaces them. Options on top of a bare name are those of that component.
        """
        self.data = self._merge(self.data, block, places, ())

    def place(self, path: KeyPath) -> str | None:
        """Where a key path comes from; for one that is not there, its nearest parent."""
        return next((self.places[above] for above in _up(path) if above in self.places), None)

    def _merge(
        self, below: Mapping[str, Any], block: Mapping[str, Any], places: Mapping[KeyPath, str] | str, path: KeyPath
    ) -> dict[str, Any]:
        merged = dict(below)
        for key, value in block.items():
            here, current = (*path, key), below.get(key)
            if isinstance(current, str) and isinstance(value, Mapping):
                current = {"name": current}
            if isinstance(current, Mapping) and isinstance(value, Mapping) and not _is_another(value, current):
                merged[key] = self._merge(current, value, places, here)
            else:
                merged[key] = value
                replaced = [known for known in self.places if known[: len(here)] == here]
                for known in replaced:
                    del self.places[known]
                for inner in _paths(value, here):
                    self.places[inner] = places if isinstance(places, str) else places[inner]
        return merged


def _is_another(value: Mapping[str, Any], current: Mapping[str, Any]) -> bool:
    return "name" in value and "name" in current and value["name"] != current["name"]


def _paths(value: object, path: KeyPath) -> Iterator[KeyPath]:
    yield path
    items: Any = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    for key, inner in items:
        yield from _paths(inner, (*path, key))
