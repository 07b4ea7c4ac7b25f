"""The examples that components bring: their options, validated, and the inputs that they are for."""

from collections.abc import Mapping
from typing import Any, cast

from medvid.config.components import options_of
from medvid.config.explain import validate
from medvid.config.layout import SLICES, Adaptation, find_adaptation
from medvid.config.options import BackboneOptions, Options
from medvid.errors import ConfigError
from medvid.plugin.host import Host
from medvid.plugin.info import InputInfo
from medvid.plugin.specs import BackboneSpec, ComponentSpec, Example, Layout

DEPTH = 4
"""Slices or frames of the inputs that an example for images is tried on."""
CHANNELS: dict[Layout, int] = {"image": 3, "volume": 1, "video": 3}
"""Of the inputs that examples are tried on."""


def read_options(host: Host, spec: ComponentSpec, block: Mapping[str, Any]) -> Options:
    """Validate the options of a component, and in them those of a backbone that it runs inside.

    Args:
        host: has the components.
        spec: the component.
        block: its block without the name, as JSON values.

    Raises:
        ConfigError: the options are wrong, or name a backbone that there is not.
        PluginError: the options class cannot be imported.
    """
    block = {"name": spec.name, **block}
    inner = spec.inner if isinstance(spec, BackboneSpec) else ""
    if inner and isinstance(block.get(inner), Mapping):
        block[inner] = read_options(host, host.spec("backbone", str(block[inner].get("name"))), block[inner])
    model = options_of(host, spec)
    options, problems = validate(model, block)
    if options is None:
        text = "; ".join(f"{'.'.join(map(str, one.path))}: {one.message}".removeprefix(": ") for one in problems)
        raise ConfigError(f"the options of {spec.kind} {spec.name!r} are wrong: {text}")
    return options


def example_input(spec: BackboneSpec, example: Example, layout: Layout) -> InputInfo:
    """An input of any layout, whose images or clips are those that an example is for.

    Raises:
        ConfigError: the example does not say what it is for.
    """
    if example.layout not in spec.layouts or len(example.size) != (2 if example.layout == "image" else 3):
        raise ConfigError(
            f"an example of backbone {spec.name!r} is for {example.layout}s of size {list(example.size)}; it has to "
            f"name a layout of the backbone ({' or '.join(spec.layouts)}) and the length of each of its axes"
        )
    size, depth = list(example.size), DEPTH
    if example.layout != "image":
        depth = size.pop(SLICES[example.layout])
    if layout != "image":
        size.insert(SLICES[layout], depth)
    return InputInfo(layout, CHANNELS[layout], tuple(size))


def fitting_example(host: Host, spec: BackboneSpec, layout: Layout) -> tuple[Example, Adaptation | None]:
    """The example to try a backbone with on a layout: one for this layout, else the first that can be adapted to it.

    Raises:
        ConfigError: there is none; says what is in the way of the first one.
        PluginError: the options class cannot be imported.
    """
    problem: ConfigError | None = None
    for example in sorted(spec.examples, key=lambda example: _distance(example.layout, layout)):
        try:
            options = cast(BackboneOptions, read_options(host, spec, example.options))
            return example, find_adaptation(spec, options, example_input(spec, example, layout))
        except ConfigError as error:
            problem = problem or error
    raise problem or ConfigError(f"backbone {spec.name!r} brings no example to try it with")


def _distance(one: Layout, other: Layout) -> int:
    """0 for the same layout, 1 for the same number of axes, 2 for another one."""
    if one == other:
        return 0
    return 1 if "image" not in (one, other) else 2
