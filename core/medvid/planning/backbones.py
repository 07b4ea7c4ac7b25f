"""The blocks of a backbone and of a head for it: those of a recipe that comes with medvid, else the defaults."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from medvid.config.recipes import recipe_files
from medvid.config.yaml import parse_file
from medvid.errors import ConfigError
from medvid.plugin.host import Host
from medvid.plugin.specs import Axes, BackboneSpec, ComponentSpec, DatasetSpec, HeadSpec, Where

_SIZES = ("size", "crop")
_FRAMES = ("frames",)


def head_of_topology(backbone: str, host: Host) -> str:
    """The head for a backbone whose options are the stages of a U-Net, as nnU-Net plans them; empty for any other.

    Such a backbone has the options encoder, features, strides, kernels and blocks, and such a head convs, kernels and
    deep_supervision.
    """
    spec = host.spec(BackboneSpec, backbone)
    if not _has(spec, host, "encoder", "features", "strides", "kernels", "blocks"):
        return ""
    heads = (head.name for head in host.specs(HeadSpec) if _has(head, host, "convs", "kernels", "deep_supervision"))
    return next(heads, "")


def _has(spec: ComponentSpec, host: Host, *options: str) -> bool:
    return set(options) <= set(host.load(spec, spec.config).model_fields)


def blocks_for(backbone: str, axes: Axes, where: Where, host: Host) -> Iterator[tuple[dict[str, Any], str]]:
    """Pairs of blocks to try, each with where it comes from: first of recipes with these axes, then of others.

    Args:
        backbone: its name.
        axes: of the data.
        where: they are annotated.
        host: has the components.

    Yields:
        ``{"backbone": ..., "head": ..., "old_size": ..., "old_frames": ...}``; the last two are the size and the frames
        that the blocks are for, None where nothing says so.
    """
    spec = host.spec(BackboneSpec, backbone)
    able = (head for head in host.specs(HeadSpec) if head.where == where and set(head.needs) & set(spec.features))
    heads = sorted(able, key=lambda head: len(head.what))  # first one that was made for this
    known = list(_recipes(backbone, host))
    same = [each for each in known if each[2] == axes and host.spec(HeadSpec, each[0]["head"]["name"]).where == where]
    yield from ((blocks, f"of the recipe {name}") for blocks, name, _ in same)
    others = [blocks for blocks, _, _ in known] or [
        {"backbone": {"name": backbone}, "old_size": None, "old_frames": None}
    ]
    for blocks in others:
        for head in heads:
            yield blocks | {"head": {"name": head.name}}, "its defaults"


def resized(block: Mapping[str, Any], old: Mapping[str, Any], size: Sequence[int]) -> dict[str, Any]:
    """The block with its sizes changed from those of the recipe to new ones.

    Args:
        block: of a backbone.
        old: ``old_size`` and ``old_frames`` that it is for.
        size: of the new inputs, all axes; frames first where `old` has frames.
    """
    return {key: _value(key, value, old, tuple(size)) for key, value in block.items()}


def _value(key: str, value: Any, old: Mapping[str, Any], size: tuple[int, ...]) -> Any:
    if isinstance(value, Mapping):
        return resized(value, old, size)
    before, frames = old.get("old_size"), old.get("old_frames")
    if frames is not None and any(word in key for word in _FRAMES) and value == frames:
        return size[0]
    if before is None or not any(word in key for word in _SIZES):
        return value
    space = size[1:] if frames is not None else size
    for count in (len(before), 2):
        if isinstance(value, list) and value == list(before[:count]):
            return list(space[:count])
    return space[0] if value == before[0] and len(set(before)) == 1 else value


def _recipes(backbone: str, host: Host) -> Iterator[tuple[dict[str, Any], str, Axes]]:
    for name, path in recipe_files().items():
        task = parse_file(path.read_text(encoding="utf-8"), str(path)).data
        if task["backbone"]["name"] != backbone:
            continue
        try:
            axes = host.spec(DatasetSpec, task["dataset"]["name"]).axes
        except ConfigError:  # of a plugin that is not enabled
            continue
        blocks = {key: task[key] for key in ("backbone", "head")}
        without = {key: value for key, value in blocks["backbone"].items() if key != "weights"}
        yield blocks | {"backbone": without} | _input_of(task["dataset"]), name, axes


def _input_of(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """The size of inputs and the number of frames that a recipe names."""
    size = dataset.get("patch", {}).get("size") or dataset.get("crop") or dataset.get("size")
    frames = dataset.get("frames")
    if isinstance(size, int):
        size = [size, size]
    return {"old_size": size, "old_frames": frames}
