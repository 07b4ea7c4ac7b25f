"""Training cases that cannot be read: counted, named and limited, never left out in silence."""

import logging
import math
from pathlib import Path

from medvid.errors import DataError
from medvid.files import read_json, write_json

logger = logging.getLogger("medvid")


class UnreadableCases:
    """The account of training cases that could not be read and were replaced by other cases.

    The limit holds for the whole run: each process has its own file, and counts the cases in the files of all.

    Args:
        path: a JSON file with the reason by case, kept up to date; a resumed run continues it. Those of the other
            processes are beside it, numbered: ``unreadable-1.json``.
        cases: number of training cases.
        limit: largest share of them that can be unreadable.
    """

    def __init__(self, path: Path, cases: int, limit: float) -> None:
        self._path = path
        self._cases = cases
        self.allowed = math.floor(cases * limit)
        self._reasons: dict[str, str] = read_json(path)

    def add(self, case: str, error: DataError) -> None:
        """Record a case that could not be read.

        Raises:
            DataError: there are more than allowed, in all processes together.
        """
        if case not in self._reasons:
            self._reasons[case] = str(error)
            write_json(self._path, self._reasons)
            logger.warning("unreadable, replaced by another case (%s so far): %s", len(self._reasons), error)
        count = len(self._of_all_processes())
        if count > self.allowed:
            raise DataError(
                f"{count} of {self._cases} training cases cannot be read, at most {self.allowed} allowed: {error}",
                hint=f"repair or remove them (platform data check names all), see {self._path.name}; or allow more: "
                "--set train.max_unreadable=0.05",
            ) from error

    def _of_all_processes(self) -> set[str]:
        """The cases in all files. A process writes before it counts, so the last of several at once sees all."""
        name = self._path.stem.partition("-")[0]
        return {case for path in self._path.parent.glob(f"{name}*.json") for case in read_json(path)}
