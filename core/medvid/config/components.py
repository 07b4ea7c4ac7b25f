"""The options classes of components, as plugins name them in their specs."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import BaseModel

from medvid.config.options import BackboneOptions, DatasetOptions, HeadOptions, Options
from medvid.errors import PluginError
from medvid.plugin.host import Host, Kind
from medvid.plugin.specs import ComponentSpec, DatasetSpec

if TYPE_CHECKING:
    from medvid.config.task import Task

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


def components_of(task: "Task", host: Host) -> Iterator[ComponentSpec]:
    """The components that a task names: data set, head, backbone, and the one that the backbone runs inside, if any."""
    yield host.spec("dataset", task.dataset.name)
    yield host.spec("head", task.head.name)
    backbone = task.backbone
    while True:
        spec = host.spec("backbone", backbone.name)
        yield spec
        if not spec.inner:
            return
        backbone = getattr(backbone, spec.inner)


def generator_options_of(host: Host, spec: DatasetSpec) -> type[BaseModel]:
    """The options class of a data set's sample generator.

    Raises:
        PluginError: as for `options_of`.
    """
    model = host.load(spec, spec.sample_config)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise PluginError(f"{host.owner(spec).label}: {spec.sample_config} is no pydantic model")
    return model
