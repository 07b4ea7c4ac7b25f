"""The largest input, and then the largest batch, that a model trains on in a given memory.

The model is gone through on tensors without memory (`medvid.training.footprint`), so it needs none of its own kind:
whatever a backbone and a head can be built for, can be sized.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from medvid.config.checked import CheckedTask
from medvid.errors import ConfigError, ResourceError
from medvid.models.build import build_model
from medvid.training.device import make_fabric
from medvid.training.footprint import Footprint, estimate, gibibytes

SHARE = 0.9
"""Of the memory: allocators lose some to rounding and gaps, and kernels need workspaces."""
_DIVISORS = (1, 2, 4, 8, 16, 32, 64)
_MOST_TRIES = 12

Size = tuple[int, ...]
Make = Callable[[Size, int], CheckedTask]
"""The task for a size of inputs and a number of examples; ConfigError where the model cannot take the size."""


@dataclass(frozen=True, slots=True)
class Sized:
    """What fits.

    Args:
        size: of inputs.
        batch: examples.
        footprint: memory of a step.
        divisors: of the size that the model asks for.
        width: the most channels that the backbone's features have.
    """

    size: Size
    batch: int
    footprint: Footprint
    divisors: Size
    width: int


def largest(
    make: Make,
    first: Sequence[float],
    whole: Sequence[float],
    memory: float,
    cap: int,
    share: float = 1.0,
    least: int = 2,
) -> Sized:
    """Begin with a size and cut the axis that covers most of a case until `least` examples fit; then fill the memory.

    Args:
        make: the task for a size and batch.
        first: the size to begin with.
        whole: of the median case.
        memory: GB.
        cap: the most examples.
        share: of the first size that is enough.
        least: the fewest examples.

    Raises:
        ConfigError: the model takes no size near the first one.
        ResourceError: not even its smallest size fits.
    """
    budget = int(memory * 1e9 * SHARE)
    divisors, size = _divisors(make, first)
    if share < 1:
        size = _smaller(make, size, whole, divisors, share)
    for _ in range(_MOST_TRIES):
        footprint, width = _measured(make(size, least))
        if footprint.training <= budget:
            batch, footprint = _filled(make, size, least, cap, footprint, budget)
            return Sized(size, batch, footprint, divisors, width)
        size = _smaller(make, size, whole, divisors, (budget - footprint.held) / (footprint.training - footprint.held))
    raise _nothing_fits(footprint, memory)


def _divisors(make: Make, first: Sequence[float]) -> tuple[Size, Size]:
    """The smallest power of two of each axis to which a size can be rounded, and the first size so rounded."""
    problem: ConfigError | None = None
    for divisor in _DIVISORS:
        size = _rounded(first, (divisor,) * len(first))
        try:
            make(size, 1)
        except ConfigError as error:
            problem = error
            continue
        return _of_each_axis(make, first, (divisor,) * len(first))
    assert problem is not None
    raise problem


def _of_each_axis(make: Make, first: Sequence[float], divisors: Size) -> tuple[Size, Size]:
    for axis in range(len(divisors)):
        for smaller in [each for each in _DIVISORS if each < divisors[axis]]:
            trial = (*divisors[:axis], smaller, *divisors[axis + 1 :])
            if _is_taken(make, _odd(_rounded(first, trial), axis, smaller)):
                divisors = trial
                break
    return divisors, _rounded(first, divisors)


def _odd(size: Size, axis: int, divisor: int) -> Size:
    """The same size with an odd multiple of the divisor on one axis, which no larger divisor would allow."""
    times = size[axis] // divisor
    return (*size[:axis], divisor * (times + 1 - times % 2), *size[axis + 1 :])


def _is_taken(make: Make, size: Size) -> bool:
    try:
        make(size, 1)
    except ConfigError:
        return False
    return True


def _rounded(size: Sequence[float], divisors: Size) -> Size:
    return tuple(max(1, math.ceil(length / each)) * each for length, each in zip(size, divisors, strict=True))


def _smaller(make: Make, size: Size, whole: Sequence[float], divisors: Size, share: float) -> Size:
    """The first smaller size that the model takes and that has at most a share of the voxels."""
    goal = math.prod(size) * max(share, 0.05)
    for trial in _cuts(size, whole, divisors):
        if math.prod(trial) <= goal and _is_taken(make, trial):
            return trial
        size = trial
    return size


def _cuts(size: Size, whole: Sequence[float], divisors: Size) -> Iterator[Size]:
    while True:
        axes = [axis for axis in range(len(size)) if size[axis] > divisors[axis]]
        if not axes:
            return
        axis = max(axes, key=lambda each: size[each] / whole[each])
        size = (*size[:axis], size[axis] - divisors[axis], *size[axis + 1 :])
        yield size


def _filled(make: Make, size: Size, least: int, cap: int, footprint: Footprint, budget: int) -> tuple[int, Footprint]:
    """The most examples that fit, each of which takes as much as the first ones."""
    each = (footprint.training - footprint.held) / least
    batch = max(least, min(cap, int((budget - footprint.held) / each)))
    while batch > least:
        larger, _ = _measured(make(size, batch))
        if larger.training <= budget:
            return batch, larger
        batch = max(least, batch - max(1, batch // 8))
    return least, footprint


def _measured(checked: CheckedTask) -> tuple[Footprint, int]:
    """The memory of a step, and the width of the backbone."""
    # As on a GPU, whether or not there is one here: what autocast keeps in half precision counts half.
    options = checked.task.train.model_copy(update={"accelerator": "cpu", "precision": "bf16", "devices": 1})
    model = build_model(checked)
    found = estimate(checked, model, make_fabric(options))
    if found is None:
        raise ConfigError(
            f"the memory of {checked.task.backbone.name} cannot be counted, as it reads values of its tensors",
            hint="plan for another backbone, and change its name and size in the plan",
        )
    info = model.backbone.feature_info
    return found, max(info.embedding or 0, *(each.channels for each in info.maps), 1)


def _nothing_fits(footprint: Footprint, memory: float) -> ResourceError:
    return ResourceError(
        f"a training step takes {gibibytes(footprint.training)} at the smallest size, more than {SHARE:.0%} of the "
        f"{memory:g} GB that were asked for",
        hint="plan for more memory, or for a smaller backbone",
    )
