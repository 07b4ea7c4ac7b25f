"""Names of very many cases in little memory: processes that are forked share it, and others get it as a few bytes each.

A tuple of a million paths takes 130 MB, and each loader process that looks at one gets a copy of its page.
"""

from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import overload
from zlib import crc32

_FREE = -1


class Texts(Sequence[str]):
    """Texts in the order in which they were added: 8 bytes for each besides its own."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._ends = array("q", [0])

    def append(self, text: str) -> None:
        """Add one."""
        self._append(_encoded(text))

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, number: int) -> str: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[str]: ...
    def __getitem__(self, number: int | slice) -> str | Sequence[str]:
        if isinstance(number, slice):
            return [self[one] for one in range(len(self))[number]]
        return self._content(range(len(self))[number]).decode(errors="surrogateescape")

    def _append(self, content: bytes) -> None:
        self._text += content
        self._ends.append(len(self._text))

    def _content(self, number: int) -> bytearray:
        return self._text[self._ends[number] : self._ends[number + 1]]


class NameTable(Texts):
    """Different names, by number in the order in which they were added: 16 bytes for each besides its own.

    Args:
        names: the first ones.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        super().__init__()
        self._slots = array("i", [_FREE]) * 16  # open addressing, by CRC-32; at most half of it is taken
        for name in names:
            self.add(name)

    def add(self, name: str) -> int:
        """The number of a name, which is a new one if it was not there."""
        content = _encoded(name)
        slot = self._slot(content)
        if self._slots[slot] != _FREE:
            return self._slots[slot]
        self._slots[slot] = len(self)
        self._append(content)
        if 2 * len(self) > len(self._slots):
            self._grow()
        return len(self) - 1

    def find(self, name: object) -> int | None:
        """The number of a name; None if it is not there."""
        number = self._slots[self._slot(_encoded(name))] if isinstance(name, str) else _FREE
        return None if number == _FREE else number

    def at(self, places: Sequence[int] | None = None) -> "Names":
        """The names with some numbers, in their order; default: all."""
        return Names(self, range(len(self)) if places is None else places)

    def __contains__(self, name: object) -> bool:
        return self.find(name) is not None

    def _slot(self, content: bytes | bytearray) -> int:
        """The slot of a name, or the free one where it would be."""
        slots, last = self._slots, len(self._slots) - 1
        slot = crc32(content) & last
        while slots[slot] != _FREE and self._content(slots[slot]) != content:
            slot = (slot + 1) & last
        return slot

    def _grow(self) -> None:
        self._slots = array("i", [_FREE]) * (2 * len(self._slots))
        for number in range(len(self)):
            self._slots[self._slot(self._content(number))] = number


class Names(Sequence[str]):
    """Some names of a table, in any order; compares equal to other sequences of the same names.

    Args:
        table: has the names.
        places: their numbers, such as a range or an array.
    """

    def __init__(self, table: NameTable, places: Sequence[int]) -> None:
        self.table, self.places = table, places
        self._members: bytearray | None = None

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, number: int) -> str: ...
    @overload
    def __getitem__(self, number: slice) -> "Names": ...
    def __getitem__(self, number: int | slice) -> "str | Names":
        if isinstance(number, slice):
            return Names(self.table, self.places[number])
        return self.table[self.places[number]]

    def __iter__(self) -> Iterator[str]:
        return map(self.table.__getitem__, self.places)

    def __contains__(self, name: object) -> bool:
        if (place := self.table.find(name)) is None:
            return False
        if self._members is None:
            self._members = bytearray(len(self.table))
            for member in self.places:
                self._members[member] = 1
        return place < len(self._members) and bool(self._members[place])

    def __add__(self, other: Sequence[str]) -> tuple[str, ...]:
        return (*self, *other)

    def __radd__(self, other: Sequence[str]) -> tuple[str, ...]:
        return (*other, *self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(one == another for one, another in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{len(self)} names>"


def together(sequences: Iterable[Sequence[str]]) -> Sequence[str]:
    """The names of several sequences, each once; in little memory if that is how they are given."""
    several = tuple(sequences)
    compact = [names for names in several if isinstance(names, Names)]
    if not compact or len(compact) < len(several) or any(names.table is not compact[0].table for names in compact):
        return tuple(dict.fromkeys(name for names in several for name in names))
    places, seen = array("i"), bytearray(len(compact[0].table))
    for names in compact:
        for place in names.places:
            if not seen[place]:
                places.append(place)
                seen[place] = True
    return compact[0].table.at(places)


def members(names: Sequence[str]) -> Collection[str]:
    """The same names, for very many look-ups."""
    return names if isinstance(names, Names) else frozenset(names)


def chosen(names: Sequence[str], keep: Iterable[bool]) -> Sequence[str]:
    """The names of which `keep` says so, in little memory if that is how they are given."""
    if isinstance(names, Names):
        places = array("i", (place for place, kept in zip(names.places, keep, strict=True) if kept))
        return Names(names.table, places)
    return tuple(name for name, kept in zip(names, keep, strict=True) if kept)


def _encoded(name: str) -> bytes:
    return name.encode(errors="surrogateescape")
