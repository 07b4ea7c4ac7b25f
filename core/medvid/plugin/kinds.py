"""The kinds of component, one row each; everything else is written once and knows no kind by name.

**A component** is what a plugin contributes and a task names: a backbone, a loss, a data set. It consists of

- a *spec*, light, from the plugin's `medvid_components`: ``LossSpec(name="focal", target="pkg.loss:Focal",
  config="pkg.config:FocalOptions", ...)``;
- its *options*, light: a pydantic model, derived from the base of its kind: ``class FocalOptions(LossOptions)``;
- its *target*, imported on use: called as ``target(options, ...)`` with what its kind is told of its neighbours (see
  the kind's spec), it makes an instance of the class that the row names.

**In a task** a component stands as a block with a name, or as the bare name where the defaults of its options will do.
Any options may hold such blocks, of any kind, alone, optional or in lists::

    class PixelOptions(HeadOptions):
        loss: Annotated[LossOptions, Named("loss")] = DiceCEOptions()
        augment: tuple[Annotated[TransformOptions, Named("transform")], ...] = ()

`medvid.config.named.Named` reads the block by the options of the component that it names, wherever it stands: with
file, line and column of all that is wrong, in `platform schema` and `plugins show`, and there and back through
resolved.yaml. ``Named("backbone", axes="image")`` takes only those whose spec has "image" among its axes. A
default is an instance, which no host is needed for; without a host, options take instances, not blocks.

**From options to the component**, ``host.build(options, ...)`` finds the spec by the options' kind and name, imports
the target, calls it and checks what comes out: ``host.build(task.train.optimizer, groups)``. A target that builds
components of its own has an argument ``build``, and is handed that method::

    class STAM(Backbone):
        def __init__(self, options: STAMOptions, input_info: InputInfo, build: Build) -> None:
            self.frame = build(options.frame, image_info)

One that needs all enabled components of a kind, such as the formats of files, has an argument ``build_all``.

**A new kind** is a row here, a spec in `medvid.plugin.specs`, a base of options in `medvid.config.options`, a base
class or runtime-checkable protocol of the target, a kit in `medvid.testing.kits`, a folder of templates in
`medvid/cli/scaffold`, and a section in docs/plugins.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from medvid.plugin.specs import (
    BackboneSpec,
    ComponentSpec,
    DatasetSpec,
    FormatSpec,
    HeadSpec,
    LauncherSpec,
    LossSpec,
    OptimizerSpec,
    ProtocolSpec,
    TransformSpec,
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of component. What is named as ``"module:attribute"`` is imported on use.

    Args:
        spec: class of its specs; has the kind's name.
        options: base class of its options; light.
        target: what its targets make: a class, or a protocol that can be checked at run time.
        kit: the checks that it is held to, a `medvid.testing.kits.Kit`.
    """

    spec: type[ComponentSpec]
    options: str
    target: str
    kit: str

    @property
    def name(self) -> str:
        """How tasks and messages call it."""
        return self.spec.kind

    @property
    def one(self) -> str:
        """The name after its article."""
        return f"{'an' if self.name[0] in 'aeiou' else 'a'} {self.name}"


_ROWS = (
    Kind(
        DatasetSpec,
        "medvid.config.options:DatasetOptions",
        "medvid.data.dataset:Dataset",
        "medvid.testing.kits:DATASET",
    ),
    Kind(
        BackboneSpec,
        "medvid.config.options:BackboneOptions",
        "medvid.models.backbone:Backbone",
        "medvid.testing.kits:BACKBONE",
    ),
    Kind(HeadSpec, "medvid.config.options:HeadOptions", "medvid.models.head:Head", "medvid.testing.kits:HEAD"),
    Kind(LossSpec, "medvid.config.options:LossOptions", "medvid.losses.loss:Loss", "medvid.testing.kits:LOSS"),
    Kind(
        TransformSpec,
        "medvid.config.options:TransformOptions",
        "medvid.data.transform:Transform",
        "medvid.testing.kits:TRANSFORM",
    ),
    Kind(
        OptimizerSpec,
        "medvid.config.options:OptimizerOptions",
        "torch.optim:Optimizer",
        "medvid.testing.kits:OPTIMIZER",
    ),
    Kind(
        ProtocolSpec,
        "medvid.config.options:ProtocolOptions",
        "medvid.evaluation.protocols:Protocol",
        "medvid.testing.kits:PROTOCOL",
    ),
    Kind(
        FormatSpec,
        "medvid.config.options:FormatOptions",
        "medvid.data.volumes.formats.format:Format",
        "medvid.testing.kits:FORMAT",
    ),
    Kind(
        LauncherSpec,
        "medvid.config.options:LauncherOptions",
        "medvid.studies.launchers.launcher:Launcher",
        "medvid.testing.kits:LAUNCHER",
    ),
)
KINDS: Mapping[str, Kind] = {row.name: row for row in _ROWS}
"""All kinds by name, in the order in which they are shown."""
