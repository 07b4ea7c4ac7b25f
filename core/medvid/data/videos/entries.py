"""The lines of a list of clips, and what they say, for millions of them in little memory."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, overload

from medvid.data.names import Texts


class Entry(NamedTuple):
    """A line of a list; an empty label is unknown. The part is that of a folder of frames, see `Clip`."""

    line: int
    path: str
    label: str
    part: tuple[int, int] | None = None


class Lines(Sequence[tuple[int, str]]):
    """The lines of a text that are not empty, each with its number, without the spaces around it.

    Args:
        text: of the list.
    """

    def __init__(self, text: str) -> None:
        self._numbers, self._texts = array("q"), Texts()
        for number, line in enumerate(_lines(text), start=1):
            if bare := line.strip():
                self._numbers.append(number)
                self._texts.append(bare)

    def without_first(self) -> "Lines":
        """All lines but the first."""
        rest = Lines("")
        rest._numbers, rest._texts = self._numbers[1:], self._texts
        return rest

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, place: int) -> tuple[int, str]: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[tuple[int, str]]: ...
    def __getitem__(self, place: int | slice) -> tuple[int, str] | Sequence[tuple[int, str]]:
        if isinstance(place, slice):
            return [self[one] for one in range(len(self))[place]]
        first = len(self._texts) - len(self)
        place = range(len(self))[place]
        return self._numbers[place], self._texts[first + place]


class Entries(Sequence[Entry]):
    """The entries of a list.

    Args:
        entries: line, path and label of the first ones.
    """

    def __init__(self, entries: Iterable[tuple[int, str, str]] = ()) -> None:
        self._lines, self._paths = array("q"), Texts()
        self._labels: list[str] = []
        self._parts: dict[int, tuple[int, int]] = {}
        self._known: dict[str, str] = {}  # so that equal labels are kept once
        for entry in entries:
            self.add(*entry)

    @property
    def labels(self) -> set[str]:
        """The different labels."""
        return set(self._known)

    def add(self, line: int, path: str, label: str, part: tuple[int, int] | None = None) -> None:
        """Add what a line says."""
        if part is not None:
            self._parts[len(self._lines)] = part
        self._lines.append(line)
        self._paths.append(path)
        self._labels.append(self._known.setdefault(label, label))

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, place: int) -> Entry: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Entry]: ...
    def __getitem__(self, place: int | slice) -> Entry | Sequence[Entry]:
        if isinstance(place, slice):
            return [self[one] for one in range(len(self))[place]]
        place = range(len(self))[place]
        return Entry(self._lines[place], self._paths[place], self._labels[place], self._parts.get(place))


def _lines(text: str) -> Iterator[str]:
    """As `str.split` at the ends of lines, one at a time."""
    start = 0
    while (end := text.find("\n", start)) >= 0:
        yield text[start:end]
        start = end + 1
    yield text[start:]
