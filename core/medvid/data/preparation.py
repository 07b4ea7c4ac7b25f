"""From files to what a model sees: orientation, spacing, intensities and crop, as the UNETR authors prepare BTCV.

The transforms are MONAI's, so that the numbers are those of the published pipeline. It is imported on use: that takes
seconds, and cached cases do without.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import nibabel as nib
import numpy as np
import torch
from nibabel.affines import voxel_sizes

from medvid.data import nifti
from medvid.data.affines import closest_ras
from medvid.data.grid import Grid
from medvid.data.nifti_file import MAX_VOXELS
from medvid.data.nifti_space import Space
from medvid.data.volume_files import CaseFiles
from medvid.errors import DataError

_PERCENTILES = (0.5, 99.5)
_SHEAR = 0.1  # voxels by which a prepared axis may stray from a native one over the whole volume


@dataclass(frozen=True, slots=True)
class Prepared:
    """A case as it is cached: arrays in memory or mapped from disk.

    Args:
        image: (C, *S) float16. Within [0, 1] it is at most 2**-12 off the float32 that was computed, which is 0.1 HU of
            the published window and so less than the 1 HU that CT files resolve.
        grid: how S lies on the file's own array.
        space: what the file's header says of where its voxels lie.
        label: (*S) uint8 label ids, or None.
        foreground: flat indices (uint32, C order) of voxels whose label is above 0, or None without a label.
        background: flat indices of unlabelled voxels of the body, or None without a label.
        notes: what is odd about the case and yet no error.
    """

    image: np.ndarray
    grid: Grid
    space: Space
    label: np.ndarray | None = None
    foreground: np.ndarray | None = None
    background: np.ndarray | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VolumePreparation:
    """The settings that decide the prepared numbers, see `medvid.config.volumes.VolumeDatasetOptions`.

    Args:
        channels: number of channels.
        labels: number of labels.
        spacing: prepared voxel size in mm along R, A, S; None keeps the file's.
        normalize: how intensities are scaled.
        window: lowest and highest intensity, for ``normalize="window"``.
        crop: crop to the body.
    """

    channels: int
    labels: int
    spacing: tuple[float, float, float] | None
    normalize: Literal["window", "percentile", "zscore"]
    window: tuple[float, float] | None
    crop: bool

    def prepare(self, files: CaseFiles) -> Prepared:
        """Read, check and prepare a case.

        Raises:
            DataError: a file is unusable (see `medvid.data.nifti`) or contradicts another of the case; the image is
                constant, outside the window, or sheared.
        """
        scan, truth = self._read(files)
        image, affine = self._resample(scan, "bilinear", files.id)
        image = self._normalize(image, files.id)
        body = self._find_body(image, scan, files.id)
        box = _bounding_box(body) if self.crop else (slice(0, None),) * 3
        affine[:3, 3] += affine[:3, :3] @ [side.start for side in box]
        grid = _relate(files, scan, affine, body[box].shape)
        notes = [f"its image {note}" for note in scan.notes]
        half = image[:, *box].astype(np.float16)
        if truth is None:
            return Prepared(half, grid, scan.space, notes=tuple(notes))
        notes += [f"its label map {note}" for note in truth.notes if note not in scan.notes]
        label = self._resample(truth, "nearest", files.id)[0][0][box].astype(np.uint8)
        return Prepared(
            half,
            grid,
            scan.space,
            label=label,
            foreground=np.flatnonzero(label).astype(np.uint32),
            background=np.flatnonzero(body[box] & (label == 0)).astype(np.uint32),
            notes=(*notes, *_notes_on_labels(truth.data, label)),
        )

    def _read(self, files: CaseFiles) -> tuple[nifti.Volume, nifti.Volume | None]:
        """Read the image as (X, Y, Z, C) and its label map, both with the affine of the first file."""
        first, *others = (nifti.read(path, files.id) for path in files.images)
        volumes = [first, *(nifti.align(first, other, files.id, "further channel") for other in others)]
        notes = dict.fromkeys(note for volume in volumes for note in volume.notes)
        data = np.concatenate([volume.channels_last for volume in volumes], axis=3)
        if data.shape[3] != self.channels:
            raise DataError(
                f"case {files.id}: {files.images[0]} has {data.shape[3]} channels, "
                f"the data set declares {self.channels}"
            )
        image = replace(first, data=data, notes=tuple(notes))
        if files.label is None:
            return image, None
        label = nifti.read_labels(files.label, files.id, self.labels)
        return image, nifti.align(image, label, files.id, "label map")

    def _resample(self, volume: nifti.Volume, mode: str, case: str) -> tuple[np.ndarray, np.ndarray]:
        """Turn to RAS and to the spacing; return (C, *S) float32 and the affine of S."""
        from monai.data import MetaTensor
        from monai.transforms import Spacing

        turn = closest_ras(volume.affine)
        turned = nib.apply_orientation(volume.channels_last, turn)
        affine = volume.affine @ nib.orientations.inv_ornt_aff(turn, volume.data.shape[:3])
        channels_first = np.moveaxis(turned, 3, 0).astype(np.float32, order="C")
        if self.spacing is None:
            return channels_first, affine
        voxels = np.prod(np.multiply(volume.data.shape[:3], volume.spacing)) / np.prod(self.spacing)
        if voxels > MAX_VOXELS:
            raise DataError(f"case {case}: at the spacing {self.spacing} mm it would have {voxels:.3g} voxels")
        tensor = MetaTensor(torch.from_numpy(channels_first), affine=torch.from_numpy(affine))
        tensor = Spacing(self.spacing, mode=mode)(tensor)
        return tensor.numpy(), tensor.affine.numpy().copy()

    def _normalize(self, image: np.ndarray, case: str) -> np.ndarray:
        """Scale intensities, (C, *S) float32."""
        from monai.transforms import NormalizeIntensity, ScaleIntensityRange

        if (constant := image.min((1, 2, 3)) == image.max((1, 2, 3))).any():
            raise DataError(f"case {case}: channel {int(constant.argmax())} of the image is constant")
        if self.normalize == "zscore":
            return np.asarray(NormalizeIntensity(nonzero=True, channel_wise=True)(image))
        if self.window is not None:
            return np.asarray(ScaleIntensityRange(*self.window, 0.0, 1.0, clip=True)(image))
        ranges = [np.percentile(channel, _PERCENTILES) for channel in image]
        if any(low == high for low, high in ranges):
            raise DataError(
                f"case {case}: nearly all voxels have the same value, percentiles give no range to scale by",
                hint="set dataset.window, or dataset.normalize: zscore",
            )
        scaled = [
            ScaleIntensityRange(*r, 0.0, 1.0, clip=True)(channel) for r, channel in zip(ranges, image, strict=True)
        ]
        return np.stack(scaled)

    def _find_body(self, image: np.ndarray, scan: nifti.Volume, case: str) -> np.ndarray:
        """The voxels that are no air, (*S); see `VolumeDatasetOptions.crop`."""
        body = np.any(image != 0 if self.normalize == "zscore" else image > 0, axis=0)
        if not body.any():
            raise DataError(
                f"case {case}: nothing of the image is inside the window {self.window}; its values range from "
                f"{scan.data.min():g} to {scan.data.max():g}",
                hint="set dataset.window to the range of interest, in the files' own units",
            )
        return np.asarray(body)


def relate(affine: np.ndarray, shape: tuple[int, ...], prepared: np.ndarray, prepared_shape: tuple[int, ...]) -> Grid:
    """Say how a prepared array lies on the native one.

    Args:
        affine: (4, 4), native voxel indices to mm.
        shape: native shape.
        prepared: (4, 4), prepared voxel indices to mm.
        prepared_shape: prepared shape.

    Raises:
        ValueError: a prepared axis does not run along a native one, because the native axes are sheared.
    """
    matrix = np.linalg.solve(prepared, affine)  # native index -> prepared coordinate
    linear, offset = matrix[:3, :3], matrix[:3, 3]
    axes = np.abs(linear).argmax(axis=1)
    stray = np.abs(linear)
    stray[range(3), axes] = 0
    if set(axes) != {0, 1, 2} or (stray @ shape).max() > _SHEAR:
        raise ValueError("its axes are sheared, not at right angles to each other")
    return Grid(
        native_shape=tuple(shape),
        native_spacing=tuple(voxel_sizes(affine).tolist()),
        prepared_shape=tuple(prepared_shape),
        prepared_spacing=tuple(voxel_sizes(prepared).tolist()),
        axes=tuple(axes.tolist()),
        scale=tuple(linear[range(3), axes].tolist()),
        offset=tuple(offset.tolist()),
    )


def count_labels(labels: np.ndarray) -> np.ndarray:
    """Voxels per label id, (256,), of a uint8 label map."""
    return np.bincount(labels.ravel(order="K"), minlength=256)


def _relate(files: CaseFiles, scan: nifti.Volume, affine: np.ndarray, shape: tuple[int, ...]) -> Grid:
    try:
        return relate(scan.affine, scan.data.shape[:3], affine, shape)
    except ValueError as error:
        raise DataError(
            f"case {files.id}: {files.images[0]}: {error}, as of a CT with a tilted gantry",
            hint=f"resample it with nibabel, and its label map likewise but with order=0 and cval=0:\n"
            f"  {_straightening(files.images[0], scan)}",
        ) from None


def _straightening(path: Path, scan: nifti.Volume) -> str:
    """A command that resamples a scan with sheared axes to axes at right angles; its planes stay as far apart."""
    axes = scan.affine[:3, closest_ras(scan.affine)[:, 0].argsort()]
    steps = np.abs(np.linalg.qr(axes)[1].diagonal()) / scan.space.millimetres
    spacing = [round(step, 4) for step in steps.tolist()]
    target = path.with_name(f"straight_{path.name}")
    return (
        'python -c "import nibabel as nib, nibabel.processing as p; p.resample_to_output('
        f'nib.load({str(path)!r}), {spacing}, order=1, cval={scan.data.min():g}).to_filename({str(target)!r})"'
    )


def _notes_on_labels(native: np.ndarray, prepared: np.ndarray) -> tuple[str, ...]:
    before, after = count_labels(native), count_labels(prepared)
    if not before[1:].any():
        return ("its label map is empty",)
    lost = np.flatnonzero((before > 0) & (after == 0)).tolist()
    return (f"its label {', '.join(map(str, lost))} vanishes at this spacing",) if lost else ()


def _bounding_box(body: np.ndarray) -> tuple[slice, ...]:
    spans = (np.flatnonzero(body.any(tuple(other for other in range(3) if other != axis))) for axis in range(3))
    return tuple(slice(int(span[0]), int(span[-1]) + 1) for span in spans)
