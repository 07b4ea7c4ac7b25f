"""From files to a model's input: orientation, spacing, intensities and crop, as the UNETR authors prepare BTCV.

The transforms are MONAI's, so that the numbers equal the published pipeline's. It is imported on use, which takes
seconds; cached cases do not need it.
"""

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np
import torch
from nibabel.affines import voxel_sizes

from medvid.data.grid import Grid
from medvid.data.volumes import reading
from medvid.data.volumes.affines import closest_ras
from medvid.data.volumes.files import CaseFiles
from medvid.data.volumes.formats.choice import USUAL, Formats, shipped_formats
from medvid.data.volumes.formats.format import MAX_VOXELS, Geometry, Volume
from medvid.data.volumes.labels import LabelScheme
from medvid.data.volumes.locations import Locations, locate
from medvid.data.volumes.truth import is_annotated
from medvid.errors import DataError

_PERCENTILES = (0.5, 99.5)
_SHEAR = 0.1  # voxels by which a prepared axis may deviate from a native one over the whole volume


@dataclass(frozen=True, slots=True)
class Prepared:
    """A case as it is cached: arrays in memory or mapped from disk.

    Args:
        image: (C, *S) float16. Within [0, 1] it differs by at most 2**-12 from the float32 that was computed, which is
            0.1 HU of the published window and so less than the 1 HU that CT files resolve.
        grid: how S lies on the file's array.
        geometry: where the image's file says that its voxels lie.
        label: (*S) uint8 label ids, or None.
        foreground: flat indices (uint32, C order) of voxels whose label is above 0 and not ignored, or None without a
            label.
        background: flat indices of voxels of the body whose label is 0, or None without a label.
        locations: where each class or region lies, or None without a label.
        notes: what is odd about the case but not an error.
    """

    image: np.ndarray
    grid: Grid
    geometry: Geometry
    label: np.ndarray | None = None
    foreground: np.ndarray | None = None
    background: np.ndarray | None = None
    locations: Locations | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VolumePreparation:
    """The settings that decide the prepared numbers, see `medvid.data.volumes.options.VolumeDatasetOptions`.

    Args:
        channels: number of channels.
        scheme: what the ids in label maps stand for.
        spacing: prepared voxel size in mm along R, A, S; None keeps the file's.
        normalize: how intensities are scaled.
        window: lowest and highest intensity, for ``normalize="window"``.
        crop: crop to the body.
        formats: what the files are read by; default: those that medvid ships.
    """

    channels: int
    scheme: LabelScheme
    spacing: tuple[float, float, float] | None
    normalize: Literal["window", "percentile", "zscore"]
    window: tuple[float, float] | None
    crop: bool
    formats: Formats = field(default_factory=shipped_formats, compare=False)

    @property
    def settings(self) -> dict[str, Any]:
        """All of them as JSON values. Which format a file has, its content decides, unless one is forced."""
        values = {
            field.name: getattr(self, field.name) for field in fields(self) if field.name not in {"formats", "scheme"}
        }
        values |= {"labels": self.scheme.ids, "names": self.scheme.names_of_ids}
        if self.scheme.ignore is not None:  # what else the ids stand for leaves the prepared numbers as they are
            values["ignore"] = self.scheme.ignore
        if self.scheme.stored:
            values["stored"] = self.scheme.stored
        return values | {"format": self.formats.forced.model_dump(mode="json") if self.formats.forced else None}

    def prepare(self, files: CaseFiles) -> Prepared:
        """Read, check and prepare a case.

        Raises:
            DataError: a file is unusable (see `reading`) or contradicts another of the case; the image is
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
            return Prepared(half, grid, scan.geometry, notes=tuple(notes))
        notes += [f"its label map {note}" for note in truth.notes if note not in scan.notes]
        label = self._resample(truth, "nearest", files.id)[0][0][box].astype(np.uint8)
        labelled, annotated = label > 0, is_annotated(label, self.scheme)
        return Prepared(
            half,
            grid,
            scan.geometry,
            label=label,
            foreground=np.flatnonzero(labelled if annotated is None else labelled & annotated).astype(np.uint32),
            background=np.flatnonzero(body[box] & ~labelled).astype(np.uint32),
            locations=locate(label, self.scheme),
            notes=(*notes, *_notes_on_labels(truth.data, label, self.scheme)),
        )

    def _read(self, files: CaseFiles) -> tuple[Volume, Volume | None]:
        """Read the image as (X, Y, Z, C) and its label map, both with the geometry of the first file."""
        first, *others = (reading.read(self.formats, path, files.id) for path in files.images)
        volumes = [first, *(reading.align(first, other, files.id, "further channel") for other in others)]
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
        scheme = self.scheme
        label = reading.read_labels(
            self.formats, files.label, files.id, scheme.ids, scheme.names_of_ids, first.geometry, scheme.stored
        )
        return image, reading.align(image, label, files.id, "label map")

    def _resample(self, volume: Volume, mode: str, case: str) -> tuple[np.ndarray, np.ndarray]:
        """Turn to RAS and to the spacing; return (C, *S) float32 and the affine of S."""
        from monai.data import MetaTensor
        from monai.transforms import Spacing

        turn = closest_ras(volume.affine)
        turned = nib.apply_orientation(volume.channels_last, turn)
        affine = volume.affine @ nib.orientations.inv_ornt_aff(turn, volume.geometry.shape)
        channels_first = np.moveaxis(turned, 3, 0).astype(np.float32, order="C")
        if self.spacing is None:
            return channels_first, affine
        voxels = np.prod(np.multiply(volume.geometry.shape, volume.geometry.spacing)) / np.prod(self.spacing)
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
                f"case {case}: nearly all voxels have the same value, so percentiles give no range to scale by",
                hint="set dataset.window, or dataset.normalize: zscore",
            )
        scaled = [
            ScaleIntensityRange(*r, 0.0, 1.0, clip=True)(channel) for r, channel in zip(ranges, image, strict=True)
        ]
        return np.stack(scaled)

    def _find_body(self, image: np.ndarray, scan: Volume, case: str) -> np.ndarray:
        """The voxels that are not air, (*S); see `VolumeDatasetOptions.crop`."""
        body = np.any(image != 0 if self.normalize == "zscore" else image > 0, axis=0)
        if not body.any():
            raise DataError(
                f"case {case}: no voxel of the image is inside the window {self.window}; its values range from "
                f"{scan.data.min():g} to {scan.data.max():g}",
                hint="set dataset.window to the range of interest, in the files' own units",
            )
        return np.asarray(body)


def relate(affine: np.ndarray, shape: tuple[int, ...], prepared: np.ndarray, prepared_shape: tuple[int, ...]) -> Grid:
    """Determine how a prepared array lies on the native one.

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


