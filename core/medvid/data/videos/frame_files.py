"""What is a video besides the files of FFmpeg: folders of numbered pictures, and DICOM files."""

import os
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from string import Formatter

from pydantic import NonNegativeInt, PositiveFloat, field_validator

from medvid.config.options import Options
from medvid.errors import ConfigError, DataError
from medvid.sentences import listed

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")
"""Endings of files that can be a frame each."""
FILMS = (".dcm", ".dicom", ".ima")
"""Endings of DICOM files."""

_PREAMBLE = 128
_NUMBERED = re.compile(rf"(.*?)(\d+)({'|'.join(map(re.escape, PICTURES))})", re.IGNORECASE)
_FLOW = re.compile(r"(flow_?)?[xy]_?|(flow|u|v|disparity|depth|mask)_", re.IGNORECASE)
"""What files of optical flow, and others that lie beside frames, are called in front of the number."""
_PERCENT = re.compile(r"%0?\d*d")


class FrameFileOptions(Options):
    """How videos are read whose frames are files of their own in a folder, or which do not say when they are shown."""

    template: str | None = None
    """Name of the frames, with a place for the number: `img_{:05}.jpg`, or `img_%05d.jpg`; default: found out, where
    a folder has pictures of one kind of name, besides optical flow (flow_x_00001.jpg)."""
    start: NonNegativeInt | None = None
    """Number of the first frame; default: the lowest there is."""
    rate: PositiveFloat | None = None
    """Frames per second. Folders need it; of DICOM files it is for those alone that say neither times nor a rate."""

    @field_validator("template")
    @classmethod
    def _has_one_number(cls, template: str | None) -> str | None:
        if template is not None:
            name_pattern(template)
        return template


def name_pattern(template: str) -> re.Pattern[str]:
    """The names that a template stands for, with the number as the only group.

    Raises:
        ValueError: it has not exactly one place for a number, or names a folder.
    """
    try:
        fields = list(Formatter().parse(_PERCENT.sub("{}", template)))
    except ValueError as error:
        raise ValueError(f"{template!r}: {error}") from None
    numbers = [f"{name}:{spec}" for _, name, spec, _ in fields if name is not None]
    if len(numbers) != 1 or not re.fullmatch(r"0?:\d*d?", numbers[0]):
        raise ValueError(f"{template!r} needs one place for the number of a frame, as img_{{:05}}.jpg has")
    if "/" in template:
        raise ValueError(f"{template!r} is the name of files in the folder of a video: it has no folder in it")
    return re.compile("".join(re.escape(text) + (r"(\d+)" if name is not None else "") for text, name, _, _ in fields))


def is_frame_folder(folder: Path, others: Sequence[str] = ()) -> bool:
    """Whether a folder holds several numbered pictures.

    Args:
        folder: that is looked at, without the folders in it.
        others: endings of files beside which pictures are not frames, such as those of videos.
    """
    names = _names(folder)
    return sum(map(is_frame, names)) > 1 and not any(name.lower().endswith(tuple(others)) for name in names)


def rate_of(folder: Path, options: FrameFileOptions) -> float:
    """Frames per second of a folder of frames.

    Raises:
        ConfigError: the options do not say it.
    """
    if options.rate is None:
        raise ConfigError(
            f"dataset.frame_files.rate is not set, and nothing else says how many frames of {folder} a second has",
            hint="set it to the rate at which they were extracted: --set dataset.frame_files.rate=25",
        )
    return options.rate


