"""Checks of formats: a small volume, written by the format or its demo, read whole, in part and damaged."""

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self, cast

import numpy as np

from medvid.data.volumes.affines import displacement, is_singular
from medvid.data.volumes.formats.format import Format, Geometry, LabelMap, UnusableError
from medvid.plugin.host import Host
from medvid.plugin.specs import ComponentSpec, Example, FormatSpec
from medvid.testing.check import NotApplicableError, Subject, expect

SHAPE = (5, 4, 3)
CUTS, GARBLED = 12, 24
"""How many truncated files, and files with a random byte changed, are read."""
_HEADER = 400  # bytes in which most of a header lies
_TURN = np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])
OBLIQUE = np.array([*np.column_stack([_TURN * (0.75, 1.5, 2.5), (-11.5, 7.25, 40.0)]), (0, 0, 0, 1)])
"""An affine with axes along none of those of a body."""
GRIDS = (OBLIQUE, np.diag([-0.7, -0.7, 3.0, 1.0]), np.diag([2.0, 1.0, 0.5, 1.0]))
"""Affines of the grids on which label maps are written."""
_DRIFT = 1e-9  # voxels
_ACCURACY = 1e-3  # voxels that an affine may move by being written in decimal digits or as float32


@dataclass(frozen=True)
class FormatSubject(Subject):
    """A format, with a small volume that it has written, or its demo."""

    folder: Path = Path()

    @classmethod
    def make(cls, host: Host, spec: ComponentSpec, example: Example, folder: Path, data: Path | None) -> Self:
        """With a folder for files."""
        return cls(host, spec, example, data, folder)

    @cached_property
    def format_spec(self) -> FormatSpec:
        """The spec, as what it is."""
        return cast(FormatSpec, self.spec)

    @cached_property
    def format(self) -> Format:
        """The format, built with the options of the example."""
        return cast(Format, self.make_target())

    @cached_property
    def path(self) -> Path:
        """A volume."""
        spec = self.format_spec
        expect(bool(spec.writes or spec.demo), "the spec has neither writes nor demo: there is nothing to read")
        folder = Path(self.folder, f"volume{len(list(self.folder.iterdir()))}")
        folder.mkdir()
        if spec.demo:
            return Path(self.load(spec.demo)(folder))
        return self.write(folder, label_map(GRIDS[-1]))

    def write(self, folder: Path, written: LabelMap) -> Path:
        """Write a label map."""
        path = folder / f"case{self.format_spec.writes}"
        self.format.write(path, written)
        return path


def label_map(affine: np.ndarray = OBLIQUE) -> LabelMap:
    """A label map on a grid of its own, as of an image of another format."""
    labels = np.random.default_rng(0).integers(0, 4, SHAPE).astype(np.uint8)
    return LabelMap(labels, Geometry(SHAPE, affine), ("background", "one", "two", "three"))


def check_defaults(subject: FormatSubject) -> None:
    """All options have defaults, as every data set of volumes has all formats at hand."""
    subject.host.build_all(FormatSpec)


def check_names(subject: FormatSubject) -> None:
    """Its files are named in lower case with a dot, and what it writes like one of them."""
    spec = subject.format_spec
    names = [*spec.suffixes, *spec.companions]
    odd = [name for name in names if not name.startswith(".") or name != name.lower()]
    expect(not odd, f"these endings do not begin with a dot, or are not in lower case: {odd}")
    expect(bool(spec.suffixes or spec.folders), "no file is named like one of the format")
    expect(not spec.writes or spec.writes in spec.suffixes, f"{spec.writes!r} is not among its suffixes")


def check_recognises(subject: FormatSubject) -> None:
    """It recognises its own volume by content, whatever its name, and nothing in empty files, texts and noise."""
    path, found = subject.path, subject.format
    expect(found.recognises(path), "it does not recognise its own volume")
    noise = np.random.default_rng(0).bytes(1000)
    for name, content in {"empty": b"", "text": b"no volume\n" * 50, "noise": noise}.items():
        other = Path(subject.folder, f"{name}{(subject.format_spec.suffixes or ('',))[0]}")
        other.write_bytes(content)
        expect(not found.recognises(other), f"it takes {name} for a volume")
    if subject.format_spec.folders:
        (empty := Path(subject.folder, "nothing")).mkdir(exist_ok=True)
        expect(not found.recognises(empty), "it takes an empty folder for a volume")


