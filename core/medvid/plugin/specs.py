"""What a plugin contributes: frozen descriptions of components, never the components themselves.

A spec names its code as ``"package.module:attribute"``. Nothing heavy is imported until a task names the
component and the host loads it, so listing plugins stays fast and safe.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

Layout = Literal["image", "volume", "video"]
"""The axes *S of a batch (B, C, *S): image (H, W); volume (X, Y, Z), RAS+, slice axis last; video (T, H, W)."""

TaskKind = Literal["segmentation", "classification"]
FeatureKind = Literal["maps", "embedding"]


@dataclass(frozen=True, slots=True)
class Example:
    """A component at its smallest: what the conformance kit and `platform matrix` try it with, and readers start from.

    Args:
        options: its block in a task file without the name (and the root of a data set), as JSON values; small enough
            for a step in a fraction of a second on one core.
        layout: of backbones: the native layout that these options are for.
        size: of backbones: the length of each axis *S of an input that they are for.
        generate: of data sets: options of the sample generator, for a handful of small cases.
    """

    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    layout: Layout = "image"
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
        examples: small options, for checks and readers. Heads and data sets may leave them out if their defaults are
            small; backbones need one for each native layout, and may have more, e.g. for variants.
        exceptions: names of the checks of `medvid.testing` that it does not meet, each with the reason.
    """

    kind: ClassVar[str] = "component"

    name: str
    target: str
    config: str
    summary: str = ""
    examples: tuple[Example, ...] = ()
    exceptions: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneSpec(ComponentSpec):
    """A network that maps an input batch to features.

    ``target`` is called as ``target(options, input_info)`` and returns a module whose forward takes (B, C, *S) and
    returns `medvid.models.features.Features`, and which has a ``feature_info`` once built.

    Args:
        layouts: the layouts it takes natively; others are reached through the core's layout adapters.
        features: which parts of Features it fills.
        paper: where it was published.
        weights: ``"package.weights:translate"``, see `medvid.models.weights`; empty if it imports none.
        inner: name of the option that holds the block of another backbone, which this one runs inside; empty if it
            runs none. ``target`` is then called as ``target(options, input_info, inner)``, where ``inner`` is that
            backbone, built for images of the input's last two axes; it has to be kept as an attribute of that name.
    """

    kind: ClassVar[str] = "backbone"

    layouts: tuple[Layout, ...]
    features: tuple[FeatureKind, ...]
    paper: str = ""
    weights: str = ""
    inner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadSpec(ComponentSpec):
    """Maps features to a prediction; owns the loss, the metrics and the inference procedure.

    ``target`` is called as ``target(options, feature_info, input_info, target_info)`` and returns a
    `medvid.models.head.Head`.

    Args:
        task: what it predicts.
        needs: the parts of Features it can work from, any one of which is enough.
        layouts: the layouts it can work on.
    """

    kind: ClassVar[str] = "head"

    task: TaskKind
    needs: tuple[FeatureKind, ...]
    layouts: tuple[Layout, ...] = ("image", "volume", "video")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec(ComponentSpec):
    """Indexes cases, loads a case, says its layout and its labels.

    ``target`` is called as ``target(options)`` and returns a `medvid.data.dataset.Dataset`.

    Args:
        layout: the axes of its inputs.
        task: what its labels are for.
        sample: ``"package.module:generate"``, called as ``generate(folder, options)`` to write a small data set of
            the real layout and file format; empty if it has none.
        sample_config: ``"package.config:SampleOptions"`` of that generator.
    """

    kind: ClassVar[str] = "dataset"

    layout: Layout
    task: TaskKind
    sample: str = ""
    sample_config: str = ""


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
