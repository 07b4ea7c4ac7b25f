"""What a plugin contributes: frozen descriptions of components, never the components themselves.

A spec names its code as ``"package.module:attribute"``. Nothing heavy is imported until a task names the
component and the host loads it, so listing plugins stays fast and safe.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

Axes = Literal["image", "volume", "video"]
"""The axes *S of a batch (B, C, *S): image (H, W); volume (X, Y, Z), RAS+, slice axis last; video (T, H, W)."""

FeatureKind = Literal["maps", "embedding"]

Where = Literal["case", "frame", "voxel"]
"""What has an annotation, and a prediction, of its own: a case, a frame of a video (or slice of a volume), a voxel."""
What = Literal["class", "labels", "value"]
"""What that is: exactly one of several classes, any of several labels, numbers with a unit."""
WHERE: tuple[Where, ...] = get_args(Where)
WHAT: tuple[What, ...] = get_args(What)

Build = Callable[..., Any]
"""``build(options, ...)`` makes the component that options belong to, see `medvid.plugin.host.Host.build`."""
BuildAll = Callable[..., Mapping[Any, Any]]
"""``build_all(kind, *options)`` makes all components of a kind, see `medvid.plugin.host.Host.build_all`."""


@dataclass(frozen=True, slots=True)
class Example:
    """A component at its smallest: what the conformance kit and `platform matrix` try it with, and readers start from.

    Args:
        options: its block in a task file without the name (and the root of a data set), as JSON values; small enough
            for a step in a fraction of a second on one core.
        axes: of backbones: the native axes that these options are for.
        size: of backbones: the length of each axis *S of an input that they are for.
        generate: of data sets: options of the demo generator, for a handful of small cases.
    """

    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    axes: Axes = "image"
    size: tuple[int, ...] = ()
    generate: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentSpec:
    """What every component has, whatever its kind.

    Args:
        name: how task files call it; unique among the components of its kind.
        target: ``"package.module:attribute"`` of the class that implements it; imported only on use.
        config: ``"package.config:Options"`` of its pydantic options; must import no torch.
        summary: one line for ``platform plugins list``.
        paper: where it was published.
        examples: small options, for checks and readers. May be left out where the defaults are small; backbones need
            one for each native axes, and may have more, e.g. for variants.
        exceptions: names of the checks of `medvid.testing` that it does not meet, each with the reason.
    """

    kind: ClassVar[str] = "component"
    """How tasks and messages call its kind; the table of kinds is in `medvid.plugin.kinds`."""
    code: ClassVar[tuple[str, ...]] = ("target",)
    """The fields that name code, imported on use; empty ones name none."""
    light: ClassVar[tuple[str, ...]] = ("config",)
    """Likewise those that name light code, which is imported to read a task."""

    name: str
    target: str
    config: str
    summary: str = ""
    paper: str = ""
    examples: tuple[Example, ...] = ()
    exceptions: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneSpec(ComponentSpec):
    """A network that maps an input batch to features.

    ``target`` is called as ``target(options, input_info)`` and returns a module whose forward takes (B, C, *S) and
    returns `medvid.models.features.Features`, and which has a ``feature_info`` once built. One that runs another
    backbone inside keeps it as the attribute that is called like its option, for its weights to be found.

    Args:
        axes: the axes it takes natively; others are reached through the core's adapters.
        features: which parts of Features it fills.
        weights: ``"package.weights:translate"``, see `medvid.models.weights`; empty if it imports none.
        fit: ``"package.weights:fit"``, see `medvid.models.weights.translation.Fit`: makes weights of a run that was
            trained on another size fit; empty if no parameter depends on the size.
    """

    kind: ClassVar[str] = "backbone"
    code: ClassVar[tuple[str, ...]] = ("target", "weights", "fit")

    axes: tuple[Axes, ...]
    features: tuple[FeatureKind, ...]
    weights: str = ""
    fit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadSpec(ComponentSpec):
    """Maps features to a prediction, and has the loss that it is trained with.

    ``target`` is called as ``target(options, feature_info, input_info, target_info)`` and returns a
    `medvid.models.head.Head`.

    Args:
        where: where it predicts.
        what: the kinds of annotation it predicts there, see `medvid.plugin.info`.
        needs: the parts of Features it can work from, any one of which is enough.
        axes: the axes it can work on.
    """

    kind: ClassVar[str] = "head"

    where: Where
    what: tuple[What, ...] = ("class",)
    needs: tuple[FeatureKind, ...]
    axes: tuple[Axes, ...] = ("image", "volume", "video")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec(ComponentSpec):
    """Indexes cases, loads a case, says its axes and what they are annotated with.

    ``target`` is called as ``target(options)`` and returns a `medvid.data.dataset.Dataset`.

    Args:
        axes: the axes of its inputs.
        where: what has an annotation of its own.
        what: the kinds of annotation that its options choose from, see `medvid.plugin.info`.
        demo: ``"package.module:generate"``, called as ``generate(folder, options)`` to write a small data set of
            the real layout and file format; empty if it has none.
        demo_config: ``"package.config:SampleOptions"`` of that generator.
        recognises: ``"package.config:recognise"``, light; `platform plan` calls it as ``recognise(folder)``. It returns
            options for a folder that looks like one of this data set, without ``name`` and ``root``, else None.
    """

    kind: ClassVar[str] = "dataset"
    code: ClassVar[tuple[str, ...]] = ("target", "demo")
    light: ClassVar[tuple[str, ...]] = ("config", "demo_config", "recognises")

    axes: Axes
    where: Where
    what: tuple[What, ...]
    demo: str = ""
    demo_config: str = ""
    recognises: str = ""

    def __post_init__(self) -> None:
        what: object = self.what
        if isinstance(what, str):
            raise TypeError(f"what is {self.what!r} of data set {self.name!r}; it has to be a tuple: ({self.what!r},)")


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSpec(ComponentSpec):
    """What a training lowers.

    ``target`` is called as ``target(options, target_info)`` and returns a `medvid.losses.loss.Loss`, which maps output
    and target to scalars.

    Args:
        what: the kinds of prediction that it is for.
        where: the places of prediction that it is for.
    """

    kind: ClassVar[str] = "loss"

    what: tuple[What, ...]
    where: tuple[Where, ...] = WHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformSpec(ComponentSpec):
    """A random change of training examples.

    ``target`` is called as ``target(options)`` and returns a `medvid.data.transform.Transform`.

    Args:
        axes: those of the inputs that it can change.
        acts_on: a ``"case"``, one example as it is loaded, or a ``"batch"`` on its device.
    """

    kind: ClassVar[str] = "transform"

    axes: tuple[Axes, ...]
    acts_on: Literal["case", "batch"] = "case"


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerSpec(ComponentSpec):
    """Changes the parameters along their gradients.

    ``target`` is called as ``target(options, groups)``, with parameter groups as torch has them, and returns a
    `torch.optim.Optimizer`.
    """

    kind: ClassVar[str] = "optimizer"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolSpec(ComponentSpec):
    """How a model's outputs become answers, and answers figures: medvid's own, or that of a publication.

    ``target`` is called as ``target(options, target_info)`` and returns a `medvid.evaluation.protocols.Protocol`: a
    `LabelMapProtocol` for voxels, a `ViewProtocol` for cases and frames.

    Args:
        where: the places of prediction that it scores.
        what: the kinds of prediction that it scores.
        axes: the axes of the data sets that it scores; those with figures of times need videos.
    """

    kind: ClassVar[str] = "protocol"

    where: tuple[Where, ...]
    what: tuple[What, ...] = ("class",)
    axes: tuple[Axes, ...] = ("image", "volume", "video")


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatSpec(ComponentSpec):
    """Reads, and perhaps writes, one kind of file of volumes.

    ``target`` is called as ``target(options)`` and returns a `medvid.data.volumes.formats.format.Format`. All formats
    of the enabled plugins serve every data set of volumes: a file is read by the one that recognises its content, else
    by the one that its name ends like; ``dataset.format`` forces one for images, or gives it options.

    Args:
        suffixes: how its files are named, in lower case, with the dot: each such file is a volume.
        companions: likewise of further files of such a volume, of the same name otherwise, which are none of their own.
        folders: whether a folder, or a .zip file, of files can be one volume.
        writes: how the label maps that it writes are named, one of the suffixes; empty if it only reads.
        answers: name of another format, in which predictions of its images are written if that format can; default:
            in this one if it can, else as NIfTI.
        pictures: how files that can be one image each are named, for data sets of images.
        identifies: whether what it writes names the patient; a run with pseudonyms writes in another format.
        demo: ``"package.module:write"``, called as ``write(folder)`` to write a small volume, whose path it returns;
            for the conformance kit, where the format does not write.
    """

    kind: ClassVar[str] = "format"
    code: ClassVar[tuple[str, ...]] = ("target", "demo")

    suffixes: tuple[str, ...]
    companions: tuple[str, ...] = ()
    folders: bool = False
    writes: str = ""
    answers: str = ""
    pictures: tuple[str, ...] = ()
    identifies: bool = False
    demo: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LauncherSpec(ComponentSpec):
    """Runs the cells of a study: on this machine, or as jobs of a cluster.

    ``target`` is called as ``target(options)`` and returns a `medvid.studies.launchers.launcher.Launcher`.
    """

    kind: ClassVar[str] = "launcher"


def load_attribute(target: str) -> Any:
    """Import ``"package.module:attribute"`` and return the attribute.

    Raises:
        ImportError: the module cannot be imported or has no such attribute.
        ValueError: the text is not of that form.
    """
    module_name, separator, attribute = target.partition(":")
    if not (module_name and separator and attribute):
        raise ValueError(f"{target!r} is not of the form 'package.module:attribute'")
    module = importlib.import_module(module_name)
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise ImportError(f"module {module_name!r} has no attribute {attribute!r}") from None
