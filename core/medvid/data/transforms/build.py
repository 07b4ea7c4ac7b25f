"""From the transforms that a data set's options name to transforms: of its examples, and of whole batches."""

from medvid.config.components import transforms_in
from medvid.config.options import DatasetOptions
from medvid.data.transform import Transform
from medvid.plugin.host import Host
from medvid.plugin.specs import DatasetSpec, TransformSpec


def build_transforms(options: DatasetOptions, host: Host, acts_on: str) -> tuple[Transform, ...]:
    """The transforms that a data set's options name, in their order.

    Args:
        options: of the data set.
        host: has the transforms.
        acts_on: those of a ``"case"``, or of a ``"batch"``.

    Raises:
        PluginError: one cannot be built.
    """
    named = [(inner, host.spec(TransformSpec, inner.name)) for inner in transforms_in(options)]
    transforms = tuple(host.build(inner) for inner, spec in named if spec.acts_on == acts_on)
    for transform in transforms:
        transform.axes = host.spec(DatasetSpec, options.name).axes
    return transforms
