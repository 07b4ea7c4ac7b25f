"""Cells: the runs of a study."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medvid.config.refusal import read_text
from medvid.config.yaml import parse_file
from medvid.runs.folder import RunFolder
from medvid.studies.configurations import configurations_of
from medvid.studies.options import StudyOptions
from medvid.tracking.record import read_record

if TYPE_CHECKING:
    from medvid.studies.folder import StudyFolder


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of a study.

    Args:
        configuration: name of the changed task that it runs.
        fold: number of the fold that it holds out; None where the study has no folds.
        seed: its `seed`.
    """

    configuration: str
    fold: int | None
    seed: int

    @property
    def name(self) -> str:
        """Of its folder and of its MLflow run."""
        fold = "" if self.fold is None else f"-f{self.fold}"
        return f"{self.configuration}{fold}-s{self.seed}"

    def run_folder(self, study: "StudyFolder") -> RunFolder:
        """Where it runs."""
        return RunFolder(study.cells / self.name)

    def log(self, study: "StudyFolder") -> Path:
        """What its process has printed. Whoever has started it holds the lock of this file."""
        return study.logs / f"{self.name}.log"

    def failure(self, study: "StudyFolder") -> Path:
        """Why its process has ended with an error; there only then."""
        return study.logs / f"{self.name}.failed.json"

    def pruned(self, study: "StudyFolder") -> Path:
        """Why a search has given it up; there only then."""
        return study.logs / f"{self.name}.pruned.json"

    def overrides(self, study: "StudyFolder") -> dict[str, Any]:
        """What it changes in the task of its configuration, by dotted key."""
        fold = {} if self.fold is None else {"dataset.fold": {"file": str(study.splits), "index": self.fold}}
        return {"seed": self.seed, **fold, "tracking.tags": self._tags(study)}

    def _tags(self, study: "StudyFolder") -> dict[str, str]:
        """Its tags in MLflow: those that it has begun with, or those that say which cell it is and of which study."""
        begun = self.run_folder(study).resolved
        if begun.is_file():
            return tags_in(begun)
        parent = read_record(study.path)
        which = {"name": study.name, "configuration": self.configuration, "fold": self.fold, "seed": self.seed}
        return {
            **tags_in(study.task(self.configuration)),
            **{f"study.{key}": str(value) for key, value in which.items() if value is not None},
            **({"mlflow.parentRunId": parent.run_id} if parent else {}),
        }


def cells_of(options: StudyOptions, folds: int) -> Iterator[Cell]:
    """The cells of a resolved study, all configurations on a fold before the next, so that they can be compared early.

    Args:
        options: of the study.
        folds: their number; 0 where the study has none.
    """
    for seed in options.seeds:
        for fold in range(folds) if folds else (None,):
            for configuration in configurations_of(options):
                yield Cell(configuration, fold, seed)


def tags_in(task: Path) -> dict[str, str]:
    """The tags of a resolved task."""
    return dict(parse_file(read_text(task, "task file"), str(task)).data.get("tracking", {}).get("tags", {}))
