"""From files to a model's input: orientation, spacing, intensities and crop.

By default as the UNETR authors prepare BTCV, with MONAI's transforms, so that the numbers equal the published
pipeline's; with `ResamplingOptions` as nnU-Net does. MONAI is imported on use, which takes seconds; cached cases do not
need it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

import nibabel as nib
import numpy as np
from pydantic import TypeAdapter

from medvid.data.grid import Grid
from medvid.data.volumes import reading
from medvid.data.volumes.affines import closest_ras
from medvid.data.volumes.annotations import drawn_in, read_annotation
from medvid.data.volumes.files import CaseFiles
from medvid.data.volumes.formats.choice import Formats, shipped_formats
from medvid.data.volumes.formats.format import MAX_VOXELS, Geometry, Volume
from medvid.data.volumes.label_notes import notes_on_labels
from medvid.data.volumes.labels import LabelScheme
from medvid.data.volumes.locations import Locations, locate
from medvid.data.volumes.relation import relate_files
from medvid.data.volumes.steps.content import bounding_box, nonzero_mask
from medvid.data.volumes.steps.normalization import ScalingError, has_content, scale
from medvid.data.volumes.steps.options import (
    ChannelOptions,
    Crop,
    NoneOptions,
    Normalization,
    Resampling,
    ResamplingOptions,
    is_masked,
    of_channels,
)
from medvid.data.volumes.steps.scan import Scan
from medvid.data.volumes.steps.spacing import count_voxels, nearest_axes, resample_extent, resample_linearly
from medvid.data.volumes.straightening import straighten_image, straighten_labels
from medvid.data.volumes.truth import is_annotated
from medvid.data.volumes.values import known_voxels, notes_on_values
from medvid.data.volumes.voxels import VoxelSet
from medvid.errors import DataError

Step = Callable[[Scan, str], Scan]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A case as it is cached: arrays in memory or mapped from disk.

    Args:
        image: (C, *S) float16, or float32 if a channel is not scaled, as its values can have any size. In half
            precision, values within [0, 1] differ by at most 2**-12 from the float32 that was computed, which is 0.1 HU
            of BTCV's window; others by at most one part in 2**11, so standard deviations within 4 by at most 2**-10.
        grid: how S lies on the file's array.
        geometry: where the image's file says that its voxels lie.
        label: (*S) uint8 label ids, or unsigned bits of structures that may overlap; values (V, *S) float32; or None.
        mask: (*S) bool, outside of which channels with a masked z-score are 0; None if there are none.
        foreground: the voxels whose label is above 0 and not ignored, or of which a value is known; None without a
            label.
        background: the voxels of the body whose label is 0, none where there are values; or None.
        locations: where each class or region lies, or None without labels.
        drawn: names of the labels that were drawn in it; None: all of them.
        notes: what is odd about the case but not an error.
    """

    image: np.ndarray
    grid: Grid
    geometry: Geometry
    label: np.ndarray | None = None
    foreground: VoxelSet | None = None
    background: VoxelSet | None = None
    mask: np.ndarray | None = None
    locations: Locations | None = None
    drawn: tuple[str, ...] | None = None
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
        crop: whether and how volumes are cropped.
        resampling: how they come to the spacing; `ResamplingOptions` need one.
        straighten: resample scans with sheared axes to axes at right angles first.
        formats: what the files are read by; default: those that medvid ships.
    """

    channels: int
    scheme: LabelScheme
    spacing: tuple[float, float, float] | None
    normalize: Normalization
    window: tuple[float, float] | None
    crop: Crop
    resampling: Resampling = "linear"
    straighten: bool = False
    formats: Formats = field(default_factory=shipped_formats, compare=False)

    @property
    def settings(self) -> dict[str, Any]:
        """All of them as JSON values. Which format a file has, its content decides, unless one is forced."""
        values = {
            field.name: getattr(self, field.name) for field in fields(self) if field.name not in {"formats", "scheme"}
        }
        values = dict(TypeAdapter(dict[str, Any]).dump_python(values, mode="json"))
        if not self.straighten:  # as before there was this option
            del values["straighten"]
        values |= {"labels": self.scheme.ids, "names": self.scheme.names_of_ids}
        if self.scheme.overlapping:
            values["structures"] = self.scheme.names
        if self.scheme.lacking != "absent":
            values["lacking"] = self.scheme.lacking
        if self.scheme.ignore is not None:  # what else the ids stand for leaves the prepared numbers as they are
            values["ignore"] = self.scheme.ignore
        if self.scheme.stored:
            values["stored"] = self.scheme.stored
        if self.scheme.units:
            values["values"] = self.scheme.names
        return values | {"format": self.formats.forced.model_dump(mode="json") if self.formats.forced else None}

    def prepare(self, files: CaseFiles) -> Prepared:
        """Read, check and prepare a case.

        Raises:
            DataError: a file is unusable (see `reading`) or contradicts another of the case; the image is
                constant, outside the window, or sheared.
        """
        volume, truth = self._read(files)
        source = volume.geometry
        if self.straighten:
            volume = straighten_image(volume)
            truth = truth and replace(truth, data=straighten_labels(truth.data, source))
        scan = self.run(_turned(volume, truth), files.id)
        grid = relate_files(files, volume, scan.affine, scan.shape)
        if self.spacing is not None and isinstance(self.resampling, ResamplingOptions):
            native = [grid.native_spacing[axis] for axis in grid.axes]
            grid = replace(grid, nearest_axes=nearest_axes(self.spacing, native, self.resampling))
        notes = [f"its image {note}" for note in volume.notes]
        prepared = Prepared(scan.image.astype(self._dtype), grid, source, notes=tuple(notes))
        if any(map(is_masked, self._scalings)):
            prepared = replace(prepared, mask=scan.content)
        if truth is None:
            return prepared
        assert scan.label is not None
        assert scan.content is not None
        notes += [f"its {self.annotation} {note}" for note in truth.notes if note not in volume.notes]
        if scan.ids is None:
            return replace(
                prepared,
                label=scan.label,
                foreground=VoxelSet.where(known_voxels(scan.label)),
                background=VoxelSet.where(np.empty(0, bool)),
                notes=(*notes, *notes_on_values(truth.data, scan.label, self.scheme.names)),
            )
        labelled, annotated = scan.label > 0, is_annotated(scan.label, self.scheme)
        return replace(
            prepared,
            label=scan.label,
            drawn=drawn_in(truth, self.scheme, files.drawn, files.id),
            foreground=VoxelSet.where(labelled if annotated is None else labelled & annotated),
            background=VoxelSet.where(scan.content & ~labelled),
            locations=locate(scan.label, self.scheme),
            notes=(*notes, *notes_on_labels(truth.data, scan.label, self.scheme)),
        )

    def run(self, scan: Scan, case: str) -> Scan:
        """Take a case that is read through all steps.

        Args:
            scan: as in the files, but with axes along R, A, S.
            case: its name, for errors.

        Raises:
            DataError: its image cannot be scaled, or has no content.
        """
        for step in self._steps:
            scan = step(scan, case)
        return scan

    @property
    def _steps(self) -> tuple[Step, ...]:
        """nnU-Net resamples last, which blurs the mask least; the body is known by the scaled intensities."""
        steps = (self._crop, self._normalize) if self.crop == "nonzero" else (self._normalize, self._crop)
        return (self._resample, *steps) if self.resampling == "linear" else (*steps, self._resample)

    @property
    def _scalings(self) -> tuple[ChannelOptions, ...]:
        return of_channels(self.normalize, self.window, self.channels)

    @property
    def _dtype(self) -> type[np.floating[Any]]:
        """Of the image in the cache, see `Prepared`."""
        return np.float32 if any(isinstance(one, NoneOptions) for one in self._scalings) else np.float16

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
        label = read_annotation(self.formats, files.label, files.id, self.scheme, first.geometry)
        return image, reading.align(image, label, files.id, self.annotation)

    @property
    def annotation(self) -> str:
        """What the annotation of a case is called."""
        return "map of values" if self.scheme.units else "label map"

    def _resample(self, scan: Scan, case: str) -> Scan:
        if self.spacing is None:
            return scan
        if (voxels := count_voxels(scan, self.spacing)) > MAX_VOXELS:
            raise DataError(f"case {case}: at the spacing {self.spacing} mm it would have {voxels:.3g} voxels")
        if isinstance(self.resampling, ResamplingOptions):
            return resample_extent(scan, self.spacing, self.resampling)
        return resample_linearly(scan, self.spacing)

    def _normalize(self, scan: Scan, case: str) -> Scan:
        """Scale the intensities, and find what is not air if nothing has found it before."""
        constant = scan.image.min((1, 2, 3)) == scan.image.max((1, 2, 3))
        scaled, body = [], np.zeros(scan.shape, bool)
        for number, (options, channel) in enumerate(zip(self._scalings, scan.image, strict=True)):
            if constant[number] and not isinstance(options, NoneOptions):
                raise DataError(f"case {case}: channel {number} of the image is constant")
            try:
                scaled.append(scale(options, channel, scan.content))
            except ScalingError as error:
                raise DataError(f"case {case}: channel {number} of the image: {error}", hint=error.hint) from None
            if scan.content is None:
                body |= has_content(options, channel, scaled[-1])
        image, content = np.stack(scaled), body if scan.content is None else scan.content
        if not content.any():
            raise self._without_content(scan.image, case)
        return replace(scan, image=image, content=content)

    def _crop(self, scan: Scan, case: str) -> Scan:
        """Crop to what is not air."""
        if self.crop == "nonzero":
            content = nonzero_mask(scan.image)
            if not content.any():
                raise DataError(f"case {case}: every voxel of the image is 0")
            scan = replace(scan, content=content).cut(bounding_box(content))
            assert scan.content is not None
            return scan if scan.ids is None else replace(scan, content=scan.content | (scan.ids > 0))
        assert scan.content is not None
        return scan.cut(bounding_box(scan.content)) if self.crop else scan

    def _without_content(self, image: np.ndarray, case: str) -> DataError:
        if self.window is None:
            return DataError(f"case {case}: no voxel of the image counts as content after scaling")
        return DataError(
            f"case {case}: no voxel of the image is inside the window {self.window}; its values range from "
            f"{image.min():g} to {image.max():g}",
            hint="set dataset.window to the range of interest, in the files' own units",
        )


def _turned(volume: Volume, truth: Volume | None) -> Scan:
    """With axes along R, A, S."""
    turn = closest_ras(volume.affine)
    affine = volume.affine @ nib.orientations.inv_ornt_aff(turn, volume.geometry.shape)
    image = np.moveaxis(nib.apply_orientation(volume.channels_last, turn), 3, 0).astype(np.float32, order="C")
    if truth is None:
        return Scan(image, affine)
    label = nib.apply_orientation(truth.data, turn)
    return Scan(image, affine, np.ascontiguousarray(np.moveaxis(label, 3, 0) if label.ndim == 4 else label))
