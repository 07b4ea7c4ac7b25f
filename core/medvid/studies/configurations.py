"""The configurations of a study: those that it names, each with every combination of the values of its grid."""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any

from medvid.config.layers import Override
from medvid.errors import ConfigError
from medvid.files import json_text
from medvid.studies.options import DEFAULT, StudyOptions

Point = Mapping[str, Any]
"""A combination of values, by dotted key."""

LONGEST = 100
"""Characters of the name of a configuration."""


def configurations_of(options: StudyOptions) -> dict[str, tuple[str, Point]]:
    """Each configuration by name: the one that the study names, and the point of the grid.

    A point is named after its values, so that it keeps its name where the grid grows: ``lr0.001-layer_decay0.75``.

    Raises:
        ConfigError: two have the same name, or one has too long a name.
    """
    if not options.grid:
        return {name: (name, {}) for name in options.configurations}
    found: dict[str, tuple[str, Point]] = {}
    for configuration, values in product(options.configurations, product(*options.grid.values())):
        point = dict(zip(options.grid, values, strict=True))
        name = "-".join([*([] if configuration == DEFAULT else [configuration]), *_words(point)])
        if name in found or len(name) > LONGEST:
            fault = "two points of the grid have" if name in found else "a point of the grid has"
            raise ConfigError(
                f"{fault} the name {name}" + ("" if name in found else f", of more than {LONGEST} characters"),
                hint="name them yourself: configurations: {NAME: {KEY: VALUE}}",
            )
        found[name] = configuration, point
    return found


def grid_of(point: Point, place: Callable[[str], str]) -> Iterator[Override]:
    """What a point of the grid changes.

    Args:
        point: its values, by dotted key.
        place: where a key of the grid stands.
    """
    for key, value in point.items():
        yield Override(tuple(key.split(".")), value, place(key))


def _words(point: Point) -> Iterator[str]:
    """What a point is called: the last word of each key, with its value."""
    for key, value in point.items():
        text = value if isinstance(value, str) else json_text(value)
        yield key.removesuffix(".name").rpartition(".")[2] + re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("_")
