"""How BraTS names its files: case and modality, in two ways over the years."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Modality = Literal["t1", "t1ce", "t2", "flair"]
MODALITIES: tuple[Modality, ...] = ("t1", "t1ce", "t2", "flair")
LABEL = "seg"

_TIMEPOINT = re.compile(r"(BraTS-.+-\d+)-\d+|(brats1[789]_.+)_\d+", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """A way to name files.

    Args:
        years: when it was used, for messages.
        separator: between case and modality.
        endings: how each modality, and the label map, ends.
        enhancing: the id of the enhancing tumour in label maps.
    """

    years: str
    separator: str
    endings: Mapping[str, str]
    enhancing: Literal[3, 4]

    def file(self, case: str, part: str) -> str:
        """The name of a case's file, without the ending of its format."""
        return f"{case}{self.separator}{self.endings[part]}"


UNTIL_2022 = Layout("until 2022", "_", {part: part for part in (*MODALITIES, LABEL)}, 4)
SINCE_2023 = Layout("since 2023", "-", {"t1": "t1n", "t1ce": "t1c", "t2": "t2w", "flair": "t2f", LABEL: "seg"}, 3)
LAYOUTS = (UNTIL_2022, SINCE_2023)


@dataclass(frozen=True, slots=True)
class Name:
    """What a file's name says.

    Args:
        case: the patient and the time.
        part: a modality, or `LABEL`.
        layout: how it is named.
    """

    case: str
    part: str
    layout: Layout


def read_name(stem: str) -> Name | None:
    """What a name without its ending says; None for other files."""
    for layout in LAYOUTS:
        case, _, ending = stem.rpartition(layout.separator)
        for part, known in layout.endings.items():
            if case and ending == known:
                return Name(case, part, layout)
    return None


def patient_of(case: str) -> str:
    """Whose a case is: its name without the time, ``BraTS-GLI-00002`` of ``BraTS-GLI-00002-001``.

    Until 2019 a number at the end was the time, too; in 2020 and 2021 each case is a patient.
    """
    match = _TIMEPOINT.fullmatch(case)
    return next(group for group in match.groups() if group) if match else case
