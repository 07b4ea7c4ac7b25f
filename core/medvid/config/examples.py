"""The examples that components bring: their options, validated, and the inputs that they are for."""

from collections.abc import Mapping
from typing import Any, cast

from medvid.config.axes import SLICES, Adaptation, find_adaptation
from medvid.config.named import read_block
from medvid.config.options import BackboneOptions, ComponentOptions
from medvid.errors import ConfigError, PluginError
from medvid.plugin.host import Host
from medvid.plugin.info import InputInfo
from medvid.plugin.specs import Axes, BackboneSpec, ComponentSpec, Example

DEPTH = 4
"""Slices or frames of the inputs that an example for images is tried on."""
CHANNELS: dict[Axes, int] = {"image": 3, "volume": 1, "video": 3}
"""Of the inputs that examples are tried on."""


def read_options(host: Host, spec: ComponentSpec, block: Mapping[str, Any]) -> ComponentOptions:
    """Validate the options of a component.

    Args:
        host: has the components.
        spec: the component.
        block: its block without the name, as JSON values.

    Raises:
        ConfigError: the options are wrong, or name a component that there is not.
        PluginError: the options class cannot be imported.
    """
    options, problems = read_block(host, spec, {"name": spec.name, **block})
    if options is None:
        if plugins := [one.cause for one in problems if isinstance(one.cause, PluginError)]:
            raise plugins[0]
        text = "; ".join(f"{'.'.join(map(str, one.path))}: {one.message}".removeprefix(": ") for one in problems)
        raise ConfigError(f"the options of {spec.kind} {spec.name!r} are wrong: {text}")
    return options


def example_input(spec: BackboneSpec, example: Example, axes: Axes) -> InputInfo:
    """An input of any axes, whose images or clips are those that an example is for.

    Raises:
        ConfigError: the example does not say what it is for.
    """
    if example.axes not in spec.axes or len(example.size) != (2 if example.axes == "image" else 3):
        raise ConfigError(
            f"an example of backbone {spec.name!r} is for {example.axes}s of size {list(example.size)}; it has to "
            f"name axes of the backbone ({' or '.join(spec.axes)}) and the length of each of its axes"
        )
    size, depth = list(example.size), DEPTH
    if example.axes != "image":
        depth = size.pop(SLICES[example.axes])
    if axes != "image":
        size.insert(SLICES[axes], depth)
    return InputInfo(axes, CHANNELS[axes], tuple(size))


def fitting_example(host: Host, spec: BackboneSpec, axes: Axes) -> tuple[Example, Adaptation | None]:
    """The example to try a backbone with on some axes: one for these axes, else the first that can be adapted to them.

    Raises:
        ConfigError: there is none; says what is in the way of the first one.
        PluginError: the options class cannot be imported.
    """
    problem: ConfigError | None = None
    for example in sorted(spec.examples, key=lambda example: _distance(example.axes, axes)):
        try:
            options = cast(BackboneOptions, read_options(host, spec, example.options))
            return example, find_adaptation(spec, options, example_input(spec, example, axes))
        except ConfigError as error:
            problem = problem or error
    raise problem or ConfigError(f"backbone {spec.name!r} brings no example to try it with")


def _distance(one: Axes, other: Axes) -> int:
    """0 for the same axes, 1 for the same number of axes, 2 for another one."""
    if one == other:
        return 0
    return 1 if "image" not in (one, other) else 2
