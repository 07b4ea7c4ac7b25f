"""The volumes as they come from BTCV: prepared once, then read from the cache slice by slice."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from medvid.data import nifti
from medvid.data.affines import closest_ras
from medvid.data.grid import Grid
from medvid.data.preparation import Prepared, VolumePreparation
from medvid.data.splits import by_number
from medvid.data.volume_files import CaseFiles
from medvid.data.volume_survey import Extent, mixed_voxel_sizes, unknown_units
from medvid.data.volumes import VolumeCase, VolumeDataset
from medvid.data.zoom import Size2D, zoom_grid, zoom_image, zoom_labels, zoom_slices
from medvid.errors import DataError
from medvid.plugin.specs import Layout
from medvid_synapse.config import BTCV_LABELS, LABELS, ScanOptions, SynapseOptions

log = logging.getLogger(__name__)

TRAIN = (5, 6, 7, 9, 10, 21, 23, 24, 26, 27, 28, 30, 31, 33, 34, 37, 39, 40)
TEST = (1, 2, 3, 4, 8, 22, 25, 29, 32, 35, 36, 38)
"""Numbers of the volumes in the TransUNet authors' lists."""

ORGANS = tuple(LABELS.index(name) if name in LABELS else 0 for name in BTCV_LABELS)
"""The label id of each of the files' label ids."""


@dataclass(frozen=True, slots=True)
class SlicePreparation(VolumePreparation):
    """Prepares a volume so that in the cache its slices lie one after the other, with the labels of the eight organs.

    Args:
        organs: the label id of each of the files' label ids.
    """

    organs: tuple[int, ...] = ORGANS

    def prepare(self, files: CaseFiles) -> Prepared:
        """As `VolumePreparation.prepare`, without the lists of voxels that patches are drawn by."""
        prepared = VolumePreparation.prepare(self, files)  # super() does not work in a dataclass with slots
        label = None if prepared.label is None else np.asfortranarray(_organs(prepared.label))
        image = np.asfortranarray(prepared.image)
        return replace(prepared, image=image, label=label, foreground=None, background=None)


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
    def layout(self) -> Layout:
        return self._scan.layout

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

    def write(self, labels: np.ndarray, folder: Path) -> Path:
        return self._scan.write(labels, folder)


class Scans(VolumeDataset):
    """BTCV in any of the layouts of `medvid.data.index`; slices are axial, rows run to the right, columns to the front.

    Args:
        options: those of the data set.
    """

    def __init__(self, options: SynapseOptions) -> None:
        scans = ScanOptions.model_validate(
            {
                "name": options.name,
                "root": options.root,
                "cache": options.cache,
                "layout": options.layout,
                "datalist": options.datalist,
                "ignore_description": options.ignore_description,
                "window": options.window,
                "crop": False,
                "split": options.split,
            }
        )
        super().__init__(scans)
        self._size = options.size

    def default_split(self, cases: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """The authors' 18/12, by the number at the end of each case's name."""
        numbers = by_number(cases)
        if missing := sorted({*TRAIN, *TEST} - numbers.keys()):
            raise DataError(
                f"TransUNet's split needs {len(missing)} cases that are not in {self.options.root}: "
                + ", ".join(f"img{number:04d}" for number in missing[:10])
                + (" ..." if len(missing) > 10 else ""),
                hint="add them, or name your own: dataset.split: {train: [...], test: [...]}",
            )
        return {"train": tuple(numbers[n] for n in TRAIN), "test": tuple(numbers[n] for n in TEST)}

    def slices(self, case: str) -> tuple[str, ...]:
        """Names of the axial slices of a volume, from its file's header.

        Raises:
            DataError: the file cannot be read.
        """
        shape, affine, _ = nifti.read_geometry(self._files(case).images[0], case)
        count = shape[closest_ras(affine)[:, 0].tolist().index(2)]
        return tuple(f"{case}_slice{index:03d}" for index in range(count))

    def slice(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Read one prepared slice: image (H, W) float16 in [0, 1] and label ids (H, W) uint8."""
        case, _, index = name.rpartition("_slice")
        prepared = self._cache.read(self._files(case), self._fingerprint(case))
        assert prepared.label is not None, "only labelled cases are trained on"
        return prepared.image[0, :, :, int(index)], prepared.label[:, :, int(index)]

    def stack(self, case: str) -> ScanCase:
        """A prepared volume for evaluation."""
        return ScanCase(self.case(case), self._size)

    def open_stacks(self, paths: Sequence[Path]) -> Iterator[ScanCase]:
        """New volumes for prediction."""
        return (ScanCase(scan, self._size) for scan in self.open(paths))

    def _choose_splits(self) -> dict[str, tuple[str, ...]]:
        """The task's split, else the authors': a datalist that comes with BTCV divides it in another way."""
        asked, declared = self.options.split, self._index.splits
        splits = (
            dict(self.default_split(self._index.labelled)) if asked is None else {n: ids for n, ids in asked if ids}
        )
        if "validation" in declared:
            log.warning("the lists of %s do not count, but the authors' split or that of the task", self.options.root)
        return splits

    def _survey(self, trained: Sequence[Extent]) -> list[str]:
        """Slices are resized, whatever the voxel size, and there are no patches."""
        mixed = mixed_voxel_sizes(trained)
        lines = (f"{mixed}; slices are resized to one size all the same" if mixed else "", unknown_units(trained))
        return [line for line in lines if line]

    @cached_property
    def _preparation(self) -> VolumePreparation:
        options = self.options
        return SlicePreparation(
            channels=1, labels=len(BTCV_LABELS), spacing=None, normalize="window", window=options.window, crop=False
        )


def _organs(labels: np.ndarray) -> np.ndarray:
    """The eight organs of a label map as it comes from BTCV."""
    return np.asarray(np.array(ORGANS, np.uint8)[labels])
