"""A task for volumes and any backbone: nnU-Net's preparation, and a patch and batch of the backbone's own."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from medvid.planning.backbones import resized
from medvid.planning.draft import Draft
from medvid.planning.fitting import fit, memory_in_words
from medvid.planning.nnunet.patch import first_patch
from medvid.planning.recipe import is_short, put_recipe, suit_augmentation
from medvid.planning.request import Request
from medvid.planning.sides import keep_sides
from medvid.planning.sizing import Size
from medvid.planning.volumes.draft import VolumeFacts
from medvid.planning.volumes.nnunet_task import augmentation, put_preparation, to_ras
from medvid.planning.volumes.words import by
from medvid.plugin.host import Host

_COVERAGE = 0.05
"""Share of all voxels that a batch may hold, as in nnU-Net's first planner."""
_MOST = 64
_SHORT_SHARE = 0.5
"""Of the voxels of a patch that a short training has: a step takes half the time, and steps are what it lacks."""


def draft_sized(found: VolumeFacts, draft: Draft, request: Request, host: Host, overrides: Sequence[str]) -> None:
    """Plan for a backbone by its own constraints.

    Args:
        found: the facts.
        draft: the task.
        request: what was asked.
        host: has the components.
        overrides: what the user sets on top.

    Raises:
        ConfigError: the backbone takes no such inputs.
        ResourceError: nothing fits into the memory.
    """
    block, forward = found.block, found.plans["transpose_forward"]
    put_preparation(draft, found.plans, found.name, found.spacing)
    draft.put("dataset.patch", {"size": [1, 1, 1], "per_case": 1})
    if is_short(request.steps):
        draft.put("dataset.patch.centres", "voxels", "half on any labelled voxel: large structures are learnt first")
    else:
        draft.put("dataset.patch.centres", "classes")
        draft.put("dataset.patch.forced", 0.5)
    draft.put("dataset.augment", augmentation(block["use_mask_for_norm"]))
    keep_sides(draft, found.scheme.names, request)
    put_recipe(draft, request.steps)
    draft.put("train.batch_size", 1)
    draft.put("evaluation.overlap", 0.5)
    median = to_ras(block["median_image_size_in_voxels"], forward, 1)
    first = to_ras(first_patch(block["spacing"], block["median_image_size_in_voxels"]), forward, 1)
    cap = _cap(first, median, len(found.cases))
    share = _SHORT_SHARE if is_short(request.steps) else 1.0
    sized = fit(
        draft, request, host, overrides, _put,
        axes="volume", where="voxel", first=first, whole=median, cap=cap, share=share,
    )  # fmt: skip
    suit_augmentation(draft, request.steps, len(found.cases))
    draft.reasons["dataset", "patch", "size"] = (
        f"voxels, multiples of {by(sized.divisors)}; {memory_in_words(sized, request)}; "
        f"the median case has {by(median)}" + ("; half of a long training's, for twice the steps" if share < 1 else "")
    )


def _cap(first: Sequence[float], median: Sequence[float], cases: int) -> int:
    """The most patches, which hold a share of all voxels as long as they are as large as the first one."""
    return min(_MOST, max(2, round(_COVERAGE * cases * math.prod(median) / math.prod(first))))


def _put(draft: Draft, blocks: Mapping[str, Any], size: Size, batch: int) -> None:
    draft.values["dataset"]["patch"]["size"] = list(size)
    draft.values["backbone"] = resized(blocks["backbone"], blocks, size)
    draft.values["head"] = blocks["head"]
    draft.put("train.batch_size", batch)
