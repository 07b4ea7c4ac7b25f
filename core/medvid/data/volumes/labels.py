"""What ids in label maps stand for: exclusive classes, or regions of several ids; and what nobody annotated.

Or that there are no ids, but maps of values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Literal

from medvid.data.listing import name_key
from medvid.plugin.info import TargetInfo
from medvid.plugin.specs import What

BACKGROUND = "background"
IGNORE = "ignore"
"""Name of the id of voxels that nobody annotated, as nnU-Net has it."""

MOST_IDS = 256
"""A label map has one byte per voxel."""
MOST_STRUCTURES = 32
"""Or a bit for each structure that may overlap others."""

_NEEDED = f"2 to {MOST_IDS} different labels are needed, the background first"

Lacking = Literal["absent", "undrawn"]
"""Of a label that the files of a case lack: no voxel has it, or nobody drew it."""

Notation = tuple[str, ...] | dict[str, int | tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class LabelScheme:
    """What the ids in the label maps of a data set stand for.

    Args:
        names: of the classes by id, the background first; or of the regions.
        regions: the ids of each region, which may overlap; empty for classes.
        painted: of each region the id by which a prediction is written into one label map, where later regions
            overwrite earlier ones; empty: each region gets a file of its own.
        ignore: the id of voxels that nobody annotated, one above all others; None: there is none.
        stored: of each id the one that files have in its place, as BraTS had (0, 1, 2, 4); empty: the same.
        overlapping: the names are those of structures that overlap freely, each with a mask of its own: there are no
            ids, and a label map of them has the bits of those that a voxel belongs to.
        partial: some cases may lack some of the labels, see `medvid.plugin.info`.
        lacking: what a label is that the files of a case lack, where they name what they have.
        units: of values that voxels have instead of labels, see `medvid.data.volumes.values`; empty for labels.
    """

    names: tuple[str, ...]
    regions: tuple[tuple[int, ...], ...] = ()
    painted: tuple[int, ...] = ()
    ignore: int | None = None
    stored: tuple[int, ...] = ()
    overlapping: bool = False
    partial: bool = False
    lacking: Lacking = "absent"
    units: tuple[str, ...] = ()

    @property
    def what(self) -> What:
        """What a voxel is annotated with."""
        if self.units:
            return "value"
        return "labels" if self.regions or self.overlapping else "class"

    @property
    def foreground(self) -> tuple[str, ...]:
        """The names of what can be drawn in a case."""
        return self.names[1:] if self.what == "class" else self.names

    @property
    def known(self) -> int:
        """Number of ids that are annotations, from 0."""
        return max(chain.from_iterable(self.regions)) + 1 if self.regions else len(self.names)

    @property
    def ids(self) -> int:
        """Number of ids that may occur, from 0."""
        return self.known + (self.ignore is not None)

    @property
    def names_of_ids(self) -> tuple[str, ...]:
        """Names by id, for files that name structures; empty for regions, whose ids have none, and values."""
        return (*self.names, IGNORE)[: self.ids] if self.what == "class" else ()

    @property
    def notation(self) -> Notation:
        """As a task writes it, but for `painted`; `read_scheme` reads it back."""
        if not self.regions and self.ignore is None:
            return self.names
        ids: Sequence[int | tuple[int, ...]] = self.regions or range(len(self.names))
        named = dict(zip(self.names, ids, strict=True))
        first = {BACKGROUND: 0} if self.regions else {}
        return first | named | ({} if self.ignore is None else {IGNORE: self.ignore})

    def target_info(self) -> TargetInfo:
        """A class per voxel, or the regions or structures that it belongs to; or values, some of which are unknown."""
        if self.units:
            return TargetInfo("voxel", "value", self.names, self.units, has_unknown=True)
        return TargetInfo(
            "voxel",
            self.what,
            self.names,
            has_unknown=self.ignore is not None or self.partial,
            has_partial=self.partial and self.what == "class",
        )

    def ids_of(self, name: str) -> tuple[int, ...]:
        """The ids of a class or region."""
        number = self.names.index(name)
        return self.regions[number] if self.regions else (number,)

    def canonical(self, names: Sequence[str]) -> tuple[str, ...]:
        """Names of labels as they are spelled here, in this order, each once.

        Raises:
            ValueError: one is not that of a label that can be drawn.
        """
        known = {same_label(name): name for name in self.foreground}
        if strange := [name for name in names if same_label(name) not in known]:
            raise ValueError(f"{strange[0]!r} is not one of the labels {', '.join(self.foreground)}")
        given = {known[same_label(name)] for name in names}
        return tuple(name for name in self.foreground if name in given)


def read_scheme(labels: Any, ignore: int | None = None, painted: Sequence[int] = ()) -> LabelScheme:
    """Read labels: a list of names, ``{name: id}`` (nnU-Net 2), ``{"id": name}`` (Decathlon), or regions of ids.

    They are regions if any has several ids, ``{background: 0, whole_tumor: [1, 2, 3], core: [2, 3]}``. A label named
    ``ignore`` with the highest id marks voxels that nobody annotated.

    Args:
        labels: in one of these notations.
        ignore: the id of unannotated voxels, if labels do not name it.
        painted: see `LabelScheme`; only regions have it.

    Raises:
        ValueError: the ids are not 0, 1, 2, ..., there are not 2 to 256 of them, the background is not 0, the id to
            ignore is not the highest, or what is painted are not ids of the regions.
    """
    items = labels.items() if isinstance(labels, Mapping) else ((str(name), n) for n, name in enumerate(labels))
    annotated, ignore = _take_out_ignored([_ids_and_name(key, value) for key, value in items], ignore)
    _check_names([name for _, name in annotated])
    found = _read_regions(annotated, painted) if any(len(ids) > 1 for ids, _ in annotated) else _read_classes(annotated)
    if ignore not in {None, found.known}:
        raise ValueError(
            f"the id to ignore is {ignore}: it has to be one above all others, which would be {found.known}"
        )
    scheme = replace(found, ignore=ignore)
    if not 2 <= scheme.ids <= MOST_IDS:
        raise ValueError(f"{_NEEDED}; got {scheme.ids}")
    return scheme


def read_structures(names: Sequence[str], lacking: Lacking = "absent") -> LabelScheme:
    """Structures that may overlap.

    Raises:
        ValueError: there are none or more than 32, two have the same name, or one cannot be the name of a file.
    """
    different = len({same_label(name) for name in names if name})
    if not len(names) == different in range(1, MOST_STRUCTURES + 1):
        raise ValueError(f"1 to {MOST_STRUCTURES} different names are needed, got {len(names)}: {names[:5]}")
    _check_file_names(names)
    return LabelScheme(tuple(names), overlapping=True, lacking=lacking)


def same_label(name: str) -> str:
    """A key that is equal for two spellings of a label: without capitals, spaces and underscores."""
    return name_key(name).replace("_", " ").replace("-", " ").strip()


_Label = tuple[tuple[int, ...], str]


def _take_out_ignored(pairs: Sequence[_Label], ignore: int | None) -> tuple[list[_Label], int | None]:
    """The other labels, and the id that is ignored, by either of two ways to say it."""
    named = [ids for ids, name in pairs if same_label(name) == IGNORE]
    others = [(ids, name) for ids, name in pairs if same_label(name) != IGNORE]
    if not named:
        return others, ignore
    [*first, last] = named
    if first or len(last) > 1 or ignore not in {None, last[0]}:
        told = [*named, *([(ignore,)] if ignore is not None else [])]
        raise ValueError(f"one id marks voxels that nobody annotated (ignore), got {[*map(list, told)]}")
    return others, last[0]


def _read_classes(pairs: Sequence[_Label]) -> LabelScheme:
    by_id = {ids[0]: name for ids, name in pairs}
    if len(by_id) < len(pairs) or set(by_id) != set(range(len(by_id))):
        ids = sorted(ids[0] for ids, _ in pairs)
        raise ValueError(f"the ids have to be 0, 1, 2, ... without gaps or duplicates, got {ids}")
    names = tuple(by_id[number] for number in range(len(by_id)))
    if misplaced := [number for number, name in enumerate(names) if number and same_label(name) == BACKGROUND]:
        raise ValueError(f"the id of the background has to be 0, but is {misplaced[0]}")
    if len(names) < 2:
        raise ValueError(f"{_NEEDED}; got {len(names)}: {names}")
    return LabelScheme(names)


def _read_regions(pairs: Sequence[_Label], painted: Sequence[int]) -> LabelScheme:
    background = [ids for ids, name in pairs if same_label(name) == BACKGROUND]
    if background != [(0,)]:
        raise ValueError(f"regions need the background with the id 0, got {[*map(list, background)]}")
    regions = [(ids, name) for ids, name in pairs if same_label(name) != BACKGROUND]
    _check_file_names([name for _, name in regions])
    occurring = sorted(set(chain.from_iterable(ids for ids, _ in regions)))
    if occurring != list(range(1, len(occurring) + 1)):
        raise ValueError(f"the ids of regions have to be 1, 2, ... without gaps, got {occurring}")
    if painted and (len(painted) != len(regions) or not set(painted) <= set(occurring)):
        raise ValueError(
            f"regions_class_order has to give each of the {len(regions)} regions one of the ids {occurring}, in the "
            f"order of the labels; got {list(painted)}"
        )
    return LabelScheme(tuple(name for _, name in regions), tuple(ids for ids, _ in regions), tuple(painted))


def _check_file_names(names: Sequence[str]) -> None:
    if odd := [name for name in names if {"/", "\\"} & set(name) or name.startswith(".")]:
        raise ValueError(f"{odd[0]!r} cannot be the name of a region, as files are named after regions")


def _check_names(names: Sequence[str]) -> None:
    if not all(names) or len({same_label(name) for name in names}) < len(names):
        raise ValueError(f"{_NEEDED}; got {len(names)}: {names[:5]}")


def _ids_and_name(key: Any, value: Any) -> _Label:
    if isinstance(value, list | tuple):
        numbers = [_integer(each) for each in value]
        ids = tuple(sorted({number for number in numbers if number is not None}))
        if not ids or None in numbers:
            raise ValueError(f"a region needs a name and a list of integer ids, got {key!r}: {value!r}")
        return ids, str(key)
    if (number := _integer(value)) is not None and not (isinstance(value, str) and _integer(key) is not None):
        return (number,), str(key)
    if (number := _integer(key)) is not None and isinstance(value, str) and _integer(value) is None:
        return (number,), value
    raise ValueError(f"each label needs a name and one integer id, got {key!r}: {value!r}")


def _integer(value: Any) -> int | None:
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
