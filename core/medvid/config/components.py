"""The options classes of components, as plugins name them in their specs."""

from pydantic import BaseModel

from medvid.config.options import BackboneOptions, DatasetOptions, HeadOptions, Options
from medvid.errors import PluginError
from medvid.plugin.host import Host, Kind
from medvid.plugin.specs import ComponentSpec, DatasetSpec

BASES: dict[str, type[Options]] = {"dataset": DatasetOptions, "backbone": BackboneOptions, "head": HeadOptions}
KINDS: tuple[Kind, ...] = ("dataset", "backbone", "head")


def options_of(host: Host, spec: ComponentSpec) -> type[Options]:
    """The options class of a component.

    Raises:
        PluginError: it cannot be imported, or is not derived from the class that its kind asks for.
    """
    model = host.load(spec, spec.config)
    if not (isinstance(model, type) and issubclass(model, BASES[spec.kind])):
        raise PluginError(f"{host.owner(spec).label}: {spec.config} is no {BASES[spec.kind].__name__}")
    return model


def generator_options_of(host: Host, spec: DatasetSpec) -> type[BaseModel]:
    """The options class of a data set's sample generator.

    Raises:
        PluginError: as for `options_of`.
    """
    model = host.load(spec, spec.sample_config)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise PluginError(f"{host.owner(spec).label}: {spec.sample_config} is no pydantic model")
    return model
