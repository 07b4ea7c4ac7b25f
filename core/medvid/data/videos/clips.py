"""Clips of a data set: file and class of each by its id, for millions of them in little memory."""

import os
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from medvid.data.names import Names, NameTable

_UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Clip:
    """A video of the data set.

    Args:
        path: its file, or the folder of its frames.
        label: id of its class; None if unknown.
        part: of a folder: place of the first frame, from 0, and number of frames; None: all.
    """

    path: str
    label: int | None = None
    part: tuple[int, int] | None = None


class Clips(Mapping[str, Clip]):
    """Clips by their ids, in the order in which they were added.

    An id is the path of the file in the data set's folder, or the full path without the first ``/`` elsewhere; paths
    that are written in another way are kept besides.

    Args:
        root: the data set's folder.
        clips: the first ones.
    """

    def __init__(self, root: Path, clips: Mapping[str, Clip] | None = None) -> None:
        self._root = f"{root}{os.sep}"
        self.ids = NameTable()
        self._labels = array("q")
        self._outside = bytearray()
        self._paths: dict[int, str] = {}
        self._parts: dict[int, tuple[int, int]] = {}
        for case, clip in (clips or {}).items():
            self.put(self.add(case), case, clip)

    def add(self, case: str) -> int:
        """The number of the clip with an id, which is a new one, without a class, if it was not there."""
        place = self.ids.add(case)
        if place == len(self._labels):
            self._labels.append(_UNKNOWN)
            self._outside.append(False)
        return place

    def put(self, place: int, case: str, clip: Clip) -> None:
        """Say which clip has a number and an id."""
        self._labels[place] = _UNKNOWN if clip.label is None else clip.label
        self._outside[place] = outside = not clip.path.startswith(self._root)
        if (os.sep if outside else self._root) + case != clip.path:
            self._paths[place] = clip.path
        elif self._paths:
            self._paths.pop(place, None)
        if clip.part is not None:
            self._parts[place] = clip.part

    def at(self, place: int) -> Clip:
        """The clip with a number."""
        return Clip(self.path(place), self.label(place), self.part(place))

    def path(self, place: int) -> str:
        """The file of the clip with a number."""
        kept = self._paths.get(place) if self._paths else None
        return kept or (os.sep if self._outside[place] else self._root) + self.ids[place]

    def label(self, place: int) -> int | None:
        """The class of the clip with a number; None if unknown."""
        label = self._labels[place]
        return None if label == _UNKNOWN else label

    def part(self, place: int) -> tuple[int, int] | None:
        """The part of the clip with a number, see `Clip`."""
        return self._parts.get(place) if self._parts else None

    def has_file(self, path: Path) -> bool:
        """Whether a file is one of the clips'."""
        written = str(path)
        case = normalize("NFC", written.removeprefix(self._root).lstrip("/").replace(os.sep, "/"))
        place = self.ids.find(case)
        return place is not None and self.path(place) == written

    def places(self, cases: Sequence[str]) -> Sequence[int]:
        """The numbers of clips, which have to exist."""
        if isinstance(cases, Names) and cases.table is self.ids:
            return cases.places
        return array("i", (self._place(case) for case in cases))

    def labels(self, cases: Sequence[str] | None = None) -> set[int | None]:
        """The different classes of some clips; default: of all."""
        places = range(len(self)) if cases is None else self.places(cases)
        return {self.label(place) for place in places}

    def __getitem__(self, case: str) -> Clip:
        return self.at(self._place(case))

    def __contains__(self, case: object) -> bool:
        return case in self.ids

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def _place(self, case: str) -> int:
        if (place := self.ids.find(case)) is None:
            raise KeyError(case)
        return place
