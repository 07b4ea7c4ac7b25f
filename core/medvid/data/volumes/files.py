"""The files of a case, and the case and channel in their names, as in nnU-Net."""

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

from medvid.data.listing import identity
from medvid.errors import DataError
from medvid.sentences import listed

_NUMBERED = re.compile(r"(.+)_([0-9]{4})")


@dataclass(frozen=True, slots=True)
class CaseFiles:
    """The files of one case.

    Args:
        id: name of the case, unique in its data set and usable as a file name.
        images: one file per channel, or a single one with all channels.
        label: the label map, or a folder with a file for each structure; None for a case without one.
        patient: whose it is; empty where nothing says so.
        groups: words for what it is one of, as ED, for which there are figures of their own.
        drawn: names of the labels that were drawn in it, as its list of cases gives them; None: it says nothing.
    """

    id: str
    images: tuple[Path, ...]
    label: Path | None = None
    patient: str = ""
    groups: tuple[str, ...] = ()
    drawn: tuple[str, ...] | None = None


def channel_of(name: str) -> tuple[str, int] | None:
    """Case and channel in nnU-Net's names, ``CASE_0001`` without ending; None for other names."""
    match = _NUMBERED.fullmatch(name)
    return (match[1], int(match[2])) if match else None


def check_distinct(cases: Sequence[CaseFiles], where: str) -> None:
    """Refuse a file that is an image of two cases, or both an image and a label map: cases would count twice.

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
        raise DataError(f"{where} has files that are both images and label maps: {listed(both)}")
