"""The NIfTI files of a case, and what their names say: case, and channel as in nnU-Net. Imports nothing heavy."""

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

from medvid.data.listing import identity, listed
from medvid.errors import DataError

SUFFIXES = (".nii.gz", ".nii")

_NUMBERED = re.compile(r"(.+)_([0-9]{4})")


@dataclass(frozen=True, slots=True)
class CaseFiles:
    """The files of one case.

    Args:
        id: name of the case, unique in its data set and usable as a file name.
        images: one file per channel, or a single one with all channels.
        label: the label map; None where the case has none.
    """

    id: str
    images: tuple[Path, ...]
    label: Path | None = None


def is_volume(path: Path) -> bool:
    """Whether a file is named as NIfTI, in whatever capitals."""
    return path.name.lower().endswith(SUFFIXES)


def stem(path: Path) -> str:
    """A file's name without the ending of NIfTI."""
    lower = path.name.lower()
    suffix = next((suffix for suffix in SUFFIXES if lower.endswith(suffix)), "")
    return path.name[: len(path.name) - len(suffix)]


def ending(path: Path) -> str:
    """The ending of NIfTI, as the file has it."""
    return path.name[len(stem(path)) :]


def channel_of(name: str) -> tuple[str, int] | None:
    """Case and channel in nnU-Net's names, ``CASE_0001`` without ending; None for other names."""
    match = _NUMBERED.fullmatch(name)
    return (match[1], int(match[2])) if match else None


def case_name(path: Path) -> str:
    """Name of the case whose first file this is: without its ending and nnU-Net's ``_0000``."""
    return stem(path).removesuffix("_0000")


def check_distinct(cases: Sequence[CaseFiles], where: str) -> None:
    """Refuse a file that is an image of two cases, or image and label map at once: cases would count twice.

    Args:
        cases: all of them.
        where: the folder or list that has them.

    Raises:
        DataError: naming the files.
    """
    images: dict[Hashable, list[str]] = {}
    for case in cases:
        for image in case.images:
            images.setdefault(identity(image), []).append(image.name)
    if twice := [" and ".join(dict.fromkeys(names)) for names in images.values() if len(names) > 1]:
        raise DataError(f"{where} has images twice, or links to them: {listed(twice)}", hint="keep one of each")
    labels = [case.label for case in cases if case.label is not None]
    if both := [label.name for label in labels if identity(label) in images]:
        raise DataError(f"{where} has files that are images and label maps at once: {listed(both)}")
