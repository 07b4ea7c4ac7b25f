"""Options of a user's own volumes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from medvid.config.volumes import VolumeDatasetOptions
from medvid.data.description import Description, compare, describe, label_names
from medvid.errors import DataError


class NIfTIOptions(VolumeDatasetOptions):
    """NIfTI volumes with label maps, in any of the layouts (see `layout`).

    Cases are split as `split` or `fold` says, else as lists or folders say, else at random by `validation_fraction`.
    """

    name: Literal["nifti"] = "nifti"
    labels: tuple[str, ...] | dict[str, int] | None = None
    """Names of the labels, as a list in the order of their ids or as `name: id`; id 0 is the background. Not needed if
    the folder has a dataset.json that says so."""
    channels: PositiveInt | None = None
    """Channels of each case; default: as dataset.json says, else 1."""
    validation_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share of the cases that are held out, at least one; 0: train on all."""
    split_seed: Annotated[int, Field(ge=0)] = 0
    """Decides which cases those are."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in_from_the_folder(cls, values: Any) -> Any:
        """Take over what dataset.json says: a resolved task must be enough to predict where the data set is not."""
        if not isinstance(values, Mapping) or not isinstance(values.get("root"), str | Path):
            return values
        if values.get("ignore_description") and values.get("labels") is not None:
            return values
        found = describe(Path(values["root"]).expanduser(), values.get("datalist"))
        filled = {"labels": found.labels, "channels": found.channels}
        return {**values, **{key: value for key, value in filled.items() if values.get(key) is None}}

    @field_validator("labels")
    @classmethod
    def _label_ids_fit(cls, value: tuple[str, ...] | dict[str, int] | None) -> tuple[str, ...] | None:
        return None if value is None else label_names(value)

    def check_description(self, found: Description) -> tuple[str, ...]:
        """As in the base class; the names of labels have to be the same."""
        return compare(found, self.label_names(), self.channel_count(), strict=True)

    def label_names(self) -> tuple[str, ...]:
        """The labels of the task or of dataset.json."""
        if self.labels is None:
            raise DataError(
                f"the labels of the data set in {self.root} are not known",
                hint="name them in the task, e.g. dataset.labels: [background, tumour]",
            )
        return tuple(self.labels)

    def channel_count(self) -> int:
        """The channels of the task or of dataset.json, else 1."""
        return self.channels or 1
