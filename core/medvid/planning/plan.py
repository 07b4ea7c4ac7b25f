"""From a folder, or the data set of a task, to the text of a task that suits it."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medvid.config.examples import read_options
from medvid.config.layers import Layers, Override, read_overrides
from medvid.config.options import DatasetOptions
from medvid.data.dataset import Progress
from medvid.data.images.dataset import ImageDataset
from medvid.data.tables.dataset import AnsweredDataset
from medvid.data.videos.answered import AnsweredVideos
from medvid.data.videos.dataset import VideoDataset
from medvid.data.volumes.dataset import VolumeDataset
from medvid.errors import ConfigError
from medvid.planning.backbones import head_of_topology
from medvid.planning.checking import checked
from medvid.planning.draft import Draft
from medvid.planning.images.draft import draft_images
from medvid.planning.request import Request
from medvid.planning.splits import write_split
from medvid.planning.tables.draft import draft_answered
from medvid.planning.videos.draft import draft_videos
from medvid.planning.volumes.draft import draft_unet, look_at_volumes
from medvid.planning.volumes.sized_task import draft_sized
from medvid.plugin.host import Host
from medvid.plugin.specs import DatasetSpec


def make_plan(
    block: Mapping[str, Any], request: Request, host: Host, overrides: Sequence[str], progress: Progress
) -> str:
    """Plan a task.

    Args:
        block: the dataset block, as a task has it.
        request: what was asked.
        host: has the components.
        overrides: values that the user sets, ``"a.b=value"``.
        progress: called with (done, total) while cases are looked at.

    Returns:
        A task file, which was checked. With `request.splits` the folds are in the data set's folder then.

    Raises:
        MedvidError: the data cannot be used, or nothing can be planned for them.
    """
    given = read_overrides(overrides)
    draft = Draft(head=[f"Written by platform plan: {request}."])
    draft.put("name", _name(Path(str(block["root"]))))
    draft.put("dataset", _with(block, given))
    options = _options(draft.values["dataset"], host)
    dataset = host.build(options)
    head = head_of_topology(request.backbone, host)
    if isinstance(dataset, VolumeDataset):
        found = look_at_volumes(dataset, draft, request, progress, _spacing(given, request))
        if head:
            draft_unet(found, draft, request, head)
        else:
            draft_sized(found, draft, request, host, overrides)
    elif isinstance(dataset, ImageDataset):
        draft_images(dataset, draft, request, head, host, overrides, progress)
    elif isinstance(dataset, VideoDataset) and host.spec(DatasetSpec, options.name).where == "case":
        draft_videos(dataset, draft, request, host, overrides, progress)
    elif isinstance(dataset, AnsweredDataset) and not isinstance(dataset, AnsweredVideos):
        draft_answered(dataset, draft, request, host, overrides, progress)
    else:
        raise ConfigError(
            f"a data set {options.name!r} cannot be planned for: plans are for segmented volumes and images, for those "
            "with answers of their own, and for videos with one label each"
        )
    checked(draft, host, overrides)  # first with them on top, so that what is wrong with them is said of them
    for override in given:
        draft.override(override)
    checked(draft, host)
    if draft.folds:
        write_split(draft, dataset)  # last, once all else is right
        checked(draft, host)
    return draft.text()


def _name(root: Path) -> str:
    """A name of a task from that of a folder."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", root.absolute().name).strip("_.-")
    return name[:100] or "plan"


def _with(block: Mapping[str, Any], given: Sequence[Override]) -> dict[str, Any]:
    """The dataset block with what the user sets of it, as labels and channels have to be known before anything."""
    layers = Layers()
    layers.put({"dataset": block}, "")
    for override in given:
        if override.path[0] == "dataset":
            layers.override(override)
    return dict(layers.data["dataset"])


def _spacing(given: Sequence[Override], request: Request) -> Sequence[float] | None:
    """The voxel size that the user sets, which all else is then planned for; the low resolution has one of its own."""
    if request.configuration == "3d_lowres":
        return None
    return next((override.value for override in given if override.path == ("dataset", "spacing")), None)


def _options(block: Mapping[str, Any], host: Host) -> DatasetOptions:
    spec = host.spec(DatasetSpec, str(block["name"]))
    options = read_options(host, spec, {key: value for key, value in block.items() if key != "name"})
    assert isinstance(options, DatasetOptions)
    return options.model_copy(update={"root": options.root.expanduser(), "cache": options.cache.expanduser()})
