"""A case of a volume data set."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from medvid.data.grid import Grid
from medvid.data.volumes import reading
from medvid.data.volumes.annotations import read_annotation
from medvid.data.volumes.content import Fingerprint, fingerprint
from medvid.data.volumes.files import CaseFiles
from medvid.data.volumes.formats.choice import Formats
from medvid.data.volumes.formats.format import LabelMap
from medvid.data.volumes.formats.nifti import space_of, write_probabilities, write_values
from medvid.data.volumes.labels import BACKGROUND, LabelScheme
from medvid.data.volumes.preparation import Prepared
from medvid.data.volumes.straightening import back_on_file, straighten_image, straighten_labels
from medvid.data.volumes.truth import as_stored, paint, truth_of
from medvid.errors import DataError
from medvid.plugin.specs import Axes


class VolumeCase:
    """A case of a volume data set, see `medvid.data.dataset.SegmentationCase`.

    Args:
        files: its files.
        scheme: what the ids in label maps stand for.
        formats: what files are read and written by.
        load: returns the prepared case; called on first use.
        content: hashes of the files when the case was prepared; None for newly opened files.
        window: see `display_window`.
        straighten: whether a scan with sheared axes was straightened.
    """

    def __init__(
        self,
        files: CaseFiles,
        scheme: LabelScheme,
        formats: Formats,
        load: Callable[[], Prepared],
        content: Fingerprint | None = None,
        window: tuple[float, float] | None = None,
        *,
        straighten: bool = False,
    ) -> None:
        self._files = files
        self._scheme = scheme
        self._formats = formats
        self._load = load
        self._content = content
        self._window = window
        self._straighten = straighten

    @property
    def id(self) -> str:
        return self._files.id

    @property
    def patient(self) -> str:
        return self._files.patient

    @property
    def groups(self) -> tuple[str, ...]:
        return self._files.groups

    @property
    def sources(self) -> tuple[Path, ...]:
        return self._files.images

    @property
    def axes(self) -> Axes:
        return "volume"

    @property
    def grid(self) -> Grid:
        return self._prepared.grid

    def input(self) -> Tensor:
        return torch.from_numpy(self._prepared.image.astype(np.float32))

    def native_input(self) -> np.ndarray:
        self._check_unchanged()
        image = reading.read(self._formats, self._files.images[0], self.id)
        return (straighten_image(image) if self._straighten else image).channels_last[..., 0]

    @property
    def display_window(self) -> tuple[float, float] | None:
        return self._window

    def native_truth(self) -> np.ndarray:
        if self._files.label is None:
            raise DataError(f"case {self.id} has no label map")
        self._check_unchanged()
        prepared, scheme = self._prepared, self._scheme
        label_map = read_annotation(self._formats, self._files.label, self.id, scheme, prepared.geometry)
        if scheme.what == "value":
            return np.moveaxis(label_map.data, 3, 0)
        data = straighten_labels(label_map.data, prepared.geometry) if self._straighten else label_map.data
        return truth_of(data, scheme, prepared.drawn)

    def prepared_truth(self) -> np.ndarray:
        if self._prepared.label is None:
            raise DataError(f"case {self.id} has no label map")
        return truth_of(np.array(self._prepared.label), self._scheme, self._prepared.drawn)

    def write(self, labels: np.ndarray, folder: Path) -> tuple[Path, ...]:
        scheme = self._scheme
        if scheme.what == "value":
            path = folder / f"{self.id}.nii.gz"
            write_values(path, labels, space_of(self._prepared.geometry))
            return (path,)
        if scheme.what == "class":
            return (self._write(as_stored(labels, scheme), folder, self.id, () if scheme.stored else scheme.names),)
        if scheme.painted:
            painted = as_stored(paint(labels, scheme.painted), scheme)
            return (self._write(painted, folder, self.id, scheme.names_of_ids),)
        structures = zip(labels, scheme.names, strict=True)
        return tuple(self._write(mask, folder / self.id, name, (BACKGROUND, name)) for mask, name in structures)

    def write_probabilities(self, probabilities: np.ndarray, folder: Path) -> tuple[Path, ...]:
        path, geometry = folder / f"{self.id}.nii.gz", self._prepared.geometry
        if self._straighten:
            probabilities = np.stack([back_on_file(each, geometry) for each in probabilities])
        write_probabilities(path, probabilities, space_of(geometry))
        return (path,)

    def _write(self, labels: np.ndarray, folder: Path, stem: str, names: tuple[str, ...]) -> Path:
        geometry = self._prepared.geometry
        placed = back_on_file(labels, geometry) if self._straighten else labels
        label_map = LabelMap(placed, geometry, names, self._files.images)
        return reading.write_labels(self._formats, folder, stem, label_map)

    @cached_property
    def _prepared(self) -> Prepared:
        return self._load()

    def _check_unchanged(self) -> None:
        if self._content is not None and fingerprint(self._files, self._formats) != self._content:
            raise DataError(f"case {self.id}: its files changed since they were prepared", hint="start the run again")
