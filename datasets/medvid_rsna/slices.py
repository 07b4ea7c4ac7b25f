"""Single DICOM slices in one folder, grouped into series by what their headers say."""

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medvid.data.problems import raise_together
from medvid.digests import digest_of
from medvid.errors import DataError
from medvid.files import make_folder, read_json, write_json
from medvid.machine import usable_cores

_TAGS = ("SeriesInstanceUID", "PatientID", "ImagePositionPatient", "ImageOrientationPatient")
_INSTALL = 'pip install "medvid[dicom]"'
_REMEDY = "download it again, remove it, or name it in dataset.leave_out"


@dataclass(frozen=True, slots=True)
class Slice:
    """A file.

    Args:
        path: the file.
        series: its SeriesInstanceUID.
        patient: its PatientID; may be empty.
        position: along the normal of its plane that points to the head, in mm.
    """

    path: Path
    series: str
    patient: str
    position: float


def read_slice(path: Path) -> Slice:
    """Read where a slice belongs from its header.

    Raises:
        DataError: it is not DICOM, not an axial slice, or its header does not say where it belongs; pydicom is missing.
    """
    try:
        import pydicom
    except ImportError:
        raise DataError(f"{path} is read by pydicom, which is not installed", hint=_INSTALL) from None
    try:
        with warnings.catch_warnings():  # of values that break DICOM's rules, as UIDs without numbers do
            warnings.simplefilter("ignore")
            tags = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))
            missing = [name for name in ("SeriesInstanceUID", *_TAGS[2:]) if not tags.get(name)]
            if missing:
                raise DataError(f"{path} has no {missing[0]}", hint=_REMEDY)
            position = _position(path, [*map(float, tags[_TAGS[2]].value)], [*map(float, tags[_TAGS[3]].value)])
            return Slice(path, str(tags.SeriesInstanceUID), str(tags.get("PatientID") or ""), position)
    except (DataError, MemoryError):
        raise
    except pydicom.errors.InvalidDicomError:
        raise DataError(f"{path} is not a DICOM slice", hint=_REMEDY) from None
    except Exception as error:  # of a parser that meets bytes of any kind
        raise DataError(f"{path} is damaged: {error}", hint=_REMEDY) from None


def group(slices: Iterable[Slice]) -> dict[str, tuple[Slice, ...]]:
    """The slices of each series, from the feet to the head; names of files decide where positions are equal."""
    series: dict[str, list[Slice]] = defaultdict(list)
    for one in slices:
        series[one.series].append(one)
    return {
        uid: tuple(sorted(members, key=lambda one: (one.position, one.path.name)))
        for uid, members in sorted(series.items())
    }


class SliceHeaders:
    """The headers of a data set's files, read once and then kept in the cache: there are hundreds of thousands.

    Args:
        cache: its folder.
        root: the data set's folder.
    """

    def __init__(self, cache: Path, root: Path) -> None:
        self._path = cache.expanduser() / "headers" / f"{digest_of(str(root.resolve()).encode(), 8)}.json"
        self._root = root

    def read(self, paths: Sequence[Path]) -> list[Slice]:
        """The slices of files; a file is read again once its size or time changes.

        Raises:
            DataError: of all files that are not slices.
        """
        kept = read_json(self._path).get("slices", {})
        states = {path: [(state := path.stat()).st_size, state.st_mtime_ns] for path in paths}
        names = {path: str(path.relative_to(self._root)) for path in paths}
        new = [path for path in paths if kept.get(names[path], [None, None])[:2] != states[path]]
        if new:
            for path, one in zip(new, _read_all(new, read_slice), strict=True):
                kept[names[path]] = [*states[path], one.series, one.patient, one.position]
            make_folder(self._path.parent)
            write_json(self._path, {"slices": kept})
        return [Slice(path, *kept[names[path]][2:]) for path in paths]


def _read_all(paths: Sequence[Path], read: Callable[[Path], Any]) -> list[Any]:
    def attempt(path: Path) -> Any:
        try:
            return read(path)
        except DataError as error:
            return error

    with ThreadPoolExecutor(usable_cores() + 4) as pool:  # they wait for the disk
        found = [*pool.map(attempt, paths)]
    raise_together([one for one in found if isinstance(one, DataError)], "files cannot be used")
    return found


def _position(path: Path, place: Sequence[float], directions: Sequence[float]) -> float:
    """Of a plane (LPS) along its normal, which has to point to the head or the feet rather than elsewhere."""
    if len(place) != 3 or len(directions) != 6:
        raise DataError(f"{path} does not say where it lies", hint=_REMEDY)
    (a, b, c), (d, e, f) = directions[:3], directions[3:]
    normal = (b * f - c * e, c * d - a * f, a * e - b * d)
    if abs(normal[2]) <= max(abs(normal[0]), abs(normal[1])):
        raise DataError(f"{path} is not an axial slice", hint=_REMEDY)
    along = sum(one * other for one, other in zip(place, normal, strict=True))
    return along if normal[2] > 0 else -along
