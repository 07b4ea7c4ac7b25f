"""Which axes an evaluation mirrors its inputs along, and whether the training prepared the model for that."""

import re
from collections.abc import Mapping, Sequence

from medvid.config.components import transforms_in
from medvid.config.evaluation import EvaluationOptions
from medvid.config.task import Task
from medvid.errors import ConfigError
from medvid.plugin.info import InputInfo, TargetInfo
from medvid.plugin.specs import Axes
from medvid.sentences import listed

SPATIAL: Mapping[Axes, str] = {"image": "HW", "volume": "RAS", "video": "HW"}
"""The last axes of an input: rows (H) and columns (W) of images and frames; right, anterior, superior of volumes."""
SIDES: Mapping[Axes, str] = {"image": "W", "volume": "R", "video": "W"}
"""The axis from one side of the body to the other, as far as one can know."""

_SIDE = re.compile(r"(?<![a-z])(left|right|l|r)(?![a-z])")
_OTHER = {"left": "right", "right": "left", "l": "r", "r": "l"}


def mirrored_in_training(task: Task) -> tuple[str, ...]:
    """The axes along which the transforms of the training mirror examples."""
    found = {axis for options in transforms_in(task.dataset) for axis in options.mirrored_axes()}
    return tuple(axis for axis in "RASHW" if axis in found)


def with_mirrored_axes(task: Task, given: InputInfo, target: TargetInfo) -> tuple[Task, tuple[str, ...]]:
    """The task with the mirrored axes of its evaluation named, and what has to be said of them.

    Args:
        task: resolved.
        given: the inputs.
        target: what is predicted.

    Raises:
        ConfigError: inputs have no such axis; or labels tell sides apart that only the evaluation swaps.
    """
    asked = getattr(task.evaluation, "mirror", ())
    trained = mirrored_in_training(task)
    axes = trained if asked == "trained" else tuple(asked)
    _check_axes(axes, given, target)
    untrained = [axis for axis in axes if axis not in trained]
    side, sided = SIDES[given.axes], _names_with_sides(target.names)
    if side in untrained and sided:
        raise ConfigError(
            f"evaluation.mirror has {side}, which swaps left and right, but dataset.augment mirrors nothing along it: "
            f"the model has not learnt which is which in mirrored inputs: {listed(sided, 4)}",
            hint=f"leave {side} out of evaluation.mirror, or say evaluation.mirror: trained",
        )
    note = (
        f"evaluation.mirror has {', '.join(untrained)}, but dataset.augment mirrors nothing along it: the model has "
        "not learnt such inputs, and may be worse for them"
    )
    return _with_mirror(task, axes), (note,) if untrained else ()


def _names_with_sides(names: Sequence[str]) -> list[str]:
    """Those of which the other side has a name too."""
    known = {name.casefold() for name in names}

    def swapped(name: str) -> str:
        return _SIDE.sub(lambda found: _OTHER[found[1]], name.casefold())

    return [name for name in names if swapped(name) != name.casefold() and swapped(name) in known]


def _check_axes(axes: tuple[str, ...], given: InputInfo, target: TargetInfo) -> None:
    known, what = SPATIAL[given.axes], f"{given.axes}s"
    if target.where == "frame" and given.axes == "volume":
        known, what = known[:-1], "volumes whose slices have answers, in their order,"
    if wrong := [axis for axis in axes if axis not in known or axes.count(axis) > 1]:
        raise ConfigError(
            f"evaluation.mirror has {', '.join(wrong)}, but {what} are mirrored along each of {', '.join(known)} once "
            "at most",
            hint=f"e.g. evaluation.mirror: [{', '.join(known)}]",
        )


def _with_mirror(task: Task, axes: tuple[str, ...]) -> Task:
    evaluation: EvaluationOptions = task.evaluation
    if getattr(evaluation, "mirror", ()) != "trained":
        return task
    return task.model_copy(update={"evaluation": evaluation.model_copy(update={"mirror": axes})})