def check_read(subject: FormatSubject) -> None:
    """A volume is finite numbers along three axes in space, and perhaps one of channels, at a known place."""
    volume = subject.format.read(subject.path)
    data, geometry = volume.data, volume.geometry
    expect(data.ndim in (3, 4) and data.dtype.kind in "iuf", f"it reads {data.dtype} of shape {data.shape}")
    expect(geometry.format == subject.spec.name, f"the geometry is of the format {geometry.format!r}, not of this one")
    expect(geometry.shape == data.shape[:3], f"the geometry says {geometry.shape}, the voxels {data.shape}")
    expect(geometry.affine.shape == (4, 4) and not is_singular(geometry.affine), "the affine cannot be inverted")
    expect(bool(np.isfinite(data).all()), "it reads values that are not finite")
    numbered = data.ndim == 3 and bool(data.max(initial=0) <= len(volume.masks))
    named = numbered or data.shape[3:] == (len(volume.masks),)
    expect(not volume.masks or named, "there is not one mask, or number, for each name")
    expect(all(file.is_file() for file in subject.format.files(subject.path)), "files() names one that is not there")


def check_geometry(subject: FormatSubject) -> None:
    """The header alone tells the same place as the whole file, and survives a cache in JSON."""
    whole, alone = subject.format.read(subject.path).geometry, subject.format.geometry(subject.path)
    for other in (alone, Geometry.from_json(alone.as_json())):
        same = other.shape == whole.shape and np.array_equal(other.affine, whole.affine)
        same = same and (other.millimetres, other.format) == (whole.millimetres, whole.format)
        expect(same, f"geometry() says {other}, read() {whole}")


def check_damage(subject: FormatSubject) -> None:
    """Of a truncated file it reads all voxels or says what is wrong, as UnusableError, whatever the bytes."""
    if subject.path.is_dir():
        raise NotApplicableError("its volume is a folder")
    whole = subject.format.read(subject.path).data
    for file in subject.format.files(subject.path):
        content, rng = file.read_bytes(), np.random.default_rng(0)
        with _restored(file, content):
            for end in np.linspace(0, len(content) - 1, CUTS).astype(int):
                file.write_bytes(content[:end])
                expect(
                    _survives(subject, whole),
                    f"{file.name}, cut after {end} of {len(content)} bytes, is read as another volume",
                )
            for _ in range(GARBLED):
                garbled = bytearray(content)
                garbled[rng.integers(min(len(content), _HEADER))] = rng.integers(256)
                file.write_bytes(garbled)
                _survives(subject, whole)


def check_pickles(subject: FormatSubject) -> None:
    """It can be sent to a loader process, and reads the same there."""
    copy = pickle.loads(pickle.dumps(subject.format))  # noqa: S301 (its own pickle)
    same = np.array_equal(copy.read(subject.path).data, subject.format.read(subject.path).data)
    expect(same, "a copy reads something else")


def check_write(subject: FormatSubject) -> None:
    """Label maps come back as they were, where they were, on any grid that it can hold; written again, they stay."""
    if not subject.format_spec.writes:
        raise NotApplicableError("it does not write")
    outcomes = [_comes_back(subject, affine) for affine in GRIDS]
    expect(any(outcomes), "it writes on none of the grids that were tried")


FORMAT_CHECKS: tuple[Callable[[Any], None], ...] = (
    check_defaults,
    check_names,
    check_recognises,
    check_read,
    check_geometry,
    check_damage,
    check_pickles,
    check_write,
)


@contextmanager
def _restored(file: Path, content: bytes) -> Iterator[None]:
    try:
        yield
    finally:
        file.write_bytes(content)


def _comes_back(subject: FormatSubject, affine: np.ndarray) -> bool:
    """Whether a label map on a grid can be held; fails the check if it does not come back."""
    with TemporaryDirectory() as folder:
        written = label_map(affine)
        try:
            volume = subject.format.read(subject.write(Path(folder), written))
        except UnusableError:
            return False
        expect(np.array_equal(volume.data, written.labels), "labels change by writing and reading")
        moved = displacement(affine, volume.affine, SHAPE)
        expect(moved <= _ACCURACY, f"a label map is {moved:.2g} voxels from where it was put: {volume.affine}")
        again = subject.format.read(subject.write(Path(folder), LabelMap(written.labels, volume.geometry)))
        drift = displacement(volume.affine, again.affine, SHAPE)
        expect(drift <= _DRIFT, f"written with the geometry of its own file, a label map moves by {drift:.2g} voxels")
    return True


def _survives(subject: FormatSubject, whole: np.ndarray) -> bool:
    """Whether a volume is read as it was, or refused as the contract asks."""
    subject.format.recognises(subject.path)
    try:
        return np.array_equal(subject.format.read(subject.path).data, whole)
    except (UnusableError, OSError):
        return True
