"""Frames that make a volume: by series, by plane, and by what tells frames at the same place apart."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import combinations

import numpy as np

from medvid.data.volumes.formats.format import UnusableError
from medvid.sentences import in_lines, listed
from medvid_dicom.frames import Frame

Choice = str | Mapping[str, str | int | float]
"""Which stack of a folder is read: "" for its only one, "largest", a SeriesInstanceUID or a pattern of
SeriesDescription, or values (or patterns) of any attributes: ``{SeriesNumber: 3, AcquisitionNumber: 2}``."""

_APART = (
    "AcquisitionNumber", "TemporalPositionIdentifier", "TemporalPositionIndex", "EchoNumbers", "EchoTime",
    "EffectiveEchoTime", "DiffusionBValue", "DiffusionGradientOrientation", "InversionTime", "TriggerTime",
    "NominalCardiacTriggerDelayTime", "ImageType", "FrameType", "StackID", "AcquisitionTime",
)  # fmt: skip
"""What may differ between frames at the same place, in the order in which it is tried."""

_SAME_PLANE = 1e-3  # of directions, and of pixel spacing in mm
_SAME_PLACE = 1e-3  # mm


@dataclass(frozen=True, slots=True)
class Stack:
    """Parallel frames of one series.

    Args:
        frames: in any order.
        apart: attributes that tell it from others of the same series and plane.
    """

    frames: tuple[Frame, ...]
    apart: tuple[str, ...] = ()

    @property
    def series(self) -> str:
        """Its SeriesInstanceUID."""
        return str(self.frames[0].get("SeriesInstanceUID", ""))

    def __str__(self) -> str:
        """For messages; without the SeriesInstanceUID, which could lead back to the patient."""
        first = self.frames[0]
        words = [
            f"{name} {_text(first, name)}"
            for name in ("SeriesNumber", "SeriesDescription", *self.apart)
            if first.get(name) is not None
        ]
        rows, columns = first.shape
        return f"{', '.join(words) or 'a series'}: {len(self.frames)} of {rows} x {columns}"

    def fits(self, choice: Choice) -> bool:
        """Whether it is, or may be, what was chosen."""
        if isinstance(choice, str):
            description = str(self.frames[0].get("SeriesDescription", ""))
            return choice in {"", "largest", self.series} or fnmatchcase(description.lower(), choice.lower())
        return all(fnmatchcase(_text(self.frames[0], name), str(value)) for name, value in choice.items())


def find_stacks(frames: Iterable[Frame]) -> tuple[Stack, ...]:
    """Divide frames that say where they lie into stacks; frames at one place go apart where attributes differ."""
    series: dict[str, list[Frame]] = {}
    for frame in frames:
        series.setdefault(str(frame.get("SeriesInstanceUID", "")), []).append(frame)
    return tuple(
        part for members in series.values() for plane in _planes(members) for part in _told_apart(Stack(tuple(plane)))
    )


def choose(stacks: Sequence[Stack], choice: Choice) -> tuple[Stack, tuple[str, ...]]:
    """The chosen stack, and a note on those that are left out.

    Localisers are left out, and single images of a series that has a stack, unless they were asked for.

    Raises:
        UnusableError: none or several fit.
    """
    found = [stack for stack in stacks if stack.fits(choice)]
    if choice == "largest":
        found = [max(found, key=lambda stack: len(stack.frames))]
    fitting = [stack for stack in found if not _is_aside(stack, found)] or found
    if not fitting:
        raise UnusableError(f"has no series {choice}, but{in_lines(_told_by_name(stacks))}")
    if len(fitting) > 1:
        raise UnusableError(
            f"has {len(fitting)} series or volumes:{in_lines(_told_by_name(fitting))}",
            'choose one, e.g. dataset.format: {name: dicom, series: "T1*"}; a SeriesInstanceUID, attributes '
            "({AcquisitionNumber: 2}) and largest will do too",
        )
    left = [str(stack) for stack in stacks if stack is not fitting[0]]
    return fitting[0], (f"has other series, which are left out: {listed(left)}",) if left else ()


def _told_by_name(stacks: Sequence[Stack]) -> list[str]:
    """Stacks for a list, with the SeriesInstanceUID of those that nothing else tells apart."""
    names = [str(stack) for stack in stacks]
    return [
        f"{stack.series}, {name}" if names.count(name) > 1 else name for stack, name in zip(stacks, names, strict=True)
    ]


def _is_aside(stack: Stack, others: Sequence[Stack]) -> bool:
    same = [other for other in others if other.series == stack.series]
    if "LOCALIZER" in _text(stack.frames[0], "ImageType"):
        return len(others) > 1
    return len(stack.frames) == 1 and max(len(other.frames) for other in same) > 1


def _planes(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Frames of equal size, directions and spacing; values that differ by their rounding alone count as equal."""
    groups: list[tuple[tuple[int, int], np.ndarray, list[Frame]]] = []
    for frame in frames:
        plane = np.concatenate([frame.directions.ravel(), frame.spacing])
        for shape, known, members in groups:
            if shape == frame.shape and np.abs(known - plane).max() <= _SAME_PLANE:
                members.append(frame)
                break
        else:
            groups.append((frame.shape, plane, [frame]))
    return [members for _, _, members in groups]


def _told_apart(stack: Stack) -> Sequence[Stack]:
    """The stack itself, or the fewest parts of it in which no place occurs twice."""
    if not _has_twice(stack.frames):
        return (stack,)
    varying = [name for name in _APART if len({_text(frame, name) for frame in stack.frames}) > 1]
    choices = [(name,) for name in varying] + list(combinations(varying, 2))
    divided = [parts for names in choices if (parts := _divide(stack, names))]
    return min(divided, key=len, default=(stack,))


def _divide(stack: Stack, names: tuple[str, ...]) -> tuple[Stack, ...]:
    """Parts that are equal in some attributes; none if a place still occurs twice in one."""
    parts: dict[tuple[str, ...], list[Frame]] = {}
    for frame in stack.frames:
        parts.setdefault(tuple(_text(frame, name) for name in names), []).append(frame)
    if any(_has_twice(part) for part in parts.values()):
        return ()
    return tuple(Stack(tuple(parts[key]), names) for key in sorted(parts))


def _has_twice(frames: Sequence[Frame]) -> bool:
    along = np.sort([frame.position @ frames[0].normal for frame in frames])
    return bool((np.diff(along) <= _SAME_PLACE).any())


def _text(frame: Frame, name: str) -> str:
    value = frame.get(name)
    return "\\".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)
