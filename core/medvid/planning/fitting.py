"""A backbone, a head for it, and the size and batch that fit."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from medvid.config.checked import CheckedTask
from medvid.errors import ConfigError
from medvid.planning.backbones import blocks_for
from medvid.planning.checking import checked
from medvid.planning.draft import Draft
from medvid.planning.recipe import suit_rate
from medvid.planning.request import Request
from medvid.planning.sizing import Size, Sized, largest
from medvid.plugin.host import Host
from medvid.plugin.specs import Axes, Where

Put = Callable[[Draft, Mapping[str, Any], Size, int], None]
"""Writes blocks (see `blocks_for`), a size and a batch into a draft."""


def fit(
    draft: Draft,
    request: Request,
    host: Host,
    overrides: Sequence[str],
    put: Put,
    *,
    axes: Axes,
    where: Where,
    first: Sequence[float],
    whole: Sequence[float],
    cap: int,
    share: float = 1.0,
) -> Sized:
    """Write the first pair of backbone and head that goes together, with the largest size and batch that fit.

    Args:
        draft: the task, complete but for these.
        request: what was asked.
        host: has the components.
        overrides: what the user sets on top.
        put: writes them.
        axes: of the data.
        where: they are annotated.
        first: the size to begin with.
        whole: of the median case.
        cap: the most examples.
        share: of the first size that is enough.

    Raises:
        ConfigError: the backbone takes no such inputs, or no head goes with it.
        ResourceError: nothing fits into the memory.
    """
    problem: ConfigError | None = None
    for blocks, source in blocks_for(request.backbone, axes, where, host):

        def make(size: Size, batch: int, blocks: Mapping[str, Any] = blocks) -> CheckedTask:
            trial = copy.deepcopy(draft)
            put(trial, blocks, size, batch)
            return checked(trial, host, overrides)

        try:
            sized = largest(make, first, whole, request.memory, cap, share)
        except ConfigError as error:
            problem = problem or error
            continue
        put(draft, blocks, sized.size, sized.batch)
        draft.reasons["backbone",] = f"options {source}; sizes are those of the inputs"
        draft.reasons["train", "batch_size"] = f"as many as the memory holds, at most {cap} here"
        suit_rate(draft, request.steps, sized.width)
        return sized
    raise problem or ConfigError(f"no head predicts {where}s from what {request.backbone} has", hint="platform matrix")


def memory_in_words(sized: Sized, request: Request) -> str:
    """What a step takes, for the comment at a size."""
    return f"a step takes {sized.footprint.training / 1e9:.1f} of {request.memory:g} GB"
