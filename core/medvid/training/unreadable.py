"""Training cases that cannot be read: counted, named and limited, never left out in silence."""

import logging
import math
from pathlib import Path

from medvid.errors import DataError
from medvid.files import read_json, write_json

logger = logging.getLogger("medvid")


class UnreadableCases:
    """Keeps account of training cases that could not be read, and for which another case stood in.

    The limit is that of the run: each process has a file of its own, and counts what is in the files of all.

    Args:
        path: a JSON file with the reason by case, kept up to date; that of a resumed run is gone on with. Those of
            other processes are beside it, with a number behind the name: ``data_report-1.json``.
        cases: number of training cases.
        limit: largest share of them that may be unreadable.
    """

    def __init__(self, path: Path, cases: int, limit: float) -> None:
        self._path = path
        self._cases = cases
        self.allowed = math.floor(cases * limit)
        self._reasons: dict[str, str] = read_json(path)

    def add(self, case: str, error: DataError) -> None:
        """Take note of a case that could not be read.

        Raises:
            DataError: there are more of them than allowed, in all processes together.
        """
        if case not in self._reasons:
            self._reasons[case] = str(error)
            write_json(self._path, self._reasons)
            logger.warning("another case stands in for an unreadable one (%s): %s", len(self._reasons), error)
        count = len(self._of_all_processes())
        if count > self.allowed:
            raise DataError(
                f"{count} of {self._cases} training cases cannot be read, {self.allowed} may be: {error}",
                hint=f"repair or remove them (platform data check names all), see {self._path.name}; or allow more: "
                "--set train.max_unreadable=0.05",
            ) from error

    def _of_all_processes(self) -> set[str]:
        """The cases in all files. A process writes before it counts, so the last of several at once sees all."""
        name = self._path.stem.partition("-")[0]
        return {case for path in self._path.parent.glob(f"{name}*.json") for case in read_json(path)}
