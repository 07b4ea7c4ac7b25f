"""Whole volumes of one size: prepared as those that are segmented are, and then resampled or cut."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch.nn import functional

from medvid.data.volumes.files import CaseFiles
from medvid.data.volumes.preparation import Prepared, VolumePreparation


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeVolumePreparation(VolumePreparation):
    """The settings that decide the prepared numbers, see `medvid_volumes.config.VolumesOptions`.

    Args:
        size: of the prepared volume.
        fit: how it gets that size.
    """

    size: tuple[int, int, int]
    fit: Literal["stretch", "crop"]

    def prepare(self, files: CaseFiles) -> Prepared:
        """Read, check and prepare a volume; raises as `VolumePreparation.prepare`."""
        prepared = VolumePreparation.prepare(self, files)
        image = prepared.image.astype(np.float32)
        fitted = _stretched(image, self.size) if self.fit == "stretch" else _centred(image, self.size)
        # Answers of whole volumes go back to no grid, so only its shape has to be right.
        grid = replace(prepared.grid, prepared_shape=self.size)
        return Prepared(fitted.astype(prepared.image.dtype), grid, prepared.geometry, notes=prepared.notes)


def _stretched(image: np.ndarray, size: tuple[int, int, int]) -> np.ndarray:
    """(C, *S) at another size; where it shrinks, voxels are averaged first."""
    tensor = torch.from_numpy(image)[None]
    x, y, z = (min(old, new) for old, new in zip(image.shape[1:], size, strict=True))
    averaged = functional.adaptive_avg_pool3d(tensor, (x, y, z))
    return functional.interpolate(averaged, size, mode="trilinear", align_corners=False)[0].numpy()


def _centred(image: np.ndarray, size: tuple[int, int, int]) -> np.ndarray:
    """The centre of (C, *S), with zeros around it where it is smaller."""
    fitted = np.zeros((len(image), *size), image.dtype)
    source, target = [], []
    for old, new in zip(image.shape[1:], size, strict=True):
        length, start, place = min(old, new), max(0, (old - new) // 2), max(0, (new - old) // 2)
        source.append(slice(start, start + length))
        target.append(slice(place, place + length))
    fitted[:, *target] = image[:, *source]
    return fitted