def _relate(files: CaseFiles, scan: Volume, affine: np.ndarray, shape: tuple[int, ...]) -> Grid:
    try:
        return relate(scan.affine, scan.geometry.shape, affine, shape)
    except ValueError as error:
        is_nifti = scan.geometry.format == USUAL
        raise DataError(
            f"case {files.id}: {files.images[0]}: {error}, as of a CT with a tilted gantry",
            hint="resample it to axes at right angles, and its label map in the same way but without interpolation"
            + (f", which takes order=0 and cval=0:\n  {_straightening(files.images[0], scan)}" if is_nifti else ""),
        ) from None


def _straightening(path: Path, scan: Volume) -> str:
    """A command that resamples a scan with sheared axes to axes at right angles; its planes keep their distance."""
    axes = scan.affine[:3, closest_ras(scan.affine)[:, 0].argsort()]
    steps = np.abs(np.linalg.qr(axes)[1].diagonal()) / (scan.geometry.millimetres or 1.0)
    spacing = [round(step, 4) for step in steps.tolist()]
    target = path.with_name(f"straight_{path.name}")
    return (
        'python -c "import nibabel as nib, nibabel.processing as p; p.resample_to_output('
        f'nib.load({str(path)!r}), {spacing}, order=1, cval={scan.data.min():g}).to_filename({str(target)!r})"'
    )


def _notes_on_labels(native: np.ndarray, prepared: np.ndarray, scheme: LabelScheme) -> tuple[str, ...]:
    before, after = count_labels(native), count_labels(prepared)
    unknown = _note_on_unknown(before, after, scheme)
    known = slice(1, scheme.known)
    if not before[known].any():
        return ("its label map is empty", *unknown)
    lost = np.flatnonzero((before > 0)[: scheme.known] & (after == 0)[: scheme.known]).tolist()
    return (*((f"its label {', '.join(map(str, lost))} vanishes at this spacing",) if lost else ()), *unknown)


def _note_on_unknown(before: np.ndarray, after: np.ndarray, scheme: LabelScheme) -> tuple[str, ...]:
    """Say how many voxels nobody annotated, in whole percent, so that cases can be named together."""
    if scheme.ignore is None or not before[scheme.ignore]:
        return ()
    share = before[scheme.ignore] / before.sum()
    rest = "" if after[: scheme.known].any() else ", and it has no part in the training"
    return (f"nobody annotated {share:.0%} of its voxels (label {scheme.ignore}, ignore){rest}",)


def _bounding_box(body: np.ndarray) -> tuple[slice, ...]:
    spans = (np.flatnonzero(body.any(tuple(other for other in range(3) if other != axis))) for axis in range(3))
    return tuple(slice(int(span[0]), int(span[-1]) + 1) for span in spans)
