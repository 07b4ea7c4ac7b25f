"""Options of BraTS, and of the heads that are its demo data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from medvid.config.numbers import FractionBelowOne
from medvid.config.options import Options
from medvid.data.listing import find_files
from medvid.data.volumes.labels import LabelScheme
from medvid.data.volumes.options import PatchOptions, Size, Spacing, VolumeDatasetOptions
from medvid_brats.names import MODALITIES, UNTIL_2022, Modality, read_name

CLASSES = ("background", "necrosis", "oedema", "enhancing_tumour")
"""By id, as files have them since 2023."""
CAVITY = "resection_cavity"
REGIONS = {"WT": (1, 2, 3), "TC": (1, 3), "ET": (3,)}
"""Whole tumour, tumour core and enhancing tumour."""
_PAINTED = (2, 1, 3)

_FOREIGN = ("folder_layout", "datalist", "ignore_description")


class BratsOptions(VolumeDatasetOptions):
    """BraTS (Menze et al., IEEE TMI 2015; Baid et al., 2021): tumours of the brain in four modalities of MRI.

    The folder is as published, with a folder per case, at any depth: ``CASE/CASE_flair.nii.gz`` and ``_seg`` (2017 to
    2022), or ``CASE/CASE-t2f.nii.gz`` and ``-seg`` (since 2023). Cases without a label map are the test split. The
    times of a patient are never split between training and held-out cases. The Decathlon's Task01_BrainTumour, and
    folders of nnU-Net, are read by the data set `nifti`.
    """

    name: Literal["brats"] = "brats"
    modalities: Annotated[tuple[Modality, ...], Field(min_length=1)] = MODALITIES
    """The channels, in this order; t1ce is with contrast (t1c), and flair is t2f."""
    target: Literal["regions", "classes"] = "regions"
    """`regions`: whole tumour (WT), tumour core (TC) and enhancing tumour (ET), which overlap; `classes`: exclusive."""
    enhancing_id: Literal[3, 4] | None = None
    """The id of the enhancing tumour in label maps, and in answers; default: by the names of the files in `root`, 4
    until 2022 and 3 since."""
    resection_cavity: bool = False
    """Label maps have the cavity of a resection as id 4, as after treatment (gliomas of 2024): one more region (RC)."""
    normalize: Literal["window", "percentile", "zscore"] = "zscore"
    patch: PatchOptions = PatchOptions(size=(128, 128, 128), per_case=1)
    validation_fraction: FractionBelowOne = 0.2
    """Share of the training patients to hold out; where folders say the grade (HGG, LGG), of each; 0: train on all."""
    split_seed: NonNegativeInt = 0
    """Seed that decides which patients these are."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in_from_the_folder(cls, values: Any) -> Any:
        """Take the id over from the folder, since a resolved task has to be enough to predict without the data set."""
        if not isinstance(values, Mapping) or not isinstance(values.get("root"), str | Path):
            return values
        root = Path(values["root"]).expanduser()
        if values.get("enhancing_id") is not None or not root.is_dir():
            return values
        stems = (file.name.partition(".")[0] for file in find_files(root))
        found = next((name.layout.enhancing for stem in stems if (name := read_name(stem))), None)
        return {**values, "enhancing_id": found}

    @model_validator(mode="after")
    def _fits(self) -> "BratsOptions":
        fields = type(self).model_fields
        if given := [name for name in _FOREIGN if getattr(self, name) != fields[name].default]:
            raise ValueError(f"BraTS has no lists: leave out {' and '.join(given)}")
        if len(set(self.modalities)) < len(self.modalities):
            raise ValueError(f"modalities has one twice: {', '.join(self.modalities)}")
        if self.resection_cavity and self.enhancing_id == UNTIL_2022.enhancing:
            raise ValueError("id 4 cannot be both the enhancing tumour (enhancing_id) and the resection_cavity")
        return self

    def channel_count(self) -> int:
        """The modalities."""
        return len(self.modalities)

    def label_scheme(self) -> LabelScheme:
        """Regions or classes; ids of files are mapped to those since 2023, and back in answers."""
        stored = (0, 1, 2, 4) if self.enhancing_id == UNTIL_2022.enhancing else tuple(range(4 + self.resection_cavity))
        if self.target == "classes":
            return LabelScheme((*CLASSES, *((CAVITY,) if self.resection_cavity else ())), stored=stored)
        regions = REGIONS | ({"RC": (4,)} if self.resection_cavity else {})
        painted = (*_PAINTED, *((4,) if self.resection_cavity else ()))
        return LabelScheme(tuple(regions), tuple(regions.values()), painted, stored=stored)


class HeadOptions(Options):
    """Generated heads in BraTS's layout and file format, some of a patient at two times."""

    cases: PositiveInt = 24
    """Number of cases with a label map."""
    test: NonNegativeInt = 0
    """Number of cases without one, in a folder of their own."""
    layout: Literal[2021, 2023] = 2023
    """The year whose names and ids the files have."""
    shape: Size = (40, 40, 36)
    """Voxels of each file."""
    spacing: Spacing = (5.0, 5.0, 5.0)
    """Voxel size in mm."""
    seed: NonNegativeInt = 0
