"""The study folder: what a study is, its cells, and what they say together."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from medvid.errors import ConfigError
from medvid.locks import hold


def is_study_folder(path: Path) -> bool:
    """Whether there is a study in a folder."""
    return StudyFolder(path).study.is_file()


@dataclass(frozen=True, slots=True)
class StudyFolder:
    """The files of a study folder.

    Args:
        path: the folder, ``studies/<study>``.
    """

    path: Path

    @classmethod
    def find(cls, path: Path) -> "StudyFolder":
        """An existing study folder.

        Raises:
            ConfigError: it is not a study folder.
        """
        folder = cls(path.absolute())
        if not folder.study.is_file():
            raise ConfigError(
                f"{path} is not a study folder: it has no {folder.study.name}",
                hint="pass the folder that `platform study` printed, studies/<study>",
            )
        return folder

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def study(self) -> Path:
        """The study file as it was written."""
        return self.path / "study.yaml"

    @property
    def resolved(self) -> Path:
        """The study with every option."""
        return self.path / "resolved.yaml"

    @property
    def tasks(self) -> Path:
        """The resolved task of each configuration."""
        return self.path / "tasks"

    def task(self, configuration: str) -> Path:
        """The resolved task of a configuration."""
        return self.tasks / f"{configuration}.yaml"

    @property
    def splits(self) -> Path:
        """The cases of each fold, written once: the truth."""
        return self.path / "splits.json"

    @property
    def data(self) -> Path:
        """Digests of the prepared data, by configuration."""
        return self.path / "data.json"

    @property
    def mlflow(self) -> Path:
        """The MLflow run that those of the cells have as their parent."""
        return self.path / "mlflow.json"

    @property
    def cells(self) -> Path:
        """The run folders of the cells."""
        return self.path / "cells"

    @property
    def trials(self) -> Path:
        """The values of each trial of a search."""
        return self.path / "trials"

    @property
    def logs(self) -> Path:
        """What the processes of the cells have printed, and which have failed."""
        return self.path / "logs"

    @property
    def job(self) -> Path:
        """The script of the cluster's job."""
        return self.path / "job.sh"

    @property
    def summary(self) -> Path:
        """What the finished cells say together, for scripts."""
        return self.path / "summary.json"

    @property
    def cases(self) -> Path:
        """Per-case results of all finished cells."""
        return self.path / "cases.csv"

    @property
    def table(self) -> Path:
        """The table of configurations, for readers."""
        return self.path / "table.md"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    @property
    def lock_file(self) -> Path:
        """Names the holder of the lock."""
        return self.path / ".lock"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only process that changes the study itself, not its cells; waits for its turn.

        Raises:
            ResourceError: the folder is not writable.
        """
        with hold(self.lock_file, self.path, wait=True):
            yield
