"""The cases of a table, or of folders per class, with what they are annotated with, by split."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medvid.data.groups import Groups
from medvid.data.splits import Splits, hold_out
from medvid.errors import DataError
from medvid.sentences import listed

Answer = int | tuple[float, ...]
"""The id of a class; or labels or values, in order. `UNKNOWN` or NaN where nobody has annotated."""


@dataclass(frozen=True, slots=True)
class AnsweredCase:
    """A case of the index.

    Args:
        id: its path as the table has it, or below the data set's folder.
        path: its file or folder.
        answer: what it is annotated with.
        patient: whose it is; empty where nothing says so.
    """

    id: str
    path: Path
    answer: Answer
    patient: str = ""


@dataclass(frozen=True, slots=True)
class AnswerIndex:
    """All cases.

    Args:
        cases: by id.
        splits: those that the table or folders name.
        classes: names of the classes, of targets that are one.
        notes: what is odd but not an error.
    """

    cases: Mapping[str, AnsweredCase]
    splits: Splits
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def declared(self) -> Splits:
        """The splits that the table or folders name; without any, all cases are to train on."""
        return self.splits or {"train": tuple(self.cases)}

    @property
    def patients(self) -> Groups:
        """The patient of each case of whom one is known."""
        return patients_of(self.cases)


def patients_of(cases: Mapping[str, AnsweredCase]) -> dict[str, str]:
    """The patient of each case of whom one is known."""
    return {name: case.patient for name, case in cases.items() if case.patient}


def with_patients(cases: Sequence[AnsweredCase], pattern: str | None) -> dict[str, AnsweredCase]:
    """Cases by id, with the patients that a pattern finds in their ids.

    Raises:
        DataError: an id does not match.
    """
    if pattern is None:
        return {case.id: case for case in cases}
    found = {case.id: re.search(pattern, case.id) for case in cases}
    if without := [name for name, match in found.items() if match is None]:
        raise DataError(
            f"dataset.patient_pattern {pattern!r} finds no patient in {len(without)} names: {listed(without)}",
            hint="the first group of the pattern, or all that it matches, has to be the patient",
        )
    named = {name: match[1 if match.re.groups else 0] for name, match in found.items() if match}
    return {case.id: AnsweredCase(case.id, case.path, case.answer, named[case.id]) for case in cases}


def hold_out_patients(cases: Mapping[str, AnsweredCase], ids: Sequence[str], fraction: float, seed: int) -> Splits:
    """Hold out a share of the patients, of each class where cases have one; a case without a patient is its own.

    Args:
        cases: by id.
        ids: those to divide.
        fraction: share to hold out; 0: none.
        seed: another seed gives another split.

    Raises:
        DataError: there is only one patient.
    """
    patients: dict[str, list[str]] = defaultdict(list)
    for case in ids:
        patients[cases[case].patient or f"\0{case}"].append(case)
    strata: dict[object, list[str]] = defaultdict(list)
    for patient, owned in patients.items():
        answer = cases[owned[0]].answer
        strata[answer if isinstance(answer, int) else None].append(patient)
    groups = [alike for alike in strata.values() if len(alike) > 1] if fraction else []
    chosen = [one for alike in groups or [[*patients]] for one in hold_out(alike, fraction, seed).get("validation", ())]
    held_out = {case for one in chosen for case in patients[one]}
    return {
        "train": tuple(case for case in ids if case not in held_out),
        **({"validation": tuple(case for case in ids if case in held_out)} if held_out else {}),
    }
