"""Options of a user's own volumes."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt, field_validator, model_validator

from medvid.config.numbers import FractionBelowOne
from medvid.config.options import Options
from medvid.data.volumes.description import Description, compare, describe
from medvid.data.volumes.labels import LabelScheme, Lacking, Notation, read_scheme, read_structures
from medvid.data.volumes.options import VolumeDatasetOptions
from medvid.errors import DataError
from medvid.plugin.info import MOST, TargetInfo


class ValueOptions(Options):
    """A value that each voxel has. Its unit alone stands for a mean of 0 and a deviation of 1."""

    unit: str
    """Unit of its numbers; "" for none."""
    mean: float = 0.0
    """About its mean over the voxels of the training cases, in the unit: a model learns the distance from it."""
    deviation: PositiveFloat = 1.0
    """About its standard deviation, likewise: models learn best, and weigh values alike, in multiples of it."""

    @model_validator(mode="before")
    @classmethod
    def _unit_alone(cls, values: Any) -> Any:
        return {"unit": values} if isinstance(values, str) else values


class NIfTIOptions(VolumeDatasetOptions):
    """Volumes with label maps or maps of values, NIfTI or in another enabled format, see `folder_layout` for layouts.

    Cases are split by `split` or `fold`, else by lists or folders, else at random by `validation_fraction`.
    """

    name: Literal["nifti"] = "nifti"
    labels: Notation | None = None
    """Names of the labels, as a list in the order of their ids or as `name: id`; id 0 is the background. Or regions,
    which may overlap, as nnU-Net has them: `{background: 0, whole_tumor: [1, 2, 3], core: [2, 3]}`. Not needed if the
    folder has a dataset.json with labels."""
    ignore: PositiveInt | None = None
    """The id of voxels that nobody annotated, one above all others: they count in no loss and no figure, and no patch
    is centred on them. In dataset.json it is the label `ignore`."""
    structures: tuple[str, ...] | None = None
    """Names of structures that may overlap freely, instead of `labels`. A case has a mask for each: along the fourth
    axis in this order, as segments or contours of these names (.seg.nrrd, DICOM SEG, RTSTRUCT), or as files of these
    names in a folder. Each is predicted on its own, and written into a file of its own."""
    values: dict[str, ValueOptions] | None = None
    """Names and units of values, `{dose: Gy}`, instead of `labels`: what stands in the place of a label map has a
    number for each voxel, or several along the fourth axis in this order. NaN (in NIfTI files) is unknown, and counts
    in no loss and no figure. Also `{dose: {unit: Gy, mean: 20, deviation: 15}}`, for values far from 0 or 1."""
    lacking: Lacking = "absent"
    """What a label is that the segments, contours or files of a case lack: `absent`, so no voxel has it, or `undrawn`,
    so nobody looked for it."""
    partial: bool | None = None
    """Whether only some of the labels were drawn in some cases, by `drawn: [liver, ...]` in a case's entry in the list
    or by `drawn: {case: [liver, ...], ...}` in dataset.json. There the others are unknown: they count in no loss and no
    figure, and other voxels may be any of them. Default: whether a list or dataset.json says so, or `lacking` does."""
    regions_class_order: tuple[PositiveInt, ...] | None = None
    """Of each region the id by which predictions are written into one label map, later regions over earlier ones;
    default: as dataset.json says if the labels are its own, else each region is written into a file of its own."""
    channels: PositiveInt | None = None
    """Channels of each case; default: from dataset.json, else 1."""
    validation_fraction: FractionBelowOne = 0.2
    """Share of the cases to hold out, at least one; 0: train on all."""
    split_seed: NonNegativeInt = 0
    """Seed that decides which cases these are."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in_from_the_folder(cls, values: Any) -> Any:
        """Take over dataset.json, since a resolved task has to be enough to predict without the data set."""
        if not isinstance(values, Mapping) or not isinstance(values.get("root"), str | Path):
            return values
        if values.get("ignore_description") and values.get("labels") is not None:
            return values
        found = describe(Path(values["root"]).expanduser(), values.get("datalist"))
        filled: dict[str, Any] = {"channels": found.channels}
        if values.get("values") is not None:
            return {**filled, **{key: value for key, value in values.items() if key not in filled or value is not None}}
        if found.is_partial:
            filled["partial"] = True
        if found.labels and values.get("labels") is None and values.get("structures") is None:
            filled |= {"labels": found.labels.notation, "regions_class_order": found.labels.painted or None}
        return {**values, **{key: value for key, value in filled.items() if values.get(key) is None}}

    @field_validator("labels")
    @classmethod
    def _label_ids_fit(cls, value: Notation | None) -> Notation | None:
        return None if value is None else read_scheme(value).notation

    @model_validator(mode="after")
    def _nothing_of_labels_beside_values(self) -> "NIfTIOptions":
        of_labels = {
            "labels": self.labels is not None,
            "structures": self.structures is not None,
            "ignore": self.ignore is not None,
            "partial": bool(self.partial),
            "lacking": self.lacking != "absent",
            "regions_class_order": self.regions_class_order is not None,
            "patch.centres": self.patch.centres == "classes",
        }
        if self.values is not None and (given := [name for name, value in of_labels.items() if value]):
            raise ValueError(f"{given[0]} is for labels, but voxels have values: leave out one of the two")
        return self

    @model_validator(mode="after")
    def _values_can_be_read_and_written(self) -> "NIfTIOptions":
        if self.values is None:
            return self
        if not self.values or not all(name.strip() for name in self.values):
            raise ValueError("values needs a name and a unit for each value, such as {dose: Gy}")
        if self.straighten:
            raise ValueError("straighten does not bring values to other axes: resample scans and maps before")
        if self.answers not in {"", "nifti"}:
            raise ValueError(
                f"maps of values are written as NIfTI, not as {self.answers}: leave out answers (--format)"
            )
        return self

    @model_validator(mode="after")
    def _ids_to_ignore_and_to_paint_fit(self) -> "NIfTIOptions":
        scheme = self._scheme()
        if scheme and self.regions_class_order and not scheme.regions:
            raise ValueError("regions_class_order is for labels that are regions, with lists of ids: leave it out")
        if scheme and scheme.partial and scheme.what == "class" and len(scheme.names) > MOST + 1:
            raise ValueError(f"with labels that are drawn in some cases only, there can be {MOST + 1}, not more")
        return self

    def check_description(self, found: Description) -> tuple[str, ...]:
        """As in the base class, but the names of labels have to be equal."""
        return compare(found, self.label_scheme(), self.channel_count(), strict=True)

    def target_info(self) -> TargetInfo:
        """As in the base class, with the scale of values."""
        info, values = super().target_info(), (self.values or {}).values()
        if all((value.mean, value.deviation) == (0, 1) for value in values):
            return info
        return replace(
            info, means=tuple(value.mean for value in values), deviations=tuple(value.deviation for value in values)
        )

    def label_scheme(self) -> LabelScheme:
        """The labels of the task or of dataset.json."""
        scheme = self._scheme()
        if scheme is None:
            raise DataError(
                f"the labels of the data set in {self.root} are unknown",
                hint="name them in the task, e.g. dataset.labels: [background, tumour], or dataset.values: {dose: Gy}",
            )
        return scheme

    def _scheme(self) -> LabelScheme | None:
        if self.values is not None:
            return LabelScheme(tuple(self.values), units=tuple(value.unit for value in self.values.values()))
        if self.structures is not None:
            if self.labels is not None or self.ignore is not None:
                raise ValueError("structures stands instead of labels and ignore: leave them out")
            found = read_structures(self.structures, self.lacking)
        elif self.labels is not None:
            found = read_scheme(self.labels, self.ignore, self.regions_class_order or ())
        else:
            return None
        partial = self.lacking == "undrawn" if self.partial is None else self.partial
        return replace(found, lacking=self.lacking, partial=partial)

    def channel_count(self) -> int:
        """The channels of the task or of dataset.json, else 1."""
        return self.channels or 1


_FOLDERS = ("imagesTr", "img", "images", "Training/img")
_VOLUMES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm")


def recognise(folder: Path) -> dict[str, Any] | None:
    """The options for a folder of volumes: one with a dataset.json of labels, or with a folder of images of volumes."""
    if (folder / "dataset.json").is_file() and describe(folder).labels:
        return {}
    for images in (folder / name for name in _FOLDERS):
        names = [path.name.lower() for path in images.iterdir()] if images.is_dir() else []
        if any(name.endswith(_VOLUMES) for name in names):
            return {}
    return None