def is_frame(name: str) -> bool:
    """Whether a file's name is one of a numbered picture."""
    return not name.startswith(".") and _NUMBERED.fullmatch(name) is not None


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM, by its first bytes, or by its name where it lacks these, as old files do."""
    if not path.is_file():  # a pipe would be waited for
        return False
    try:
        with path.open("rb") as file:
            head = file.read(_PREAMBLE + 4)
    except OSError:
        return False
    return head[_PREAMBLE:] == b"DICM" or (path.suffix.lower() in FILMS and not head.isascii())


def frames_in(folder: Path, options: FrameFileOptions) -> tuple[Sequence[str], Sequence[str]]:
    """Names of the frames of a folder, in their order, and notes on what is assumed.

    Raises:
        DataError: there are none, some are missing or there twice, or it is not clear which pictures they are.
    """
    return _frames_in(folder, folder.stat().st_mtime_ns, options)


@lru_cache(maxsize=64)
def _frames_in(folder: Path, _: int, options: FrameFileOptions) -> tuple[Sequence[str], Sequence[str]]:
    """Remembered while nothing is added or removed: a long video is a hundred thousand files."""
    names = sorted(name for name in _names(folder) if not name.startswith("."))
    notes: list[str] = []
    if options.template is not None:
        pattern = name_pattern(options.template)
        numbered = _by_number((name, match[1]) for name in names if (match := pattern.fullmatch(name)))
        if not numbered:
            raise DataError(f"no file in it is called {options.template}", hint="set dataset.frame_files.template")
    else:
        template, numbered = _only_kind(names)
        notes.append(f"is a folder of frames called {template}, judging by their names")
    if options.start is not None:
        numbered = {number: name for number, name in numbered.items() if number >= options.start}
        if options.start not in numbered:
            raise DataError(
                f"it has no frame {options.start}, which is to be the first", hint="set dataset.frame_files.start"
            )
    step = _step(sorted(numbered))
    if step > 1:
        notes.append(f"has every {step}th number only: its frames are taken for neighbours, at the rate that is set")
    return tuple(numbered[number] for number in sorted(numbered)), tuple(notes)


def _only_kind(names: Sequence[str]) -> tuple[str, dict[int, str]]:
    """The frames where no template is given, and what they are called."""
    kinds: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for name in names:
        if match := _NUMBERED.fullmatch(name):
            kinds.setdefault((match[1], match[3]), []).append((name, match[2]))
    pictures = {kind: found for kind, found in kinds.items() if not _FLOW.fullmatch(kind[0])} or kinds
    if not pictures:
        raise DataError(f"it is a folder that holds no numbered pictures ({', '.join(PICTURES)})")
    called = {kind: _template(*kind, found[0][1]) for kind, found in pictures.items()}
    if len(pictures) > 1:
        raise DataError(
            f"it holds pictures of several kinds of name: {listed(sorted(called.values()))}",
            hint="say which are the frames: --set 'dataset.frame_files.template=img_{:05}.jpg'",
        )
    [(kind, found)] = pictures.items()
    return called[kind], _by_number(found)


def _template(before: str, after: str, number: str) -> str:
    width = f"0{len(number)}" if len(number) > 1 and number.startswith("0") else ""
    return f"{before}{{{f':{width}' if width else ''}}}{after}"


def _by_number(found: Iterable[tuple[str, str]]) -> dict[int, str]:
    numbered: dict[int, str] = {}
    for name, number in found:
        other = numbered.setdefault(int(number), name)
        if other != name:
            raise DataError(f"{other} and {name} are both its frame {int(number)}", hint="remove one of them")
    return numbered


def _step(numbers: Sequence[int]) -> int:
    """The distance of neighbouring numbers, which has to be the same for all."""
    if len(numbers) < 2:
        return 1
    steps = [after - before for before, after in pairwise(numbers)]
    step = min(steps)
    if any(wide % step for wide in steps):
        raise DataError(
            f"the numbers of its frames are not evenly spaced: they are {step} to {max(steps)} apart",
            hint="number the frames in the order of time, at a constant rate; or make a video file of them",
        )
    if missing := sum(wide // step - 1 for wide in steps):
        raise DataError(
            f"frames are missing in its numbering, {missing} in all: {_shown(numbers, steps, step)}",
            hint="restore them: frames after a gap would be shown too early",
        )
    return step


def _shown(numbers: Sequence[int], steps: Sequence[int], step: int) -> str:
    """The gaps between numbers, the first ten of them: ``3, 6 to 9``."""
    gaps = [
        (number + step, number + wide - step) for number, wide in zip(numbers[:-1], steps, strict=True) if wide > step
    ]
    return listed([f"{first}" if first == last else f"{first} to {last}" for first, last in gaps])


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 (a hundred thousand names, not paths)
    except OSError as error:
        raise DataError(f"the folder {folder} cannot be read: {error.strerror}") from error
