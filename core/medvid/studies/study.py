"""A study as its folder has it: its options and its cells."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from medvid.config.options import LauncherOptions
from medvid.data.fold_files import read_folds
from medvid.plugin.host import Host
from medvid.studies.cells import Cell, cells_of
from medvid.studies.configurations import configurations_of
from medvid.studies.folder import StudyFolder
from medvid.studies.load import read_resolved
from medvid.studies.options import StudyOptions
from medvid.studies.search.search import Search


@dataclass(frozen=True, slots=True)
class Study:
    """A study that is set up.

    Args:
        folder: where everything of it is.
        options: with every default, and its seeds by name.
    """

    folder: StudyFolder
    options: StudyOptions

    @classmethod
    def find(cls, path: Path, host: Host) -> "Study":
        """The study in a folder.

        Raises:
            ConfigError: there is none, or it cannot be read.
        """
        folder = StudyFolder.find(path)
        return cls(folder, read_resolved(folder.resolved, host).options)

    def launched_by(self, launcher: LauncherOptions) -> "Study":
        """The same study with another launcher."""
        return replace(self, options=self.options.model_copy(update={"launcher": launcher}))

    @property
    def configurations(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(configurations_of(self.options))

    @property
    def group(self) -> re.Pattern[str] | None:
        """What finds a patient in a case's name, where the folds were made so."""
        group = self.options.folds.group if self.options.folds else None
        return re.compile(group) if isinstance(group, str) else None

    def cells(self) -> list[Cell]:
        """All cells, in the order in which they are started.

        Raises:
            DataError: splits.json is missing or damaged.
        """
        return self.search.cells() if self.options.search else list(cells_of(self.options, self.folds))

    @property
    def search(self) -> Search:
        """The search of a study that has one."""
        return Search(self.folder, self.options, self.folds)

    @property
    def folds(self) -> int:
        """Number of folds; 0 where there are none.

        Raises:
            DataError: splits.json is missing or damaged.
        """
        return len(read_folds(self.folder.splits)) if self.options.folds else 0
