"""The volumes as they come from BTCV: prepared once, then read from the cache slice by slice."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from medvid.data.grid import Grid
from medvid.data.splits import Splits, check_splits, choose_splits
from medvid.data.volumes import reading
from medvid.data.volumes.affines import closest_ras
from medvid.data.volumes.case import VolumeCase
from medvid.data.volumes.dataset import VolumeDataset
from medvid.data.volumes.files import CaseFiles
from medvid.data.volumes.labels import LabelScheme
from medvid.data.volumes.preparation import Prepared, VolumePreparation
from medvid.data.volumes.survey import Extent, mixed_voxel_sizes, unknown_units
from medvid.errors import DataError
from medvid.plugin.specs import Axes, BuildAll
from medvid_btcv.config import LABELS, SYNAPSE_LABELS, ScanOptions, SynapseOptions
from medvid_btcv.published import TRANSUNET, published_split
from medvid_btcv.zoom import Size2D, zoom_grid, zoom_image, zoom_labels, zoom_slices

log = logging.getLogger(__name__)

ORGANS = tuple(SYNAPSE_LABELS.index(name) if name in SYNAPSE_LABELS else 0 for name in LABELS)
"""The label id for each label id in the files."""


@dataclass(frozen=True, slots=True)
class SlicePreparation(VolumePreparation):
    """Prepares a volume so that its slices are contiguous in the cache, with the labels of the eight organs.

    Args:
        organs: the label id for each label id in the files.
    """

    organs: tuple[int, ...] = ORGANS

    def prepare(self, files: CaseFiles) -> Prepared:
        """As `VolumePreparation.prepare`, without the lists of voxels for drawing patches."""
        prepared = VolumePreparation.prepare(self, files)  # super() does not work in a dataclass with slots
        label = None if prepared.label is None else np.asfortranarray(_organs(prepared.label))
        image = np.asfortranarray(prepared.image)
        return replace(prepared, image=image, label=label, foreground=None, background=None, locations=None)


class ScanCase:
    """A volume whose slices are resized for the model, see `medvid.data.dataset.SegmentationCase`.

    Args:
        scan: the volume.
        size: height and width of the slices.
    """

    def __init__(self, scan: VolumeCase, size: Size2D) -> None:
        self._scan = scan
        self._size = size

    @property
    def id(self) -> str:
        return self._scan.id

    @property
    def sources(self) -> tuple[Path, ...]:
        return self._scan.sources

    @property
    def axes(self) -> Axes:
        return self._scan.axes

    @property
    def grid(self) -> Grid:
        return zoom_grid(self._scan.grid, self._size)

    def input(self) -> Tensor:
        return torch.from_numpy(zoom_slices(self._scan.input()[0].numpy(), self._size, zoom_image))[None]

    def native_input(self) -> np.ndarray:
        return self._scan.native_input()

    @property
    def display_window(self) -> tuple[float, float] | None:
        return self._scan.display_window

    def native_truth(self) -> np.ndarray:
        return _organs(self._scan.native_truth())

    def prepared_truth(self) -> np.ndarray:
        return zoom_slices(self._scan.prepared_truth(), self._size, zoom_labels)

    def write(self, labels: np.ndarray, folder: Path) -> tuple[Path, ...]:
        return self._scan.write(labels, folder)

    def write_probabilities(self, probabilities: np.ndarray, folder: Path) -> tuple[Path, ...]:
        return self._scan.write_probabilities(probabilities, folder)


class Scans(VolumeDataset):
    """BTCV in any layout of `VolumeDatasetOptions`; slices are axial, rows run to the right, columns to the front.

    Args:
        options: those of the data set.
        build_all: gives the formats.
    """

    def __init__(self, options: SynapseOptions, build_all: BuildAll | None = None) -> None:
        scans = ScanOptions.model_validate(
            {
                "name": options.name,
                "root": options.root,
                "cache": options.cache,
                "folder_layout": options.folder_layout,
                "datalist": options.datalist,
                "ignore_description": options.ignore_description,
                "window": options.window,
                "crop": False,
                "split": options.split,
            }
        )
        super().__init__(scans, build_all)
        self._size = options.size

    def default_split(self, cases: Sequence[str]) -> Splits:
        """The authors' 18/12."""
        return published_split(TRANSUNET, cases, self.options.root)

    def slices(self, case: str) -> tuple[str, ...]:
        """Names of the axial slices of a volume, from its file's header.

        Raises:
            DataError: the file cannot be read.
        """
        geometry = reading.read_geometry(self.formats, self.files(case).images[0], case)
        count = geometry.shape[closest_ras(geometry.affine)[:, 0].tolist().index(2)]
        return tuple(f"{case}_slice{index:03d}" for index in range(count))

    def slice(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Read one prepared slice: image (H, W) float16 in [0, 1] and label ids (H, W) uint8."""
        case, _, index = name.rpartition("_slice")
        prepared = self.prepared(case)
        assert prepared.label is not None, "only labelled cases are trained on"
        return prepared.image[0, :, :, int(index)], prepared.label[:, :, int(index)]

    def stack(self, case: str) -> ScanCase:
        """A prepared volume for evaluation."""
        return ScanCase(self.open_case(case), self._size)

    def open_stacks(self, paths: Sequence[Path]) -> Iterator[ScanCase]:
        """New volumes for prediction."""
        return (ScanCase(scan, self._size) for scan in self.open(paths))

    def declared(self) -> Splits:
        """The volumes with labels, by the authors' split if all are there: a datalist of BTCV has another one."""
        if "validation" in self.index.splits:
            log.warning("the lists in %s are ignored: the split is the task's, else the authors'", self.options.root)
        with suppress(DataError):
            return self.default_split(self.index.labelled)
        return {"train": self.index.labelled}

    def divide(self) -> Splits:
        """The task's split, else the authors'."""
        splits = choose_splits(self.options.split, {}, lambda: self.default_split(self.index.labelled))
        check_splits(splits, self.options.split, tuple(self.index.cases), set(self.labelled()))
        return splits

    def survey(self, trained: Sequence[Extent]) -> list[str]:
        """Notes on voxel sizes and units; slices are resized at any voxel size, and there are no patches."""
        mixed = mixed_voxel_sizes(trained)
        lines = (f"{mixed}; slices are nevertheless resized to one size" if mixed else "", unknown_units(trained))
        return [line for line in lines if line]

    @cached_property
    def preparation(self) -> VolumePreparation:
        return SlicePreparation(
            channels=1,
            scheme=LabelScheme(LABELS),
            spacing=None,
            normalize="window",
            window=self.options.window,
            crop=False,
            formats=self.formats,
        )


def _organs(labels: np.ndarray) -> np.ndarray:
    """The eight organs of a label map as it comes from BTCV."""
    return np.array(ORGANS, np.uint8)[labels]
