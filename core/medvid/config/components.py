"""The components that options belong to, and their options classes, as plugins name them in their specs."""

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from medvid.config.options import ComponentOptions, DatasetOptions, TransformOptions
from medvid.errors import PluginError
from medvid.plugin.host import Host
from medvid.plugin.kinds import KINDS
from medvid.plugin.specs import ComponentSpec, DatasetSpec, load_attribute


def options_of(host: Host, spec: ComponentSpec) -> type[ComponentOptions]:
    """The options class of a component.

    Raises:
        PluginError: it cannot be imported, or is not derived from the class that its kind asks for.
    """
    model, base = host.load(spec, spec.config), load_attribute(KINDS[spec.kind].options)
    if not (isinstance(model, type) and issubclass(model, base)):
        raise PluginError(f"{host.owner(spec).label}: {spec.config} is not a {base.__name__}")
    return model


def options_in(value: object) -> Iterator[ComponentOptions]:
    """The options of all components in a task, or in other options: those of the outer before those inside of them."""
    if isinstance(value, ComponentOptions):
        yield value
    inside: object = dict(value) if isinstance(value, BaseModel) else value
    for item in inside.values() if isinstance(inside, Mapping) else inside if isinstance(inside, list | tuple) else ():
        yield from options_in(item)


def transforms_in(options: DatasetOptions) -> list[TransformOptions]:
    """The transforms that a data set's options name, in their order."""
    return [inner for inner in options_in(options) if isinstance(inner, TransformOptions)]


def generator_options_of(host: Host, spec: DatasetSpec) -> type[BaseModel]:
    """The options class of a data set's demo generator.

    Raises:
        PluginError: as for `options_of`.
    """
    model = host.load(spec, spec.demo_config)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise PluginError(f"{host.owner(spec).label}: {spec.demo_config} is not a pydantic model")
    return model
