"""Trials: the values that were proposed, one file each, and how far their runs are. These files are the truth."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medvid.errors import DataError
from medvid.files import make_folder, read_json, write_json
from medvid.runs.folder import read_metrics
from medvid.studies.cells import Cell
from medvid.studies.folder import StudyFolder
from medvid.studies.search_options import ThenOptions
from medvid.studies.states import State, state_of


@dataclass(frozen=True, slots=True)
class Trial:
    """One proposal of a search.

    Args:
        number: counted from 0, whose values are the task's own.
        values: by dotted key.
    """

    number: int
    values: Mapping[str, Any] = field(hash=False)

    @property
    def name(self) -> str:
        """Of the configuration that it is, and the beginning of the names of its cells."""
        return f"t{self.number:04d}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How far a trial is.

    Args:
        trial: its values.
        state: of its cell.
        value: the figure that is searched for, higher is better: negated where a lower one is. None before the end, or
            where it is not defined.
        validations: that figure after each validation, as far as validations have it; likewise.
    """

    trial: Trial
    state: State
    value: float | None = None
    validations: tuple[float, ...] = ()


def trial_file(study: StudyFolder, number: int) -> Path:
    """Where the values of a trial are kept, written before its run starts."""
    return study.trials / f"{Trial(number, {}).name}.json"


def write_trial(study: StudyFolder, trial: Trial) -> None:
    """Write the values of a new trial.

    Raises:
        ResourceError: the disk is full or not writable.
    """
    make_folder(study.trials)
    write_json(trial_file(study, trial.number), {"number": trial.number, "values": dict(trial.values)})


def read_trials(study: StudyFolder) -> list[Trial]:
    """The trials of a study, in their order.

    Raises:
        DataError: a file was damaged or changed.
    """
    trials = []
    for path in sorted(study.trials.glob("t*.json")):
        content = read_json(path)
        if content.keys() != {"number", "values"} or path != trial_file(study, content["number"]):
            raise DataError(
                f"{path} does not hold the number and the values of that trial",
                hint="restore it from a copy, or delete it together with the trial's cells",
            )
        trials.append(Trial(content["number"], content["values"]))
    return trials


def trial_cells(trial: Trial, then: ThenOptions | None, seed: int, folds: int) -> list[Cell]:
    """The cells of a trial: first the one that is searched, then those that are run if it is among the best.

    Args:
        trial: the trial.
        then: what is asked for the best; None if that is nothing.
        seed: the first one.
        folds: their number; 0 where there are none.
    """
    seeds = range(seed, seed + (then.seeds if then else 1))
    of_all: Sequence[int | None] = range(folds) if folds else (None,)
    return [Cell(trial.name, fold, one) for one in seeds for fold in (of_all if then else of_all[:1])]


def outcome_of(study: StudyFolder, trial: Trial, cell: Cell, split: str, metric: str, sign: int) -> Outcome:
    """How far a trial is, from the files of its cell.

    Args:
        study: the folder of the study.
        trial: the trial.
        cell: of its run.
        split: that is validated on.
        metric: the figure that is searched for.
        sign: 1 where a higher one is better, -1 where a lower one is, 0 where that is not known yet.
    """
    folder, state = cell.run_folder(study), state_of(study, cell)
    value = _defined(read_json(folder.summary)["metrics"].get(metric)) if state is State.FINISHED else None
    records = (record["values"].get(metric) for record in read_metrics(folder.metrics) if record["split"] == split)
    validations = tuple(sign * number for number in map(_defined, records) if number is not None)
    return Outcome(trial, state, None if value is None else sign * value, validations)


def own_values(content: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """A task's own values of some options, by dotted key; None for one that it leaves out."""
    return {key: _value_at(content, key.split(".")) for key in keys}


def _value_at(content: Any, path: list[str]) -> Any:
    for key in path:
        content = content.get(key) if isinstance(content, Mapping) else None
    return content


def _defined(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
