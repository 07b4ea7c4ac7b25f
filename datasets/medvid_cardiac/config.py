"""Options of ACDC, and of the hearts that are its demo data."""

from typing import Literal

from pydantic import NonNegativeInt, PositiveInt, model_validator

from medvid.config.numbers import FractionBelowOne
from medvid.config.options import Options, ProtocolOptions
from medvid.data.volumes.options import Size, Spacing, VolumeDatasetOptions
from medvid.plugin.info import TargetInfo

LABELS = ("background", "right_ventricle", "myocardium", "left_ventricle")
"""The labels of ACDC's files, by id. Others, such as M&Ms', count the other way round."""

_FOREIGN = ("folder_layout", "datalist", "ignore_description")


class ACDCOptions(VolumeDatasetOptions):
    """ACDC (Bernard et al., IEEE TMI 2018): the heart in short axis at end diastole (ED) and end systole (ES).

    The folder is as published: `training/patient001/` ... and `testing/patient101/` ..., or the patients' folders
    alone, where those after 100 are the test set. A case is a patient and a phase, `patient001_ED`; the patient's
    Info.cfg says which frame that is. Patients are never split between training and held-out cases.
    """

    name: Literal["acdc"] = "acdc"
    spacing: Spacing | None = (1.5, 1.5, 5.0)
    validation_fraction: FractionBelowOne = 0.2
    """Share of the training patients to hold out, of each diagnosis; 0: train on all."""
    split_seed: NonNegativeInt = 0
    """Seed that decides which patients these are."""

    @model_validator(mode="after")
    def _one_layout(self) -> "ACDCOptions":
        fields = type(self).model_fields
        if given := [name for name in _FOREIGN if getattr(self, name) != fields[name].default]:
            raise ValueError(f"ACDC has one layout, without lists: leave out {' and '.join(given)}")
        return self

    def label_names(self) -> tuple[str, ...]:
        """Background, right ventricle, myocardium and left ventricle."""
        return LABELS


class ACDCProtocolOptions(ProtocolOptions):
    """Scoring as in ACDC (Bernard et al., 2018, section III): Dice, Hausdorff distance, volumes, ejection fractions."""

    name: Literal["acdc"]
    cavities: tuple[str, ...] = ("left_ventricle", "right_ventricle")
    """Labels whose volume at ED and whose ejection fraction are compared."""
    myocardium: str = "myocardium"
    """The label whose mass at ED is compared; empty: none."""

    def check_target(self, info: TargetInfo) -> None:
        """Refuse labels that do not exist, see `ProtocolOptions.check_target`."""
        asked = [*self.cavities, *([self.myocardium] if self.myocardium else [])]
        if unknown := [name for name in asked if name not in info.names[1:]]:
            raise ValueError(f"there is no label {', '.join(unknown)}; there are {', '.join(info.names[1:])}")


class HeartOptions(Options):
    """Generated hearts in ACDC's layout and file format, of all five diagnoses in turn."""

    train: PositiveInt = 16
    """Number of patients to train and validate with."""
    test: PositiveInt = 4
    """Number of test patients."""
    shape: Size = (64, 64, 8)
    """Voxels of each frame, on its own axes."""
    spacing: Spacing = (3.0, 3.0, 10.0)
    """Voxel size of the files in mm."""
    seed: NonNegativeInt = 0
